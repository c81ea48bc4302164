import { once } from 'node:events';
import { Agent, get as httpGet } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import compression from 'compression';
import express, { type Express, type Response } from 'express';
import { comment, event } from '../../lib/index';
import type { OpenedStream, StreamInit } from '../../lib/testing';
import { aborted, Gate } from '../support/gate';
import { releaseAll, serve, type TestServer } from '../support/serve';
import { get, Wire } from '../support/wire';

afterEach(releaseAll);

const END = 'event: end\nid: ~end\ndata: null\n\n';

/** A generator function that yields `values`, waits for its signal, and opens `done` in its `finally`. */
function waiting(done: Gate, ...values: unknown[]) {
  return async function* (_req: unknown, res: { sse: { signal: AbortSignal } }) {
    try {
      yield* values;
      await aborted(res.sse.signal);
    } finally {
      done.open();
    }
  };
}

/** The connection of the only client so far. */
function connection(server: TestServer): Socket {
  const socket = server.responses[0]?.socket;
  if (!socket) throw new Error('Expected a response with a socket.');
  return socket;
}

/** Every response that has closed counts as destroyed, so this asks the socket, and the client for the end of the response. */
async function expectReset(socket: Socket, client: OpenedStream): Promise<void> {
  expect(socket.destroyed).toBe(true);
  client.resume();
  await expect(client.ended()).rejects.toThrow('the connection was lost');
}

describe('before the head', () => {
  it('calls return() on the source of a response that has closed, and does not start it', async () => {
    const returned = new Gate();
    const requested = new Gate();
    const started = jest.fn();
    const server = await serve((app) => {
      app.get('/', async (_req, res) => {
        requested.open();
        await once(res, 'close');
        const source = (async function* () {
          started();
          yield 1;
        })();
        const { return: original } = source;
        source.return = (value) => {
          returned.open();
          return original.call(source, value);
        };
        return source;
      });
    });

    const request = server.send('/');
    await requested.promise;
    request.destroy();
    await returned.promise;

    expect(started).not.toHaveBeenCalled();
  });

  it('responds with 204 to Last-Event-ID: ~end, and does not start the generator', async () => {
    const started = jest.fn();
    const server = await serve((app) => {
      app.get('/', async function* () {
        started();
        yield 1;
      });
    });

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': '~end' } });

    expect(client.status).toBe(204);
    expect(client.headers['cache-control']).toBe('no-store');
    expect(await client.ended()).toBe('');
    expect(started).not.toHaveBeenCalled();
  });

  it.each([
    ['without compression', []],
    ['with compression', [compression()]],
  ])('responds to HEAD with headers and no body (%s)', async (_where, outermost) => {
    const started = jest.fn();
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          started();
          yield 1;
        });
      },
      { outermost },
    );

    const client = await server.openStream('/', { method: 'HEAD' });

    expect(client.status).toBe(200);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(await client.ended()).toBe('');
    expect(started).not.toHaveBeenCalled();
  });

  it.each(['application/json', 'application/json, text/event-stream;q=0'])(
    'passes a 406 to next if the Accept of an EventSource excludes text/event-stream: %s',
    async (accept) => {
      const started = jest.fn();
      const server = await serve(
        (app) => {
          app.get('/', async function* () {
            started();
            yield 1;
          });
        },
        { client: 'eventsource' },
      );

      const client = await server.openStream('/', { headers: { Accept: accept } });

      expect(client.status).toBe(406);
      expect(server.errors).toEqual([
        expect.objectContaining({ code: 'ERR_SSE_NOT_ACCEPTABLE', status: 406 }),
      ]);
      expect(started).not.toHaveBeenCalled();
    },
  );

  it('ignores an Accept without event streams, because SDKs send application/json and mean a stream', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield 1;
      });
    });

    const client = await server.openStream('/', { headers: { Accept: 'application/json' } });

    expect(client.status).toBe(200);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(await client.ended()).toBe('data: 1\n\n');
    expect(server.errors).toEqual([]);
  });

  it('sends the headers of an event stream, and keeps headers set earlier', async () => {
    const server = await serve((app) => {
      app.use((_req, res, next) => {
        res.cookie('session', 'a').cookie('theme', 'b');
        res.set({ 'Access-Control-Allow-Origin': '*', 'Content-Length': '5' });
        next();
      });
      app.get('/', async function* () {
        yield 1;
      });
    });

    const client = await server.openStream('/', { headers: { Connection: 'keep-alive' } });

    expect(client.status).toBe(200);
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'private, no-cache, no-store, no-transform',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': '*',
      'set-cookie': ['session=a; Path=/', 'theme=b; Path=/'],
      'transfer-encoding': 'chunked',
    });
    expect(client.headers).not.toHaveProperty('content-length');
    await client.ended();
  });

  it('sends the headers option, which takes precedence', async () => {
    const headers = { 'X-Trace': ['a', 'b'], 'Cache-Control': 'no-store' };
    const server = await serve((app) => app.get('/', async function* () {}), { headers });

    const client = await server.openStream('/');

    expect(client.headers).toMatchObject({ 'x-trace': 'a, b', 'cache-control': 'no-store' });
  });

  it('appends the headers option to Set-Cookie and Vary', async () => {
    const headers = { 'Set-Cookie': 'b=2', Vary: 'Cookie' };
    const server = await serve(
      (app) => {
        app.use((_req, res, next) => {
          res.setHeader('Set-Cookie', 'a=1');
          res.vary('Origin');
          next();
        });
        app.get('/', async function* () {});
      },
      { headers },
    );

    const client = await server.openStream('/');

    expect(client.headers).toMatchObject({ 'set-cookie': ['a=1', 'b=2'], vary: 'Origin, Cookie' });
  });

  it("keeps a client's Connection: close", async () => {
    const server = await serve((app) => app.get('/', async function* () {}));

    const client = await server.openStream('/', { headers: { Connection: 'close' } });

    expect(client.headers.connection).toBe('close');
    await client.ended();
    await client.closed();
  });

  it('sends retryMs first', async () => {
    const server = await serve((app) => app.get('/', async function* () {}), { retryMs: 1234 });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`retry: 1234\n\n${END}`);
  });

  it('sends the head and a comment if there is no value within commitAfterMs', async () => {
    const first = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          await first.promise;
          yield 1;
        });
      },
      { commitAfterMs: 10 },
    );

    const client = await server.openStream('/');
    expect(await client.untilText('\n\n')).toBe(': \n\n');
    first.open();

    expect(await client.ended()).toBe(`: \n\ndata: 1\n\n${END}`);
  });

  it('sends the head before the first value with commitAfterMs: 0', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield await Promise.reject(new Error('too late for a status'));
        });
      },
      { commitAfterMs: 0 },
    );

    const client = await server.openStream('/');

    expect(client.status).toBe(200);
    expect(await client.ended()).toBe(': \n\n');
    await server.errorsHandled(1);
  });

  it('waits for the first value without a limit with commitAfterMs: false', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          await sleep(120);
          res.set('X-Found', 'yes');
          yield 1;
        });
      },
      { commitAfterMs: false },
    );

    const client = await server.openStream('/');

    expect(client.headers['x-found']).toBe('yes');
    expect(await client.ended()).toBe(`data: 1\n\n${END}`);
  });
});

