import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Response } from 'express';
import { createSse, type SseOptions, sse } from '../../lib';
import type { StreamInit } from '../../lib/testing';
import { aborted, Gate } from '../support/gate';
import { HandlerServer } from '../support/handler';
import { releaseAll, type ServeOptions, serve } from '../support/serve';
import { WarningCollector } from '../support/warnings';
import { get, Wire } from '../support/wire';

afterEach(releaseAll);

const END = 'event: end\nid: ~end\ndata: null\n\n';

async function* one() {
  yield 1;
}

const user = (name: string) => ({ headers: { 'x-user': name } });

/** A route that waits until its stream ends, and counts its generators. */
function counted() {
  const counts = { started: 0, cleaned: 0 };
  return {
    counts,
    route: async function* (_req: unknown, res: { sse: { signal: AbortSignal } }) {
      counts.started++;
      try {
        yield 'open';
        await aborted(res.sse.signal);
      } finally {
        counts.cleaned++;
      }
    },
  };
}

async function* countToThree() {
  yield* [1, 2, 3];
}

/** A `keyOf` whose second result is no string. */
function notOnSecond(): () => string {
  let calls = 0;
  return () => (++calls % 2 === 1 ? 'key' : (7 as unknown as string));
}

describe('maxStreamsPerKey', () => {
  it('limits the streams of one key, and releases each when it closes', async () => {
    const { counts, route } = counted();
    const server = await serve((app) => void app.get('/', route), {
      maxStreamsPerKey: 2,
      keyOf: (req) => String(req.headers['x-user']),
    });
    const [first] = [
      await server.openStream('/', user('alice')),
      await server.openStream('/', user('alice')),
    ];
    const other = await server.openStream('/', user('bob'));

    const refused = await server.openStream('/', user('alice'));

    expect(await refused.ended()).toMatch(/^retry: \d+\n\n$/);
    expect([counts.started, server.sse.size]).toEqual([3, 3]);
    first.drop();
    while (counts.cleaned < 1) await setImmediate();
    expect((await (await server.openStream('/', user('alice'))).next()).data).toBe('open');
    expect((await other.next()).data).toBe('open');
  });

  it('counts by the address of the client by default', async () => {
    const { route } = counted();
    const server = await serve((app) => void app.get('/', route), { maxStreamsPerKey: 1 });
    await server.openStream('/');

    expect(await (await server.openStream('/')).ended()).toMatch(/^retry: /);
  });

  it('passes the number and the limit of a fetch client to next, with 503', async () => {
    const { route } = counted();
    const server = await serve((app) => void app.post('/', route), { maxStreamsPerKey: 1 });
    const first = await server.openStream('/', { method: 'POST' });
    await first.next();

    const response = await fetch(server.url('/'), { method: 'POST' });

    expect([response.status, await response.json()]).toEqual([
      503,
      { error: expect.stringContaining('1 of this key are open, and maxStreamsPerKey is 1') },
    ]);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
  });

  it.each<[string, () => unknown, object]>([
    [
      'throws',
      () => {
        throw Object.assign(new Error('no user'), { status: 401 });
      },
      { message: 'no user' },
    ],
    [
      'returns no string',
      () => 7,
      { code: 'ERR_SSE_INVALID_OPTION', message: expect.stringContaining('keyOf') },
    ],
    [
      'returns a promise, also one that rejects',
      async () => {
        throw new Error('Jest fails a test with an unhandled rejection.');
      },
      {
        code: 'ERR_SSE_INVALID_OPTION',
        message: expect.stringContaining('Expected keyOf to return its result and not a promise of it'),
      },
    ],
  ])('passes the error of a keyOf that %s to next, and starts no generator', async (_name, keyOf, error) => {
    const { counts, route } = counted();
    const server = await serve((app) => void app.get('/', route), {
      maxStreamsPerKey: 1,
      keyOf: keyOf as () => string,
    });

    const client = await server.openStream('/');
    await client.ended();

    expect(await server.errorsHandled(1)).toEqual([expect.objectContaining(error)]);
    expect([counts.started, server.sse.size]).toEqual([0, 0]);
  });
});

describe('sse.streams()', () => {
  it('finds the streams of a user and closes them, so that their clients reconnect', async () => {
    const { counts, route } = counted();
    const server = await serve((app) => void app.get('/feed/:name', route));
    const mine = await server.openStream('/feed/a', user('alice'));
    const yours = await server.openStream('/feed/b', user('bob'));
    await Promise.all([mine.next(), yours.next()]);

    const views = [...server.sse.streams()];
    for (const stream of views) if (stream.req.headers['x-user'] === 'alice') stream.close();

    expect(await mine.ended()).toBe('data: open\n\n');
    expect(views.map(({ route, events, bytes }) => ({ route, events, bytes }))).toEqual([
      { route: '/feed/:name', events: 1, bytes: 12 },
      { route: '/feed/:name', events: 1, bytes: 12 },
    ]);
    expect(views[1]?.durationMs).toBeGreaterThan(0);
    while (counts.cleaned < 1) await setImmediate();
    expect(server.sse.size).toBe(1);
    views[0]?.close();
  });
});

