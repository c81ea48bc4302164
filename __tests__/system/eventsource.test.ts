import { setTimeout as sleep } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import { event } from '../../lib/index';
import { aborted, Gate } from '../support/gate';
import { releaseAll, serve, type TestServer } from '../support/serve';

const sources: EventSource[] = [];

afterEach(async () => {
  for (const source of sources.splice(0)) source.close();
  await releaseAll();
});

function open(server: TestServer, path: string): EventSource {
  const source = new EventSource(server.url(path));
  sources.push(source);
  return source;
}

/** Resolves when the client has stopped reconnecting. */
async function closed(source: EventSource): Promise<void> {
  while (source.readyState !== source.CLOSED) {
    await new Promise((resolve) => source.addEventListener('error', resolve, { once: true }));
  }
}

/** The `Last-Event-ID` of each request to `server`. */
function idsOf(server: TestServer): Array<string | string[] | undefined> {
  return server.responses.map(({ req }) => req.headers['last-event-id']);
}

describe('npm eventsource', () => {
  it('makes exactly two requests for a finished stream, the second answered by 204', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield event('row', { n: 1 }, { id: 'a' });
          return { rows: 1 };
        });
      },
      { retryMs: 1 },
    );
    const received: string[] = [];
    const source = open(server, '/');
    for (const type of ['row', 'end'])
      source.addEventListener(type, ({ data }) => received.push(`${type} ${data}`));

    await closed(source);

    expect(received).toEqual(['row {"n":1}', 'end {"rows":1}']);
    expect(idsOf(server)).toEqual([undefined, '~end']);
    expect(server.responses.map(({ statusCode }) => statusCode)).toEqual([200, 204]);
  });

  it('reconnects after an error with the id of the last event received', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          const seen = Number(res.sse.lastEventId || 0);
          if (seen === 3) return;
          yield event('message', seen + 1, { id: seen + 1 });
          throw new Error('connection to the database lost');
        });
      },
      { retryMs: 1 },
    );
    const received: string[] = [];
    const source = open(server, '/');
    source.onmessage = ({ data }) => received.push(data);

    await closed(source);

    expect(received).toEqual(['1', '2', '3']);
    expect(idsOf(server)).toEqual([undefined, '1', '2', '3', '~end']);
  });

  it('reconnects after sse.close(), and repeatedly while the server is closing', async () => {
    const server = await serve(
      (app, sse) => {
        app.get('/', async function* (_req, res) {
          yield 'open';
          await aborted(res.sse.signal);
        });
        app.get('/close', async (_req, res) => {
          await sse.close({ spreadMs: 0 });
          res.send('closed');
        });
      },
      { retryMs: 1 },
    );
    const opened = new Gate();
    const source = open(server, '/');
    source.onmessage = () => opened.open();
    await opened.promise;

    await (await server.openStream('/close')).ended();
    while (idsOf(server).length < 5) await sleep(1);

    expect(source.readyState).not.toBe(source.CLOSED);
  });

  // Node's fetch cannot send ids beyond latin1; the tests in a browser cover those.
  it('receives lines, unicode and a latin1 id exactly', async () => {
    const data = 'one\ntwo\n\nünï ✓ 🚀\u2028\u0085 \ufeff:x';
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          if (res.sse.lastEventId === 'é') return;
          yield event('message', data, { id: 'é' });
          throw new Error('expected error');
        });
      },
      { retryMs: 1 },
    );
    const received: Array<[string, string]> = [];
    const source = open(server, '/');
    source.onmessage = (message) => received.push([message.data, message.lastEventId]);

    await closed(source);

    expect(received).toEqual([[data, 'é']]);
  });

  it('dispatches a named event with hostile data once, under its own name', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield event('chat', 'hi\n\nevent: admin\ndata: pwned\n\n');
          yield { event: 'admin', data: 'pwned' };
        });
      },
      { retryMs: 1 },
    );
    const received: string[] = [];
    const source = open(server, '/');
    for (const type of ['chat', 'admin', 'message']) source.addEventListener(type, () => received.push(type));

    await closed(source);

    expect(received).toEqual(['chat', 'message']);
  });
});
