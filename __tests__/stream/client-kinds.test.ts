import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel, comment, event, type SseOptions } from '../../lib';
import { aborted, Gate } from '../support/gate';
import { releaseAll, serve, type TestServer } from '../support/serve';
import { Wire } from '../support/wire';

const EVENT_SOURCE = { headers: { Accept: 'text/event-stream' } };
const SDK = { headers: { Accept: 'application/json' } };

afterEach(releaseAll);

/** The body as far as it arrived, and whether the client takes it for complete. */
async function read(response: Response): Promise<{ text: string; complete: boolean }> {
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const chunk of response.body ?? [])
      text += decoder.decode(chunk as Uint8Array, { stream: true });
    return { text, complete: true };
  } catch {
    return { text, complete: false };
  }
}

/** A route whose generator yields once, then waits, and records its `finally`. */
function waiting(): {
  route: (req: unknown, res: { sse: { signal: AbortSignal } }) => AsyncGenerator;
  cleaned: Gate;
  signal: Gate<AbortSignal>;
} {
  const cleaned = new Gate();
  const signal = new Gate<AbortSignal>();
  return {
    cleaned,
    signal,
    route: async function* (_req, res) {
      signal.open(res.sse.signal);
      try {
        yield 'half';
        await aborted(res.sse.signal);
      } finally {
        cleaned.open();
      }
    },
  };
}

function started(options: SseOptions, handler: Parameters<typeof serve>[0]): Promise<TestServer> {
  return serve(handler, options);
}

describe('a request counts as', () => {
  it.each<[string, RequestInit, 'eventsource' | 'fetch']>([
    ['GET with Accept: text/event-stream', EVENT_SOURCE, 'eventsource'],
    [
      'GET with event streams among others',
      { headers: { Accept: 'application/json, Text/Event-Stream;q=0.9' } },
      'eventsource',
    ],
    ['GET with */*', { headers: { Accept: '*/*' } }, 'fetch'],
    ['GET with application/json', SDK, 'fetch'],
    ['POST with Accept: text/event-stream', { method: 'POST', ...EVENT_SOURCE }, 'fetch'],
    ['PUT', { method: 'PUT' }, 'fetch'],
  ])('%s', async (_name, init, kind) => {
    const server = await serve((app) => {
      app.all('/', async function* () {
        yield 'a';
        return 'b';
      });
    });

    const response = await fetch(server.url('/'), init);

    expect(await response.text()).toBe(
      kind === 'fetch' ? 'data: a\n\ndata: b\n\n' : 'data: a\n\nevent: end\nid: ~end\ndata: b\n\n',
    );
  });

  it.each<['eventsource' | 'fetch', RequestInit, string]>([
    ['fetch', EVENT_SOURCE, 'data: b\n\n'],
    [
      'eventsource',
      { method: 'POST', ...SDK, headers: { Accept: '*/*' } },
      'event: end\nid: ~end\ndata: b\n\n',
    ],
  ])('decided by hand: %s', async (client, init, body) => {
    const server = await serve(
      (app) => {
        app.all('/', async function* () {
          yield* [];
          return 'b';
        });
      },
      { client },
    );

    expect(await (await fetch(server.url('/'), init)).text()).toBe(body);
  });
});

describe('a generator that returns, for a fetch client', () => {
  it.each<[string, unknown, string]>([
    ['nothing', undefined, ''],
    ['null', null, 'data: null\n\n'],
    ['[DONE]', '[DONE]', 'data: [DONE]\n\n'],
    ['an object', { rows: 1 }, 'data: {"rows":1}\n\n'],
    ['an event', event('done', { rows: 1 }), 'event: done\ndata: {"rows":1}\n\n'],
    ['an event with an id', event('done', 1, { id: 7 }), 'event: done\nid: 7\ndata: 1\n\n'],
    ['a comment', comment('bye'), ': bye\n\n'],
  ])('sends %s as the last event, and ends the response regularly', async (_name, value, last) => {
    const server = await serve((app) => {
      app.post('/', async function* () {
        yield 1;
        return value;
      });
    });

    const response = await fetch(server.url('/'), { method: 'POST' });

    expect(await read(response)).toEqual({ text: `data: 1\n\n${last}`, complete: true });
  });

  it.each([
    ['an EventSource', EVENT_SOURCE],
    ['a fetch client', SDK],
  ])("sends the value as the last event to %s with end: 'reconnect'", async (_name, init) => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield* [];
          return '[DONE]';
        });
      },
      { end: 'reconnect' },
    );

    expect(await read(await fetch(server.url('/'), init))).toEqual({
      text: 'data: [DONE]\n\n',
      complete: true,
    });
  });
});

