import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import express, { type Express } from 'express';
import { Channel, comment, event, memoryLog } from '../../../lib/index';
import { describeInChromium } from '../../support/chromium';
import {
  CLIENT_MADE,
  type ClientEvent,
  type ClientKind,
  ClientRecorder,
  chromiumEventSource,
  chromiumFetch,
  eventsource,
  eventsourceClient,
  fetchEventSource,
  launchDarkly,
  type Post,
  servePages,
} from '../../support/field-clients';
import { Curl } from '../../support/field-curl';
import { Matrix, ms } from '../../support/field-matrix';
import { aborted, Gate } from '../../support/gate';
import { describeWithCommand } from '../../support/proxy';
import { releaseAll, serve, type TestServer } from '../../support/serve';

// The browser takes time to start.
const matrix = new Matrix('client');
const closers: Array<() => void> = [];
const servers: StreamServer[] = [];

// Registered here, so that it runs after the tabs have closed.
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await Promise.all(servers.splice(0).map((server) => server.idle()));
  await releaseAll();
});

afterAll(() => matrix.print());

/** A server for pages and for one stream. It records the requests for the stream. */
class StreamServer {
  static async serve(build: (app: Express) => void): Promise<StreamServer> {
    const before = new WeakMap<Socket, number>();
    const server = await serve(
      (app) => {
        servePages(app);
        app.use('/stream', ({ socket }, _res, next) => {
          before.set(socket, socket.bytesWritten);
          next();
        });
        build(app);
      },
      { retryMs: 1 },
    );
    const streamServer = new StreamServer(server, before);
    servers.push(streamServer);
    return streamServer;
  }

  readonly recorder = new ClientRecorder();
  readonly #server: TestServer;
  /** The bytes written to each socket before its request for the stream. */
  readonly #before: WeakMap<Socket, number>;

  private constructor(server: TestServer, before: WeakMap<Socket, number>) {
    this.#server = server;
    this.#before = before;
  }

  async open(kind: ClientKind, post?: Post): Promise<() => void> {
    const close = await kind.open(this.#server.url(''), '/stream', this.recorder, post);
    closers.push(close);
    return close;
  }

  get url(): string {
    return this.#server.url('/stream');
  }

  get #responses() {
    return this.#server.responses.filter(({ req }) => req.path === '/stream');
  }

  /** `Last-Event-ID` of each request for the stream, decoded. */
  get ids(): string[] {
    return this.#responses.map((res) => res.sse.lastEventId);
  }

  get statuses(): number[] {
    return this.#responses.map(({ statusCode }) => statusCode);
  }

  /** The events that the client has received, without those it creates itself, which have their own tests. */
  received(kind: ClientKind): ClientEvent[] {
    const isReal = ({ data }: ClientEvent) =>
      data !== CLIENT_MADE && (data !== '' || !kind.dispatchesFramesWithoutData);
    return this.recorder.events.filter(isReal);
  }

  receivedText(kind: ClientKind): string[] {
    return this.received(kind).map(({ type, data }) => `${type} ${data}`);
  }