describe('the client disconnects', () => {
  it.each(['GET', 'POST'])('aborts the signal and runs finally immediately (%s)', async (method) => {
    const done = new Gate();
    const server = await serve((app) => {
      app.use(express.json());
      app.all('/', waiting(done, 'hello'));
    });

    const body =
      method === 'POST' ? { body: '{"a":1}', headers: { 'Content-Type': 'application/json' } } : {};
    const client = await server.openStream('/', { method, ...body });
    await client.untilText('hello');
    client.drop();
    await done.promise;

    expect(server.errors).toEqual([]);
  });

  it('does not end a POST stream early when its body has been read', async () => {
    const server = await serve((app) => {
      app.use(express.json());
      app.post('/', async function* (req) {
        await once(req, 'close');
        yield 'still here';
        yield req.body;
      });
    });

    const init = { method: 'POST', body: '{"a":1}', headers: { 'Content-Type': 'application/json' } };
    const client = await server.openStream('/', init);

    expect(await client.ended()).toBe('data: still here\n\ndata: {"a":1}\n\n');
  });

  it('calls return() while the generator is blocked, so that finally runs when its await settles', async () => {
    const blocked = new Gate();
    const done = new Gate();
    const resumed = jest.fn();
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          yield 1;
          await blocked.promise;
          yield 2;
          resumed();
        } finally {
          done.open();
        }
      });
    });

    const client = await server.openStream('/');
    await client.untilText('data: 1');
    client.drop();
    while (server.sse.size > 0) await sleep(1);
    blocked.open();
    await done.promise;

    expect(resumed).not.toHaveBeenCalled();
  });

  it('runs finally when the client disconnects before the first value', async () => {
    const done = new Gate();
    const started = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          try {
            started.open();
            await aborted(res.sse.signal);
            yield 1;
          } finally {
            done.open();
          }
        });
      },
      { commitAfterMs: false },
    );

    const request = server.send('/');
    await started.promise;
    request.destroy();
    await done.promise;

    expect(server.errors).toEqual([]);
  });

  it('runs finally when the client disconnects while it does not read', async () => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          for (;;) yield 'x'.repeat(50_000);
        } finally {
          done.open();
        }
      });
    });

    const client = await server.openStream('/');
    client.stall();
    await server.full();
    client.drop();

    await done.promise;
  });

  it('does not report an error that the abort caused', async () => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        try {
          yield 1;
          await sleep(60_000, null, { signal: res.sse.signal });
        } finally {
          done.open();
        }
      });
    });

    const client = await server.openStream('/');
    await client.untilText('data: 1');
    client.drop();
    await done.promise;
    await sleep(5);

    expect(server.errors).toEqual([]);
  });

  it('passes an error that the abort did not cause to the error handlers', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          // Endless, so that the error comes from return().
          for (;;) yield 'x'.repeat(50_000);
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: the test needs a cleanup that fails
          throw new Error('clean-up failed');
        }
      });
    });

    const client = await server.openStream('/');
    client.drop();

    expect(await server.errorsHandled(1)).toEqual([expect.objectContaining({ message: 'clean-up failed' })]);
  });

  it('runs a finally block that yields to its end, and discards the values', async () => {
    const rest = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          for (;;) yield 'x'.repeat(50_000);
        } finally {
          yield 'bye';
          yield 'bye again';
          rest.open();
        }
      });
    });

    const client = await server.openStream('/');
    client.stall();
    await server.full();
    client.drop();

    await rest.promise;
  });

  it('warns once per route about a generator that continues after its client has disconnected', async () => {
    const warned = new Gate<unknown[]>();
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation((...args) => warned.open(args));
    const blocked = new Gate();
    const server = await serve(
      (app) => {
        app.get('/stuck', async function* () {
          yield 1;
          await blocked.promise;
        });
      },
      { cleanupWarnMs: 5 },
    );

    for (let i = 0; i < 2; i++) {
      const client = await server.openStream('/stuck?token=secret');
      await client.untilText('data: 1');
      client.drop();
    }
    const [message, options] = await warned.promise;
    await sleep(30);
    blocked.open();

    expect(message).toBe(
      'The generator of GET /stuck continues although its client has left. Pass res.sse.signal to what it awaits; ' +
        'if that is done, what it awaits ignores it. See docs/error-codes.md#sse_generator_outlives_client',
    );
    expect(options).toEqual({ type: 'SseWarning', code: 'SSE_GENERATOR_OUTLIVES_CLIENT' });
    expect(emitWarning).toHaveBeenCalledTimes(1);
    emitWarning.mockRestore();
  });
});