describe('an incomplete answer', () => {
  it.each<[string, RequestInit, boolean]>([
    ['cut for a fetch client', { method: 'POST', ...SDK }, false],
    ['ended for an EventSource, which reconnects', EVENT_SOURCE, true],
  ])('of a generator that throws is %s', async (_name, init, complete) => {
    const server = await serve(
      (app) => {
        app.all('/', async function* () {
          yield 'half';
          throw new Error('broken');
        });
      },
      { onError: () => event('error', 'sorry') },
    );

    const response = await fetch(server.url('/'), init);

    expect(await read(response)).toEqual({ text: 'data: half\n\nevent: error\ndata: sorry\n\n', complete });
    expect(await server.errorsHandled(1)).toEqual([new Error('broken')]);
  });

  it.each([1, 100, 5_000])('is delivered to its last byte before it is cut (%i kB)', async (size) => {
    const data = 'ü'.repeat(size * 500);
    const server = await serve((app) => {
      app.post('/', async function* () {
        yield data;
        throw new Error('broken');
      });
    });

    const body = 'x'.repeat(200_000);
    const head = `POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${body.length}\r\n\r\n`;
    const wire = await Wire.open(server.port, head + body);
    await once(wire.socket, 'close');

    expect(wire.body.replace(/\r\n[\da-f]+\r\n/g, '').length).toBeGreaterThanOrEqual(data.length);
    expect(wire.body).toMatch(/ü\n\n\r\n$/);
    await server.errorsHandled(1);
  });

  it('is delivered to its last byte also if the client takes that long after the cut', async () => {
    const thrown = new Gate();
    const server = await serve((app) => {
      app.post('/', async function* (_req, res) {
        const socket = res.socket as Socket;
        // Until the system takes no more, so that the last event waits in the process.
        while (socket.writableLength === 0) {
          yield 'x'.repeat(5_000);
          await setImmediate();
        }
        yield 'last';
        thrown.open();
        throw new Error('broken');
      });
    });
    const wire = await Wire.open(server.port, 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n');
    wire.socket.pause();
    await thrown.promise;
    await sleep(200);
    const waiting = server.responses[0]?.socket?.writableLength;

    wire.socket.resume();
    await once(wire.socket, 'close');

    expect(waiting).toBeGreaterThan(0);
    expect(wire.text).toMatch(/data: last\n\n\r\n$/);
    await server.errorsHandled(1);
  });

  it('of a channel that is closed is cut', async () => {
    const channel = new Channel<string>();
    const server = await serve((app) => {
      app.get('/', () => channel);
    });
    const response = await fetch(server.url('/'));
    const reading = read(response);
    while (channel.size === 0) await setImmediate();
    await channel.publish('half');
    await sleep(20);

    await channel.close();

    const { text, complete } = await reading;
    expect([text.endsWith('data: half\n\n'), complete]).toEqual([true, false]);
  });

  it('of maxDurationMs is cut after finally has run', async () => {
    const { route, cleaned, signal } = waiting();
    const server = await started({ maxDurationMs: 100 }, (app) => void app.post('/', route));

    const response = await fetch(server.url('/'), { method: 'POST' });

    expect(await read(response)).toEqual({ text: 'data: half\n\n', complete: false });
    await cleaned.promise;
    expect(Object(await signal.promise).reason).toMatchObject({
      name: 'AbortError',
      code: 'ERR_SSE_EXPIRED',
    });
  });

  it('over HTTP/1.0 is reset, because its end is the end of the connection', async () => {
    const received = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield 'half';
        await received.promise;
        throw new Error('broken');
      });
    });

    const wire = await Wire.open(server.port, 'GET / HTTP/1.0\r\nHost: test\r\n\r\n');
    const errored = new Promise<NodeJS.ErrnoException>((resolve) => wire.socket.on('error', resolve));
    await wire.until('half\n\n');
    received.open();

    expect([wire.body, (await errored).code]).toEqual(['data: half\n\n', 'ECONNRESET']);
    await server.errorsHandled(1);
  });
});

describe('before the first value, for a fetch client', () => {
  it('an error after more than 50 ms still has its status', async () => {
    const server = await serve((app) => {
      app.post('/', async function* () {
        yield* [];
        await sleep(150);
        throw Object.assign(new Error('slow down'), { status: 429 });
      });
    });

    const response = await fetch(server.url('/'), { method: 'POST' });

    expect([response.status, await response.json()]).toEqual([429, { error: 'slow down' }]);
  });

  it('the head is sent with a comment after keepAliveMs', async () => {
    const gate = new Gate();
    const server = await serve(
      (app) => {
        app.post('/', async function* () {
          await gate.promise;
          yield 'late';
        });
      },
      { keepAliveMs: 30 },
    );

    const response = await fetch(server.url('/'), { method: 'POST' });
    gate.open();

    expect(response.status).toBe(200);
    expect((await response.text()).startsWith(': \n\n')).toBe(true);
  });

  it('commitAfterMs given by hand applies', async () => {
    const gate = new Gate();
    const server = await serve(
      (app) => {
        app.post('/', async function* () {
          yield* [];
          await gate.promise;
        });
      },
      { commitAfterMs: 0 },
    );

    const response = await fetch(server.url('/'), { method: 'POST' });
    gate.open();

    expect(await response.text()).toBe(': \n\n');
  });
});