  /** Resolves when every stream has ended, and closes the connections that Node's fetch opens in advance. */
  async idle(): Promise<void> {
    while (this.#server.sse.size > 0) await setImmediate();
    this.#server.server.closeAllConnections();
  }

  /** Destroys the connection of the latest stream after its bytes have been sent. */
  async cut(): Promise<void> {
    const socket = this.#responses.at(-1)?.socket as Socket;
    const before = this.#before.get(socket);
    while (socket.bytesWritten === before || socket.writableLength > 0) await setImmediate();
    socket.destroy();
  }
}

/** The event that some clients dispatch for a frame without data. */
const EMPTY: ClientEvent = { type: 'message', data: '', id: '' };

/** The behaviour of a client that may reconnect. */
function describeClient(kind: ClientKind): void {
  const note = (column: string, seen: string) => matrix.note(kind.name, column, seen);

  describe(kind.name, () => {
    describeReader(kind);

    it('reconnects after a cut connection, with the id of the last event received', async () => {
      const server = await StreamServer.serve((app) => {
        app.get('/stream', async function* (_req, res) {
          const n = Number(res.sse.lastEventId.slice(1)) + 1;
          if (n > 3) return 'done';
          yield event('message', n, { id: `é${n}` });
          await aborted(res.sse.signal);
        });
      });
      await server.open(kind);
      const from = performance.now();

      for (const n of ['1', '2', '3']) {
        await server.recorder.until(n);
        await server.cut();
      }
      await server.recorder.stopped.promise;

      expect(server.receivedText(kind)).toEqual(['message 1', 'message 2', 'message 3', 'end done']);
      expect(server.ids.slice(0, 4)).toEqual(['', 'é1', 'é2', 'é3']);
      // Faster than three default reconnection times: it uses the `retry` of the server.
      const elapsed = performance.now() - from;
      expect(elapsed).toBeLessThan(kind.defaultRetryMs * 3);
      note('resume', 'exact');
      note('`retry: 1`', `${ms(elapsed / 3)} each time, not ${kind.defaultRetryMs}`);
    });

    it('receives a gap when the log of the channel has discarded events meanwhile', async () => {
      const channel = new Channel<number>({ log: memoryLog({ maxEvents: 1 }) });
      const server = await StreamServer.serve((app) => app.get('/stream', () => channel));
      await server.open(kind);
      while (channel.size === 0) await setImmediate();
      const lastEventId = await channel.publish(1);
      await server.recorder.until('1');

      await server.cut();
      await channel.publish(2);
      const oldest = await channel.publish(3);
      await server.recorder.until('3');

      const gap = JSON.stringify({ lastEventId, oldest });
      expect(server.receivedText(kind)).toEqual(['message 1', `gap ${gap}`, 'message 3']);
      note('`gap`', 'received');
    });

    const resumes = kind.ignoresIdsWithoutData ? 'does not resume' : 'resumes';
    it(`${resumes} from a channel position that it received without an event`, async () => {
      const channel = new Channel<string>();
      const server = await StreamServer.serve((app) => app.get('/stream', () => channel));
      await server.open(kind);
      while (channel.size === 0) await setImmediate();
      // A fetch whose connection fails loses unread bytes.
      while (kind.dispatchesFramesWithoutData && server.recorder.events.length < 2) await setImmediate();

      await server.cut();
      await channel.publish('meanwhile');
      while (server.ids.length < 2 || channel.size === 0) await setImmediate();
      await channel.publish('live');
      await server.recorder.until('live');

      const missed = kind.ignoresIdsWithoutData ? [] : ['message meanwhile'];
      expect(server.receivedText(kind)).toEqual([...missed, 'message live']);
      note('id without data', kind.ignoresIdsWithoutData ? 'ignored' : 'kept');
    });
  });
}

/** The behaviour of any client. */
function describeReader(kind: ClientKind): void {
  const note = (column: string, seen: string) => matrix.note(kind.name, column, seen);

  it('receives lines, unicode, types and ids exactly', async () => {
    const lines = 'one\ntwo\n\nünï ✓ 🚀\u2028 :x';
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        yield lines;
        yield event('price', { price: 1 }, { id: 'é 7' });
        return { rows: 1 };
      });
    });
    await server.open(kind);

    await server.recorder.stopped.promise;

    expect(server.received(kind)).toEqual([
      { type: 'message', data: lines, id: '' },
      { type: 'price', data: '{"price":1}', id: 'é 7' },
      kind.isFetchClient
        ? { type: 'message', data: '{"rows":1}', id: '' }
        : { type: 'end', data: '{"rows":1}', id: '~end' },
    ]);
    note('data, types, ids', 'exact');
  });

  it('receives each event before the next one is yielded', async () => {
    const gates = Array.from({ length: 5 }, () => new Gate());
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        for (const [n, gate] of gates.entries()) {
          yield n;
          await gate.promise;
        }
      });
    });
    await server.open(kind);

    for (const [n, gate] of gates.entries()) {
      await server.recorder.until(`${n}`);
      gate.open();
    }

    await server.recorder.stopped.promise;
    note('each immediately', 'yes');
  });

  const others = kind.dispatchesFramesWithoutData ? 'also' : 'not';
  it(`dispatches an event with empty data, and ${others} a comment or a \`retry\` alone`, async () => {
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        yield comment('hidden');
        yield '';
      });
    });
    await server.open(kind);

    await server.recorder.stopped.promise;

    // The app cannot distinguish them.
    const clientMade = kind.dispatchesFramesWithoutData ? [EMPTY, EMPTY] : [];
    expect(server.recorder.events.filter(({ type }) => type === 'message')).toEqual([...clientMade, EMPTY]);
    note(
      'frames without data',
      kind.dispatchesFramesWithoutData ? 'dispatched as empty messages' : 'ignored',
    );
  });

  it("receives a channel's first event, and no other before it", async () => {
    const channel = new Channel<string>();
    const server = await StreamServer.serve((app) => app.get('/stream', () => channel));
    await server.open(kind);
    while (channel.size === 0) await setImmediate();

    await channel.publish('first');
    await server.recorder.until('first');

    expect(server.receivedText(kind)).toEqual(['message first']);
    note('channel', 'first event first');
  });

  const requests = kind.stopsAtAnyEnd ? [''] : ['', '~end'];
  it(`makes ${kind.stopsAtAnyEnd ? 'one request' : 'two requests'} for a finished stream`, async () => {
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        yield 'first';
        return 'done';
      });
    });
    await server.open(kind);

    await server.recorder.stopped.promise;

    const last = kind.isFetchClient ? 'message done' : 'end done';
    expect(server.receivedText(kind)).toEqual(['message first', last]);
    expect(server.ids).toEqual(requests);
    expect(server.statuses).toEqual([200, 204].slice(0, requests.length));
    note('`end`', kind.stopsAtAnyEnd ? '1 request' : '2 requests, stops on 204');
    note('return value', last);
  });

  it('aborts the signal of the generator when it closes', async () => {
    const left = new Gate();
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* (_req, res) {
        yield 'first';
        await aborted(res.sse.signal);
        left.open();
      });
    });
    const close = await server.open(kind);
    await server.recorder.until('first');

    close();

    await left.promise;
    note('closing detected', 'yes');
  });

  if (kind.canPost) {
    it('receives the response to a POST with a JSON body', async () => {
      const server = await StreamServer.serve((app) => {
        app.post('/stream', express.json(), async function* (req) {
          yield req.body;
        });
      });
      const headers = { 'Content-Type': 'application/json' };

      await server.open(kind, { method: 'POST', headers, body: '{"prompt":"hé"}' });
      await server.recorder.until('{"prompt":"hé"}');

      note('POST', 'received');
    });
  }
}