describe('the generator returns', () => {
  it('sends the closing event with the return value as its data', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield 1;
        return { rows: 2 };
      });
    });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: 1\n\nevent: end\nid: ~end\ndata: {"rows":2}\n\n');
  });

  it('sends a returned event as the last frame, with its type', async () => {
    const server = await serve((app) => {
      // biome-ignore lint/correctness/useYield: the test needs only a return value
      app.get('/', async function* () {
        return event('done', { rows: 2 });
      });
    });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('event: done\nid: ~end\ndata: {"rows":2}\n\n');
  });

  it.each([null, 0, false, ''])('sends the return value %p unchanged', async (value) => {
    const server = await serve((app) => {
      // biome-ignore lint/correctness/useYield: the test needs only a return value
      app.get('/', async function* () {
        return value;
      });
    });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(
      `event: end\nid: ~end\ndata: ${value === '' ? '' : JSON.stringify(value)}\n\n`,
    );
  });

  it("sends the return value as an ordinary event, and no 204, with end: 'reconnect'", async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield 1;
          return 2;
        });
      },
      { end: 'reconnect' },
    );

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': '~end' } });

    expect(client.status).toBe(200);
    expect(await client.ended()).toBe('data: 1\n\ndata: 2\n\n');
  });

  it("sends no last frame for nothing returned, with end: 'reconnect'", async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield 1;
        });
      },
      { end: 'reconnect' },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: 1\n\n');
  });

  it('leaves the connection open for the next request', async () => {
    const server = await serve((app) => app.get('/', async function* () {}));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });

    const sockets = new Set();
    for (let i = 0; i < 3; i++) {
      const request = httpGet(server.url('/'), { agent });
      const [response] = await once(request, 'response');
      sockets.add(response.socket);
      await once(response.resume(), 'end');
    }
    agent.destroy();

    expect(sockets.size).toBe(1);
  });

  it.each(['event with an id', 'binary data'])(
    'treats a return value that cannot be encoded as an error: %s',
    async (what) => {
      const value = what === 'binary data' ? new Uint8Array(3) : event('done', 1, { id: 7 });
      const server = await serve((app) => {
        app.get('/', async function* () {
          yield 1;
          return value;
        });
      });

      const client = await server.openStream('/');

      expect(await client.ended()).toBe('data: 1\n\n');
      expect(await server.errorsHandled(1)).toEqual([expect.any(TypeError)]);
    },
  );
});