describe('a request that cannot be streamed, from a fetch client', () => {
  it('above maxStreams is a 503 with Retry-After', async () => {
    const { route, cleaned } = waiting();
    const server = await started({ maxStreams: 1 }, (app) => void app.post('/', route));
    const first = await fetch(server.url('/'), { method: 'POST' });

    const second = await fetch(server.url('/'), { method: 'POST' });

    expect([second.status, Number(second.headers.get('Retry-After')) >= 5]).toEqual([503, true]);
    expect(await server.errorsHandled(1)).toEqual([
      expect.objectContaining({ code: 'ERR_SSE_FULL', status: 503 }),
    ]);
    await first.body?.cancel();
    await cleaned.promise;
  });

  it("above maxStreams is retried by an EventSource with whenFull: 'retry' by hand", async () => {
    const { route, cleaned } = waiting();
    const server = await started({ maxStreams: 1, whenFull: 'retry' }, (app) => void app.post('/', route));
    const first = await fetch(server.url('/'), { method: 'POST' });

    const second = await fetch(server.url('/'), { method: 'POST' });

    expect([second.status, await second.text()]).toEqual([200, expect.stringMatching(/^retry: \d+\n\n$/)]);
    await first.body?.cancel();
    await cleaned.promise;
  });

  it('of a closing server is a 503 that closes its connection', async () => {
    const server = await serve((app) => {
      app.post('/', async function* () {
        yield 1;
      });
    });
    await server.sse.close();

    const response = await fetch(server.url('/'), { method: 'POST' });

    expect([response.status, response.headers.get('connection')]).toEqual([503, 'close']);
    expect(await server.errorsHandled(1)).toEqual([expect.objectContaining({ code: 'ERR_SSE_CLOSING' })]);
  });
});

describe('sse.close(), with a fetch client', () => {
  it('lets an answer that is nearly done finish', async () => {
    const gate = new Gate();
    const server = await serve((app) => {
      app.post('/', async function* () {
        yield 'half';
        await gate.promise;
        return 'whole';
      });
    });
    const response = await fetch(server.url('/'), { method: 'POST' });

    const closed = server.sse.close({ spreadMs: 0, graceMs: 0 });
    await sleep(20);
    gate.open();

    expect(await read(response)).toEqual({ text: 'data: half\n\ndata: whole\n\n', complete: true });
    await closed;
  });

  it('cuts it after drainMs, and reports why', async () => {
    const { route, cleaned, signal } = waiting();
    const server = await started({}, (app) => void app.post('/', route));
    const response = await fetch(server.url('/'), { method: 'POST' });

    const reading = read(response);
    await server.sse.close({ spreadMs: 0, drainMs: 50 });

    expect(await reading).toEqual({ text: 'data: half\n\n', complete: false });
    await cleaned.promise;
    expect(Object(await signal.promise).reason).toMatchObject({
      name: 'AbortError',
      code: 'ERR_SSE_CLOSING',
    });
  });

  it('answers 503 if nothing was sent yet', async () => {
    const cleaned = new Gate();
    const server = await serve((app) => {
      app.post('/', async function* (_req, res) {
        yield* [];
        try {
          await aborted(res.sse.signal);
        } finally {
          cleaned.open();
        }
      });
    });
    const answer = fetch(server.url('/'), { method: 'POST' });
    while (server.sse.size === 0) await setImmediate();

    await server.sse.close({ spreadMs: 0, drainMs: 0, graceMs: 0 });

    expect((await answer).status).toBe(503);
    await cleaned.promise;
  });
});

describe('the reason of an aborted signal', () => {
  it('has the code ERR_SSE_STALLED if the client does not read', async () => {
    const reason = new Gate<unknown>();
    const server = await started({ stallTimeoutMs: 30 }, (app) => {
      app.get('/', async function* (_req, res) {
        const { signal } = res.sse;
        try {
          for (;;) yield 'x'.repeat(100_000);
        } finally {
          reason.open(signal.reason);
        }
      });
    });
    const client = await server.openStream('/');
    client.stall();

    expect(await reason.promise).toMatchObject({ name: 'AbortError', code: 'ERR_SSE_STALLED' });
  });

  it('has the code ERR_SSE_CLIENT_LEFT after the client has left', async () => {
    const { route, cleaned, signal } = waiting();
    const server = await started({}, (app) => void app.post('/', route));
    const request = http.request(server.url('/'), { method: 'POST' }).end();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.on('error', () => undefined);

    response.destroy();

    await cleaned.promise;
    expect(Object(await signal.promise).reason).toMatchObject({
      name: 'AbortError',
      code: 'ERR_SSE_CLIENT_LEFT',
    });
  });
});