describeClient(eventsource);

describeClient(eventsourceClient);

describeClient(launchDarkly);

describe('launchdarkly-eventsource whose connection ends', () => {
  it('dispatches its own `end`, which differs from the closing event only by its data', async () => {
    const server = await StreamServer.serve((app) => {
      // biome-ignore lint/correctness/useYield: it only returns a value.
      app.get('/stream', async function* () {
        return 'ours';
      });
    });
    await server.open(launchDarkly);

    await server.recorder.stopped.promise;

    expect(server.recorder.events.map(({ type, data }) => `${type} ${data}`)).toEqual([
      'end ours',
      `end ${CLIENT_MADE}`,
    ]);
    matrix.note(launchDarkly.name, 'and', 'its own `end` after each end');
  });
});

describeInChromium('Chromium', (tabs) => {
  describeClient(chromiumEventSource(tabs));

  describeClient(fetchEventSource(tabs));

  describe(chromiumFetch(tabs).name, () => describeReader(chromiumFetch(tabs)));

  it('fetch rejects for an incomplete answer, but not before the page has read the last events', async () => {
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        yield 'first';
        throw new Error('in the middle');
      });
    });
    const page = await tabs.open(server.url.replace('/stream', '/page'));

    const read = await page.evaluate(async () => {
      const texts: string[] = [];
      for (let n = 0; n < 20; n++) {
        let text = '';
        const { body } = await fetch('/stream');
        const write = (piece: string) => {
          text += piece;
        };
        await body
          ?.pipeThrough(new TextDecoderStream())
          .pipeThrough(new TransformStream<string, string>())
          .pipeTo(new WritableStream({ write }))
          .catch(({ name }: Error) => write(name));
        texts.push(text);
      }
      return texts;
    });

    expect(read).toEqual(Array(20).fill('retry: 1\n\ndata: first\n\nTypeError'));
    matrix.note('fetch with eventsource-parser', 'incomplete answer', 'fails');
  });

  it('fetch streams a second response for the same URL beside the first', async () => {
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* (_req, res) {
        yield 'first';
        await aborted(res.sse.signal);
      });
    });
    const page = await tabs.open(server.url.replace('/stream', '/page'));

    const read = await page.evaluate(async () => {
      const first = async () => {
        const piece = await (await fetch('/stream')).body?.getReader().read();
        return new TextDecoder().decode(piece?.value);
      };
      return [await first(), await first()];
    });

    expect(read).toEqual(Array(2).fill('retry: 1\n\ndata: first\n\n'));
    await page.close();
  });

  describe('fetch-event-source in an app that reconnects after an end', () => {
    const finished = (app: Express) => {
      app.get('/stream', async function* () {
        yield 'first';
      });
    };
    it('does not stop at a 204', async () => {
      const server = await StreamServer.serve(finished);
      await server.open(fetchEventSource(tabs, 'reconnect'));

      while (server.ids.length < 4) await setImmediate();

      expect(server.ids.slice(0, 4)).toEqual(['', '~end', '~end', '~end']);
    });

    it('stops if its `onopen` aborts at a 204', async () => {
      const server = await StreamServer.serve(finished);
      await server.open(fetchEventSource(tabs, 'reconnect, unless 204'));

      await server.recorder.stopped.promise;

      expect(server.ids).toEqual(['', '~end']);
    });
  });
});