describe('the generator throws', () => {
  it('passes an error before the head to next, and sets no headers', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield await Promise.reject(Object.assign(new Error('no ticket'), { status: 401 }));
      });
    });

    const client = await server.openStream('/');

    expect(client.status).toBe(401);
    expect(client.headers['content-type']).toMatch('application/json');
    expect(client.headers).not.toHaveProperty('cache-control');
    expect(client.headers).not.toHaveProperty('x-accel-buffering');
    expect(await client.ended()).toBe('{"error":"no ticket"}');
    expect(server.sse.size).toBe(0);
  });

  it('delivers earlier values, ends without ~end or error text, and then calls next', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield 1;
        yield 2;
        throw new Error('secret');
      });
    });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: 1\n\ndata: 2\n\n');
    expect(await server.errorsHandled(1)).toEqual([expect.objectContaining({ message: 'secret' })]);
    expect(server.closedBefore).toEqual([true]);
  });

  it('sends the return value of onError as the last event', async () => {
    const onError = jest.fn((error: unknown) => event('failed', { message: (error as Error).message }));
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield 1;
          throw new Error('known');
        });
      },
      { onError },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: 1\n\nevent: failed\ndata: {"message":"known"}\n\n');
    await server.errorsHandled(1);
    expect(onError).toHaveBeenCalledTimes(1);
    expect(onError).toHaveBeenCalledWith(expect.any(Error), expect.objectContaining({ url: '/' }));
  });

  it.each([
    ['throws', () => { throw new Error('in onError'); }], // biome-ignore format: one line a row
    ['returns a value that cannot be encoded', () => new Uint8Array(1)],
    ['returns a promise', async () => 'too late'],
  ])('still ends the stream when onError %s, and warns', async (_what, onError) => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation();
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield 1;
          throw new Error('first');
        });
      },
      { onError },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: 1\n\n');
    expect(await server.errorsHandled(1)).toEqual([expect.objectContaining({ message: 'first' })]);
    expect(emitWarning).toHaveBeenCalledTimes(1);
    emitWarning.mockRestore();
  });

  it.each([undefined, null, 0, ''])('passes an Error to next for a thrown %p', async (thrown) => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield await Promise.reject(thrown);
      });
    });

    const client = await server.openStream('/');

    expect(client.status).toBe(500);
    expect(server.errors).toEqual([expect.any(Error)]);
  });
});

describe('a value that cannot be encoded', () => {
  const bad: Array<[string, unknown]> = [
    ['undefined', undefined],
    ['a function', () => 1],
    ['a BigInt', 1n],
    ['bytes', new Uint8Array(1)],
    ['a generator, which would need yield*', (async function* () {})()],
  ];

  it.each(bad)('before the head: %s causes an error status', async (_what, value) => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          yield value;
        } finally {
          done.open();
        }
      });
    });

    const client = await server.openStream('/');
    await done.promise;

    expect(client.status).toBe(500);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_INVALID_DATA' })]);
  });

  it.each(bad)('after the head: %s ends the stream, and no earlier value is lost', async (_what, value) => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          yield 'kept';
          yield value;
        } finally {
          done.open();
        }
      });
    });

    const client = await server.openStream('/');
    await done.promise;

    expect(await client.ended()).toBe('data: kept\n\n');
    expect(await server.errorsHandled(1)).toEqual([expect.any(TypeError)]);
  });
});

describe('a generator that sends its own response', () => {
  it.each([
    ['ends the response', 'data: 1\n\n', (res: Response) => res.end()],
    ['destroys the response', undefined, (res: Response) => res.destroy()],
  ])('%s after its first value, without an error', async (_what, body, act) => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        try {
          yield 1;
          await sleep(5);
          act(res);
          yield 2;
          await sleep(5);
        } finally {
          done.open();
        }
      });
    });

    const client = await server.openStream('/');
    await done.promise;

    if (body !== undefined) expect(await client.ended()).toBe(body);
    expect(server.errors).toEqual([]);
  });

  it.each([
    ['immediately', () => undefined],
    ['after an await', () => sleep(1)],
  ])('delivers a large body, %s', async (_when, check) => {
    const server = await serve((app) => {
      // biome-ignore lint/correctness/useYield: this generator must not yield
      app.get('/', async function* (_req, res) {
        await check();
        res.status(403).send('x'.repeat(8_000_000));
      });
    });

    const client = await server.openStream('/');

    expect(client.status).toBe(403);
    expect(await client.ended()).toHaveLength(8_000_000);
    expect(server.errors).toEqual([]);
  });

  it('and then yields is stopped, and its response is kept', async () => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        try {
          res.redirect('/elsewhere');
          yield 1;
          yield 2;
        } finally {
          done.open();
        }
      });
    });

    const client = await server.openStream('/');
    await done.promise;

    expect(client.status).toBe(302);
    expect(await client.ended()).not.toContain('data:');
  });
});

describe('next', () => {
  const failing = (step: () => unknown) => ({
    [Symbol.asyncIterator]: () => ({
      next: step,
      return: () => {
        throw new Error('in return');
      },
    }),
  });

  it.each([
    ['a value that cannot be sent', async () => ({ done: false, value: 1n })],
    ['a rejection', () => Promise.reject(new Error('in next'))],
    ['a synchronous error', () => { throw new Error('in next'); }], // biome-ignore format: one line
    ['a result that is not an object', () => 7],
  ])('is called once for a source with %s whose return() also throws', async (_what, step) => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation();
    const server = await serve((app, sse) =>
      app.get(
        '/',
        sse(() => failing(step as () => unknown)),
      ),
    );

    const client = await server.openStream('/');
    await client.ended();
    await sleep(5);

    expect(client.status).toBe(500);
    expect(server.errors).toHaveLength(1);
    expect(emitWarning).toHaveBeenCalledWith(expect.stringContaining('in return'), expect.anything());
    emitWarning.mockRestore();
  });

  it('receives a thrown object whose name is not a string, after the signal has aborted', async () => {
    const exotic = { name: Object.create(null) };
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        yield 1;
        await aborted(res.sse.signal);
        throw exotic;
      });
    });
    const client = await server.openStream('/');
    await client.untilText('data: 1');

    client.drop();

    expect(await server.errorsHandled(1)).toEqual([exotic]);
  });
});