describe('a pipelined request after an endless stream', () => {
  it('neither starts its generator nor takes a slot, and is released with the connection', async () => {
    const { counts, route } = counted();
    const server = await serve((app) => void app.get('/', route), { maxStreams: 2 });
    const wire = await Wire.open(server.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(10));
    await wire.until('data: open\n\n');
    const other = await server.openStream('/');
    await other.next();

    expect([counts.started, server.sse.size]).toEqual([2, 2]);
    wire.socket.destroy();
    await once(wire.socket, 'close');
    while (counts.cleaned < 1) await setImmediate();

    expect([counts.started, server.sse.size]).toEqual([2, 1]);
  });

  it('is streamed after the previous stream has ended', async () => {
    const gate = new Gate();
    const server = await serve((app) => {
      app.get('/a', async function* () {
        yield 1;
        await gate.promise;
      });
      app.get('/b', async function* () {
        yield 2;
      });
    });
    const wire = await Wire.open(
      server.port,
      'GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    await wire.until('data: 1\n\n');

    gate.open();

    expect(await wire.ended()).toContain('data: 2\n\n');
  });
});

describe('a response head that the handler has begun', () => {
  /** What arrives before the server closes the connection. The client would keep it open. */
  async function textUntilClosed(port: number, path: string): Promise<string> {
    const wire = await Wire.open(port, get(path, 'Connection: keep-alive\r\n'));
    wire.socket.on('error', () => undefined);
    const tooLate = setTimeout(() => wire.socket.destroy(new Error('Still open.')), 3_000);
    const [hadError] = await once(wire.socket, 'close');
    clearTimeout(tooLate);
    expect([path, hadError]).toEqual([path, false]);
    return wire.text;
  }

  const USED: Array<[string, (res: Response) => unknown, string]> = [
    ['set and flushed', (res) => res.type('text/event-stream').flushHeaders(), ''],
    ['written with writeHead()', (res) => res.writeHead(200, { 'Content-Type': 'text/event-stream' }), ''],
    [
      'followed by a comment',
      (res) => res.set('Content-Type', 'text/event-stream; charset=utf-8').write(':ok\n\n'),
      ':ok\n\n',
    ],
  ];

  it.each(USED)('%s is used if it has the type of an event stream', async (_name, begin, before) => {
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        begin(res);
        yield 1;
      });
    });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`${before}data: 1\n\n${END}`);
  });

  const CLIENTS: Array<[client: string, accept: string, body: string]> = [
    ['an EventSource reconnects', 'Accept: text/event-stream\r\n', '5\r\n:ok\n\n\r\n0\r\n\r\n'],
    ['a fetch client does not take it for complete', '', '5\r\n:ok\n\n\r\n'],
  ];
  const REFUSALS: Array<[string, ServeOptions & SseOptions, string]> = [
    ['maxStreams', { maxStreams: 1, whenFull: 'refuse' }, 'ERR_SSE_FULL'],
    ['maxStreamsPerKey', { maxStreamsPerKey: 1, whenFull: 'refuse' }, 'ERR_SSE_FULL'],
    [
      'a keyOf that returns no string',
      { maxStreamsPerKey: 1, keyOf: notOnSecond() },
      'ERR_SSE_INVALID_OPTION',
    ],
  ];

  describe.each(REFUSALS)('and whose stream is refused by %s', (_what, options, code) => {
    it.each(CLIENTS)(
      'ends so that %s, and the error handler is called after that',
      async (_client, accept, body) => {
        const { counts, route } = counted();
        const server = await serve((app) => {
          app.get('/', (req, res) => {
            res.set('Content-Type', 'text/event-stream').write(':ok\n\n');
            return route(req, res);
          });
        }, options);
        const first = await server.openStream('/');
        await first.next();

        const refused = await Wire.open(
          server.port,
          `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${accept}\r\n`,
        );
        await refused.ended();

        expect(refused.body).toBe(body);
        expect(await server.errorsHandled(1)).toEqual([expect.objectContaining({ code })]);
        expect([counts.started, server.sse.size]).toEqual([1, 1]);
      },
    );
  });

  it.each(CLIENTS)('and whose server is closing ends so that %s', async (_client, accept, body) => {
    const { counts, route } = counted();
    const gate = new Gate();
    const arrived = new Gate();
    const server = await serve((app) => {
      app.get('/', async (req, res) => {
        res.set('Content-Type', 'text/event-stream').write(':ok\n\n');
        arrived.open();
        await gate.promise;
        return route(req, res);
      });
    });
    const wire = await Wire.open(server.port, `GET / HTTP/1.1\r\nHost: x\r\n${accept}\r\n`);
    await arrived.promise;
    const closing = server.sse.close();
    gate.open();
    await closing;

    await wire.until(body);
    wire.socket.end();
    await wire.ended();

    expect(wire.body).toBe(body);
    expect(counts.started).toBe(0);
  });

  it('and whose source cannot be streamed ends as an interrupted stream, also on plain node:http', async () => {
    const errors: unknown[] = [];
    const source = countToThree();
    const handler = sse(
      (_req: unknown, res: http.ServerResponse) => {
        res.setHeader('Content-Type', 'text/event-stream');
        res.write(':ok\n\n');
        return source;
      },
      {
        onError: (error) => {
          errors.push(error);
          server.emit('error-handled');
        },
      },
    );
    const server = http.createServer(handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;

    const request = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    await (await Wire.open(port, request)).ended();
    const wire = await Wire.open(port, request);
    await Promise.all([wire.ended(), once(server, 'error-handled')]);

    expect(wire.body).toBe('5\r\n:ok\n\n\r\n');
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_INVALID_SOURCE' })]);
    server.close();
    await once(server, 'close');
  });

  it.each(USED)('%s is used if it has the type of an event stream: in a middleware', async (_name, begin, before) => {
    const server = await serve((app, sse) => {
      app.use((_req, res, next) => {
        begin(res);
        next();
      });
      app.all('/', one);
      app.get('/wrapped', sse(one));
    });
    const bodyOf = async (path: string, init?: StreamInit) => (await server.openStream(path, init)).ended();

    const bodies = await Promise.all([bodyOf('/'), bodyOf('/wrapped'), bodyOf('/', { method: 'POST' })]);

    const frames = `${before}data: 1\n\n`;
    expect(bodies).toEqual([frames + END, frames + END, frames]);
    expect(server.errors).toEqual([]);
  }); // biome-ignore format: one line

  const UNUSABLE: Array<[string, (res: Response) => unknown]> = [
    ['flushed', (res) => res.flushHeaders()],
    ['written with writeHead()', (res) => res.writeHead(200)],
    ['followed by a comment', (res) => res.write(':ok\n\n')],
    ['that of JSON', (res) => res.type('json').flushHeaders()],
  ];

  it.each(UNUSABLE)('%s with another type is an error, and the response ends', async (_name, begin) => {
    const cleaned = new Gate();
    const server = await serve((app, sse) => {
      const handler = async function* (_req: unknown, res: Response) {
        begin(res);
        try {
          yield 1;
        } finally {
          cleaned.open();
        }
      };
      app.get('/', handler);
      app.get('/wrapped', sse(handler));
      app.use('/before', (_req, res, next) => {
        begin(res);
        next();
      });
      app.get('/before', one);
    });

    for (const path of ['/', '/wrapped', '/before']) {
      expect(await textUntilClosed(server.port, path)).not.toContain('data:');
    }

    await cleaned.promise;
    const refused = expect.objectContaining({ code: 'ERR_SSE_HEAD_SENT' });
    expect(await server.errorsHandled(3)).toEqual([refused, refused, refused]);
  });

  it.each(UNUSABLE.slice(0, 3))('%s with another type on node:http is a warning, and the connection closes', async (_name, begin) => {
    const warnings = new WarningCollector();
    const own = createSse();
    const server = await HandlerServer.start(
      own(async function* (_req, res) {
        begin(res as unknown as Response);
        yield 1;
      }),
    );

    const text = await textUntilClosed(server.port, '/').finally(() => server.close());

    warnings.stop();
    expect(warnings.all).toMatchObject([{ code: 'SSE_UNHANDLED_ERROR', message: expect.stringContaining('ERR_SSE_HEAD_SENT') }]);
    expect([text, own.size]).toEqual([expect.not.stringContaining('data:'), 0]);
  }); // biome-ignore format: one line

  it('keeps a Content-Type of event streams that was set before', async () => {
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        res.set('Content-Type', 'text/event-stream;v=1');
        yield 1;
      });
    });

    expect((await server.openStream('/')).headers['content-type']).toBe(
      'text/event-stream;v=1; charset=utf-8',
    );
  });
});