describeWithCommand('curl', 'curl', () => {
  const note = (column: string, seen: string) => matrix.note('curl -N', column, seen);
  it('prints each event before the next one is yielded, and ends', async () => {
    const gates = Array.from({ length: 5 }, () => new Gate());
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        for (const [n, gate] of gates.entries()) {
          yield event('tick', `${n}\nünï ✓ 🚀`, { id: n });
          await gate.promise;
        }
        return 'done';
      });
    });
    const curl = await Curl.open(server.url);

    for (const [n, gate] of gates.entries()) {
      await curl.until(`event: tick\nid: ${n}\ndata: ${n}\ndata: ünï ✓ 🚀\n\n`);
      gate.open();
    }

    expect(await curl.ended()).toMatch(/id: 4\ndata: 4\ndata: ünï ✓ 🚀\n\ndata: done\n\n$/);
    note('data, types, ids', 'exact');
    note('each immediately', 'yes');
    note('`end`', '1 request');
    note('return value', 'message done');
  });

  it('resumes after the id in its header, and receives a 204 for `~end`', async () => {
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* (_req, res) {
        yield `after ${res.sse.lastEventId}`;
      });
    });

    const resumed = await Curl.open('-H', 'Last-Event-ID: é 7', server.url);
    const finished = await Curl.open('-w', '%{http_code}', '-H', 'Last-Event-ID: ~end', server.url);

    expect(await resumed.ended()).toContain('data: after é 7\n\n');
    expect(await finished.ended()).toBe('204');
    note('resume', 'by `-H`');
  });

  it('prints the response to a POST with a JSON body', async () => {
    const server = await StreamServer.serve((app) => {
      app.post('/stream', express.json(), async function* (req) {
        yield req.body;
      });
    });

    const curl = await Curl.open('-H', 'Content-Type: application/json', '-d', '{"prompt":"hé"}', server.url);

    expect(await curl.ended()).toContain('data: {"prompt":"hé"}\n\n');
    note('POST', 'received');
  });

  it('fails after the last event if the answer is incomplete', async () => {
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        yield 'first';
        throw new Error('in the middle');
      });
    });

    const curl = await Curl.open(server.url);

    await expect(curl.ended()).rejects.toThrow('curl failed');
    expect(curl.output).toContain('data: first\n\n');
    note('incomplete answer', 'fails');
  });

  it('prints the closing event with the `Accept` of an EventSource', async () => {
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* () {
        yield 'first';
      });
    });

    const curl = await Curl.open('-H', 'Accept: text/event-stream', server.url);

    expect(await curl.ended()).toMatch(/event: end\nid: ~end\ndata: null\n\n$/);
  });

  it('aborts the signal of the generator when curl is killed', async () => {
    const left = new Gate();
    const server = await StreamServer.serve((app) => {
      app.get('/stream', async function* (_req, res) {
        yield 'first';
        await aborted(res.sse.signal);
        left.open();
      });
    });
    const curl = await Curl.open(server.url);
    await curl.until('data: first\n\n');

    await curl.kill();

    await left.promise;
    note('closing detected', 'yes');
  });
});