describe('a pipelined response', () => {
  /** `/slow` answers when `go` opens; the generators of `/stream` wait for their signal. */
  class Pipeline {
    readonly started = jest.fn();
    /** Called with the code of each aborted signal. */
    readonly onAbort = jest.fn();
    readonly returned = jest.fn();
    readonly go = new Gate();
    readonly waiting = new Set<string>();

    readonly build = (app: Express): void => {
      app.get('/slow', async (_req, res) => {
        await this.go.promise;
        res.end('slow');
      });
      app.get('/stream/:n', (req, res) => {
        this.waiting.add(req.params.n);
        const { signal } = res.sse;
        signal.addEventListener('abort', () => this.onAbort(signal.reason.code));
        return this.#observed(this.#generator(signal));
      });
    };

    request(count: number): string {
      const streams = Array.from({ length: count }, (_, n) => get(`/stream/${n}`, ''));
      return get('/slow', '') + streams.join('');
    }

    async *#generator(signal: AbortSignal) {
      this.started();
      yield 'open';
      await aborted(signal);
    }

    #observed<Source extends AsyncGenerator<unknown, void, void>>(source: Source): Source {
      const original = source.return.bind(source);
      return Object.assign(source, {
        return: () => {
          this.returned();
          return original();
        },
      });
    }
  }

  it('is released when the connection closes before its turn, and has neither started nor taken a slot', async () => {
    const pipeline = new Pipeline();
    const server = await serve(pipeline.build);
    const wire = await Wire.open(server.port, pipeline.request(20));
    while (pipeline.waiting.size < 20) await sleep(1);
    expect(server.sse.size).toBe(0);

    wire.socket.destroy();

    while (pipeline.returned.mock.calls.length < 20) await sleep(1);
    expect(pipeline.onAbort.mock.calls).toEqual(Array.from({ length: 20 }, () => ['ERR_SSE_CLIENT_LEFT']));
    expect(pipeline.returned).toHaveBeenCalledTimes(20);
    expect(pipeline.started).not.toHaveBeenCalled();
    pipeline.go.open();
  });

  it('is answered without a stream after sse.close(), when its turn comes', async () => {
    const pipeline = new Pipeline();
    const server = await serve(pipeline.build);
    const wire = await Wire.open(server.port, pipeline.request(1));
    while (pipeline.waiting.size < 1) await sleep(1);

    await server.sse.close({ spreadMs: 0, graceMs: 0 });
    pipeline.go.open();

    expect(await wire.ended()).toMatch(
      /slowHTTP\/1\.1 200 OK\r\n[\s\S]*\r\nConnection: close\r\n[\s\S]*\r\n\r\n0\r\n\r\n$/,
    );
    expect(pipeline.returned).toHaveBeenCalledTimes(1);
    expect(pipeline.started).not.toHaveBeenCalled();
  });

  it('starts when its turn comes, and holds a slot from then on', async () => {
    const pipeline = new Pipeline();
    const server = await serve(pipeline.build);
    const wire = await Wire.open(server.port, pipeline.request(2));
    while (pipeline.waiting.size < 2) await sleep(1);

    pipeline.go.open();
    await wire.until('data: open\n\n');

    expect(server.sse.size).toBe(1);
    expect(pipeline.started).toHaveBeenCalledTimes(1);
    wire.socket.destroy();
    while (pipeline.onAbort.mock.calls.length < 2) await sleep(1);
    expect(pipeline.returned).toHaveBeenCalledTimes(2);
    expect(pipeline.started).toHaveBeenCalledTimes(1);
  });
});

describe('sse.close()', () => {
  it('aborts each signal, lets generators send last events, and ends response and socket without ~end', async () => {
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        yield 1;
        await aborted(res.sse.signal);
        yield 'last event';
        return 'ignored';
      });
    });
    const client = await server.openStream('/', { headers: { Connection: 'keep-alive' } });
    await client.untilText('data: 1');

    const closed = server.sse.close({ spreadMs: 0, graceMs: 1_000 });

    expect(await client.ended()).toBe('data: 1\n\ndata: last event\n\n');
    await closed;
    await client.closed();
    expect(server.sse.size).toBe(0);
  });

  it('ends the socket of a keep-alive client', async () => {
    const server = await serve((app) => app.get('/', waiting(new Gate(), 'open')));
    server.server.keepAliveTimeout = 60_000;
    const wire = await Wire.open(server.port, get('/', ''));
    await wire.until('data: open');

    await server.sse.close({ spreadMs: 0 });

    expect(await wire.ended()).toMatch(/0\r\n\r\n$/);
  });

  it('ends a generator that ignores its signal after graceMs', async () => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          for (let i = 0; ; i++) {
            yield i;
            await sleep(2);
          }
        } finally {
          done.open();
        }
      });
    });
    const client = await server.openStream('/');
    await client.untilText('data: 1');

    await server.sse.close({ spreadMs: 0, graceMs: 20 });
    await done.promise;

    expect(await client.ended()).not.toContain('~end');
  });

  it('destroys the connection of a client that does not read its last bytes', async () => {
    const done = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* () {
        try {
          for (;;) yield 'x'.repeat(50_000);
        } finally {
          done.open();
        }
      });
    });
    const client = await server.openStream('/');
    client.stall();
    const socket = connection(server);
    await server.full();

    await server.sse.close({ spreadMs: 0, graceMs: 0 });

    await done.promise;
    await expectReset(socket, client);
  });

  it('destroys a finishing stream that the client does not read', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield 1;
        return 'x'.repeat(30_000_000);
      });
    });
    const client = await server.openStream('/');
    client.stall();
    const socket = connection(server);
    await server.full();

    await server.sse.close({ spreadMs: 0, graceMs: 0 });

    await expectReset(socket, client);
  });

  it('shortens the grace period of a stream that maxDurationMs has already aborted', async () => {
    const notified = new Gate();
    const stuck = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          yield 1;
          await aborted(res.sse.signal);
          notified.open();
          await stuck.promise;
        });
      },
      { maxDurationMs: 5, cleanupWarnMs: false },
    );
    await server.openStream('/');
    await notified.promise;

    const startedAt = performance.now();
    await server.sse.close({ spreadMs: 0, graceMs: 0 });

    // Well before the 5,000 ms grace period of maxDurationMs.
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    stuck.open();
  });

  it('responds to new streams with 200 and an empty body, and closes their sockets', async () => {
    const started = jest.fn();
    const server = await serve((app) => {
      app.get('/', async function* () {
        started();
        yield 1;
      });
    });
    await server.sse.close();

    const client = await server.openStream('/', { headers: { Connection: 'keep-alive' } });

    expect(client.status).toBe(200);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(client.headers.connection).toBe('close');
    expect(await client.ended()).toBe('');
    expect(started).not.toHaveBeenCalled();
  });

  it('sends the head of a stream without a value, so that its client reconnects', async () => {
    const started = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', async (_req, res) => {
          started.open();
          return waiting(new Gate())(_req, res);
        });
      },
      { commitAfterMs: false },
    );
    const opening = server.openStream('/', { headers: { Connection: 'keep-alive' } });
    await started.promise;

    void server.sse.close({ spreadMs: 0 });
    const client = await opening;

    expect(client.status).toBe(200);
    expect(client.headers.connection).toBe('close');
    expect(await client.ended()).toBe('');
  });

  it('does not report an AbortError in the grace period', async () => {
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        yield 1;
        await sleep(60_000, null, { signal: res.sse.signal });
      });
    });
    const client = await server.openStream('/');
    await client.untilText('data: 1');

    await server.sse.close({ spreadMs: 0 });

    expect(await client.ended()).toBe('data: 1\n\n');
    expect(server.errors).toEqual([]);
  });

  it('lets server.close() finish with open keep-alive streams', async () => {
    const server = await serve((app) => app.get('/', waiting(new Gate(), 'open')));
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => server.openStream('/', { headers: { Connection: 'keep-alive' } })),
    );
    await Promise.all(clients.map((client) => client.untilText('open')));

    const closed = once(server.server, 'close');
    server.server.close();
    await server.sse.close({ spreadMs: 20 });

    await closed;
  });
});

describe('maxDurationMs', () => {
  it('ends a stream in the last fifth of the duration, so that the client reconnects', async () => {
    const done = new Gate();
    const server = await serve((app) => app.get('/', waiting(done, 'open')), { maxDurationMs: 50 });

    const startedAt = performance.now();
    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: open\n\n');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(39);
    await done.promise;
  });
});

describe('stallTimeoutMs', () => {
  it('destroys the connection of a client that does not read', async () => {
    const done = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          try {
            for (;;) yield 'x'.repeat(50_000);
          } finally {
            done.open();
          }
        });
      },
      { stallTimeoutMs: 30 },
    );
    const client = await server.openStream('/');
    client.stall();
    const socket = connection(server);

    await done.promise;

    expect(server.sse.size).toBe(0);
    await expectReset(socket, client);
  });

  it('destroys the connection of a client that does not read a large last value', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield 1;
          return 'x'.repeat(30_000_000);
        });
      },
      { stallTimeoutMs: 30 },
    );
    const client = await server.openStream('/');
    client.stall();
    const socket = connection(server);

    while (server.sse.size > 0) await sleep(1);

    await expectReset(socket, client);
  });

  it('destroys the connection of a client that does not read the end', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield 'x'.repeat(20_000_000);
      });
    }, { stallTimeoutMs: 30 }); // biome-ignore format: one line
    const client = await server.openStream('/');
    client.stall();
    const socket = connection(server);

    while (server.sse.size > 0) await sleep(1);

    await expectReset(socket, client);
  });
});

describe('keepAliveMs', () => {
  it('sends comments while the generator is blocked', async () => {
    const done = new Gate();
    const server = await serve((app) => app.get('/', waiting(done, 'open')), { keepAliveMs: 16 });

    const client = await server.openStream('/');
    await client.untilText(': keep-alive\n\n: keep-alive\n\n');
    client.drop();
    await done.promise;

    expect(client.text.startsWith('data: open\n\n: keep-alive\n\n: keep-alive\n\n')).toBe(true);
  });

  it('sends comments before the first value', async () => {
    const done = new Gate();
    const server = await serve((app) => app.get('/', waiting(done)), { keepAliveMs: 16, commitAfterMs: 5 });

    const client = await server.openStream('/');
    await client.untilText(': \n\n: keep-alive\n\n');
    client.drop();

    await done.promise;
  });

  it('sends no comments while events are sent', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          for (let i = 0; i < 40; i++) {
            yield i;
            await sleep(2);
          }
        });
      },
      { keepAliveMs: 48 },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).not.toContain('keep-alive');
  });
});

describe('maxStreams', () => {
  const busy = (done: Gate) => async function* (_req: unknown, res: { sse: { signal: AbortSignal } }) {
    yield* waiting(done, 'open')(_req, res);
  }; // biome-ignore format: short

  it('sends an extra client a retry: of 5 to 15 s, and an admitted client retry: 3000', async () => {
    const done = new Gate();
    const server = await serve((app) => app.get('/', busy(done)), { defaults: { maxStreams: 1 } });
    const first = await server.openStream('/');
    await first.untilText('open');

    const second = await server.openStream('/');

    expect(first.text).toBe('retry: 3000\n\ndata: open\n\n');
    expect(second.status).toBe(200);
    const [, retry] = (await second.ended()).match(/^retry: (\d+)\n\n$/) ?? [];
    expect(Number(retry)).toBeGreaterThanOrEqual(5_000);
    expect(Number(retry)).toBeLessThan(15_000);
    first.drop();
    await done.promise;
  });

  it("passes a 503 with Retry-After to next with whenFull: 'refuse'", async () => {
    const done = new Gate();
    const server = await serve((app) => app.get('/', busy(done)), {
      defaults: { maxStreams: 1, whenFull: 'refuse' },
    });
    const first = await server.openStream('/');
    await first.untilText('open');

    const second = await server.openStream('/');

    expect(second.status).toBe(503);
    expect(Number(second.headers['retry-after'])).toBeGreaterThanOrEqual(5);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_FULL', status: 503 })]);
    first.drop();
    await done.promise;
  });

  it('passes a 503 with Retry-After to next for a fetch client', async () => {
    const done = new Gate();
    const server = await serve((app) => app.all('/', busy(done)), { defaults: { maxStreams: 1 } });
    const first = await server.openStream('/');
    await first.untilText('open');

    const second = await server.openStream('/', { method: 'POST' });

    expect(second.status).toBe(503);
    expect(Number(second.headers['retry-after'])).toBeGreaterThanOrEqual(5);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_FULL', status: 503 })]);
    first.drop();
    await done.promise;
  });

  it('frees the slot when a stream ends', async () => {
    const server = await serve((app) => app.get('/', async function* () {}), { defaults: { maxStreams: 1 } });

    for (let i = 0; i < 3; i++) {
      const client = await server.openStream('/');
      expect(await client.ended()).toContain('~end');
    }
  });
});

describe('a fetch client', () => {
  const POST = { method: 'POST', headers: { Accept: '*/*' } };

  it.each<[string, StreamInit]>([
    ['a POST', { method: 'POST', headers: { Accept: 'text/event-stream' } }],
    ['a GET with Accept: */*', { headers: { Accept: '*/*' } }],
    ['a GET with Accept: application/json', { headers: { Accept: 'application/json' } }],
  ])('is %s: it receives the return value as the last ordinary event', async (_what, init) => {
    const server = await serve((app) => {
      app.all('/', async function* () {
        yield 1;
        return { rows: 2 };
      });
    });

    const client = await server.openStream('/', init);

    expect(await client.ended()).toBe('data: 1\n\ndata: {"rows":2}\n\n');
  });

  it.each<[unknown, string]>([
    [undefined, ''],
    [null, 'data: null\n\n'],
    ['[DONE]', 'data: [DONE]\n\n'],
    [event('done', 7), 'event: done\ndata: 7\n\n'],
  ])('receives for the return value %p: %p', async (value, frames) => {
    const server = await serve((app) => {
      app.post('/', async function* () {
        yield 1;
        return value;
      });
    });

    const client = await server.openStream('/', POST);

    expect(await client.ended()).toBe(`data: 1\n\n${frames}`);
  });

  it("is decided by client: 'fetch' also for the request of an EventSource", async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield 1;
          return 2;
        });
      },
      { client: 'fetch' },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: 1\n\ndata: 2\n\n');
  });

  it("is an EventSource with client: 'eventsource'", async () => {
    const server = await serve(
      (app) => {
        app.post('/', async function* () {
          yield 1;
          return 2;
        });
      },
      { client: 'eventsource' },
    );

    const client = await server.openStream('/', POST);

    expect(await client.ended()).toBe('data: 1\n\nevent: end\nid: ~end\ndata: 2\n\n');
  });

  it('is cut after the last events when the generator throws', async () => {
    const server = await serve(
      (app) => {
        app.post('/', async function* () {
          yield 1;
          throw new Error('known');
        });
      },
      { onError: () => event('failed', 2) },
    );

    const client = await server.openStream('/', POST);

    await expect(client.ended()).rejects.toThrow('the connection was lost');
    expect(client.text).toBe('data: 1\n\nevent: failed\ndata: 2\n\n');
    expect(await server.errorsHandled(1)).toEqual([expect.objectContaining({ message: 'known' })]);
  });

  it('receives the status of an error that is thrown long after commitAfterMs of an EventSource', async () => {
    const server = await serve((app) => {
      // biome-ignore lint/correctness/useYield: it throws before the first value.
      app.post('/', async function* () {
        await sleep(80);
        throw Object.assign(new Error('no ticket'), { status: 401 });
      });
    });

    const client = await server.openStream('/', POST);

    expect([client.status, await client.ended()]).toEqual([401, '{"error":"no ticket"}']);
  });

  it('receives the head and a comment if there is no value within keepAliveMs', async () => {
    const go = new Gate();
    const server = await serve(
      (app) => {
        app.post('/', async function* () {
          await go.promise;
          yield 1;
        });
      },
      { keepAliveMs: 16 },
    );

    const client = await server.openStream('/', POST);
    await client.untilText(': \n\n');
    go.open();

    expect(await client.next()).toMatchObject({ data: '1' });
  });

  it('is left alone by sse.close() for drainMs, so that its answer is finished', async () => {
    const go = new Gate();
    const server = await serve((app) => {
      app.post('/', async function* (_req, res) {
        yield 1;
        await go.promise;
        yield res.sse.signal.aborted;
      });
    });
    const client = await server.openStream('/', POST);
    await client.untilText('data: 1');

    const closed = server.sse.close({ spreadMs: 0, graceMs: 0 });
    go.open();

    expect(await client.ended()).toBe('data: 1\n\ndata: false\n\n');
    await closed;
  });

  it('is cut after drainMs and graceMs', async () => {
    const done = new Gate();
    const server = await serve((app) => app.post('/', waiting(done, 'open')));
    const client = await server.openStream('/', POST);
    await client.untilText('data: open');

    await server.sse.close({ spreadMs: 0, graceMs: 0, drainMs: 1 });

    await expect(client.ended()).rejects.toThrow('the connection was lost');
    expect(client.text).toBe('data: open\n\n');
    await done.promise;
  });

  it('receives 503 with Retry-After from a closing server', async () => {
    const started = jest.fn();
    const server = await serve((app) => {
      app.post('/', async function* () {
        started();
        yield 1;
      });
    });
    await server.sse.close();

    const client = await server.openStream('/', POST);

    expect(client.status).toBe(503);
    expect(Number(client.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(client.headers.connection).toBe('close');
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_CLOSING', status: 503 })]);
    expect(started).not.toHaveBeenCalled();
  });

  it('receives 503 from a stream that is closed before its first value', async () => {
    const started = new Gate();
    const server = await serve((app) => {
      // biome-ignore lint/correctness/useYield: it is closed before its first value.
      app.post('/', async function* (_req, res) {
        started.open();
        await aborted(res.sse.signal);
      });
    });
    const opening = server.openStream('/', POST);
    await started.promise;

    void server.sse.close({ spreadMs: 0, graceMs: 0, drainMs: 0 });

    expect((await opening).status).toBe(503);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_CLOSING', status: 503 })]);
  });

  it('is cut by maxDurationMs', async () => {
    const done = new Gate();
    const server = await serve((app) => app.post('/', waiting(done, 'open')), { maxDurationMs: 50 });

    const client = await server.openStream('/', POST);

    await expect(client.ended()).rejects.toThrow('the connection was lost');
    expect(client.text).toBe('data: open\n\n');
    await done.promise;
  });
});

describe('values', () => {
  it('sends comments and events as they are yielded, in order', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield comment('note');
        yield event('tick', { n: 1 }, { id: 0, retry: 10, comment: 'c' });
        yield { event: 'forged', id: 'x', data: 'mine' };
        yield 'a\r\nb\rc\nid: ~end';
      });
    });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(
      ': note\n\n' +
        ': c\nevent: tick\nid: 0\nretry: 10\ndata: {"n":1}\n\n' +
        'data: {"event":"forged","id":"x","data":"mine"}\n\n' +
        'data: a\ndata: b\ndata: c\ndata: id: ~end\n\n' +
        END,
    );
  });

  it('uses the serialize option', async () => {
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          yield 10n;
          return { a: 1 };
        });
      },
      { serialize: (data) => `<${typeof data}>` },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('data: <bigint>\n\nevent: end\nid: ~end\ndata: <object>\n\n');
  });
});
