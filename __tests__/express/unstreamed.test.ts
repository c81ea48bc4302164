import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createReadStream } from 'node:fs';
import { type ClientRequest, createServer, get, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { Channel, type SseOptions, sse } from '../../lib';
import { WarningCollector } from '../support/warnings';

type Handler = (req: Request, res: Response, next: NextFunction) => unknown;

/** The fake clock has only the time-outs. */
const REAL_TIME = ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate', 'setInterval', 'clearInterval'] as const; // biome-ignore format: one line

let warnings: WarningCollector;
const servers: Server[] = [];

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: [...REAL_TIME] });
  warnings = new WarningCollector();
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
  warnings.stop();
  jest.useRealTimers();
});

/** A timeout takes effect after the next poll for I/O. */
async function advance(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await setImmediate();
}

async function listen(app: Express): Promise<Server> {
  const server = createServer(app).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return server;
}

/** Sends a request, and waits until its handler has returned. */
async function send(server: Server, path = '/'): Promise<{ request: ClientRequest; res: ServerResponse }> {
  const { port } = server.address() as AddressInfo;
  const request = get({ port, path, agent: false }).on('error', () => undefined);
  const [, res] = await once(server, 'request');
  await turns();
  return { request, res };
}

/** Until promises that the handler has returned are settled, and its timer is set. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await setImmediate();
}

function appWith(handler: Handler, options?: SseOptions): Express {
  return express().use(sse(options)).get('/', handler);
}

async function* generate() {
  yield 1;
}

class Emitter extends EventEmitter {
  async *[Symbol.asyncIterator]() {
    yield 1;
  }
}

describe('a return value that app.use(sse()) does not stream', () => {
  const lines = () => Readable.from(['a', 'b']);

  it.each<[string, Handler]>([
    ['an array', () => [1, 2]],
    ['an array', async () => [1, 2]],
    ['an array', (_req, _res, _next) => []],
    ['an iterable (Set)', () => new Set([1])],
    ['an iterable (Map)', () => new Map([[1, 2]])],
    ['an iterable (Array Iterator)', () => [1].values()],
    ['a Node stream', lines],
    ['a Node stream', () => createReadStream(__filename)],
    ['a Node stream', () => lines().pipe(new PassThrough())],
    ['an event emitter', () => new Emitter()],
    ['an event emitter', () => createInterface({ input: lines() })],
  ])('is reported after a second without a response: %s', async (what, handler) => {
    const server = await listen(appWith(handler));
    await send(server);

    await advance(999);
    expect(warnings.all).toEqual([]);
    await advance(1);

    expect(warnings.all).toEqual([
      {
        type: 'SseWarning',
        code: 'SSE_NOT_STREAMABLE',
        message:
          `GET / returned ${what}, which app.use(sse()) does not stream, and has sent no response. ` +
          'Wrap the handler to stream it: app.get(path, sse(handler)). See docs/error-codes.md#sse_not_streamable',
        detail: undefined,
      },
    ]);
  });

  it.each<[string, Handler]>([
    ['a Node stream that flows', () => lines().on('data', () => undefined)],
    ['a Node stream with a listener for readable', () => lines().on('readable', () => undefined)],
    ['a Node stream that is piped', (_req, _res) => { const file = lines(); file.pipe(new PassThrough()); return file; }], // biome-ignore format: one line
    ['a Node stream that is read with for await', () => { const file = lines(); void (async () => { for await (const _ of file); })(); return file; }], // biome-ignore format: one line
    ['a hash that is written to', () => new Readable({ read: () => undefined }).pipe(createHash('sha1'))],
    ['the request', (req) => req.setTimeout(0)],
    ['the request with a listener', (req) => req.on('data', () => undefined)],
    ['the response', (_req, res) => res.status(200)],
    ['the socket', (_req, res) => res.socket?.setKeepAlive(true)],
    ['an emitter with a listener', () => new Emitter().on('line', () => undefined)],
    ['a web stream that has a reader', () => { const web = ReadableStream.from(['a']); web.getReader(); return web; }], // biome-ignore format: one line
    ['bytes', () => Buffer.from('a')],
    ['a string', () => 'a'],
    ['an object', () => ({ a: 1 })],
    ['a function', () => () => undefined],
    ['null', () => null],
  ])('is not reported if a response may still follow: %s', async (_what, handler) => {
    const server = await listen(appWith(handler));
    await send(server);

    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });

  it('is reported after cleanupWarnMs for an emitter that cannot list its listeners', async () => {
    const opaque = { on: () => undefined, [Symbol.asyncIterator]: generate };
    const server = await listen(appWith(() => opaque, { cleanupWarnMs: 5_000 }));
    await send(server);

    await advance(4_999);
    expect(warnings.all).toEqual([]);
    await advance(1);

    expect(warnings.codes).toEqual(['SSE_NOT_STREAMABLE']);
  });

  it('is not reported for such an emitter without cleanupWarnMs', async () => {
    const opaque = { on: () => undefined, [Symbol.asyncIterator]: generate };
    const server = await listen(appWith(() => opaque, { cleanupWarnMs: false }));
    await send(server);

    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });

  it('is not reported if the response comes in time, and the route is not examined again', async () => {
    const examined = jest.fn(() => undefined);
    const list = Object.defineProperty([], Symbol.toStringTag, { get: examined });
    const server = await listen(
      appWith((_req, res) => {
        res.locals.responded = setTimeout(() => res.send('ok'), 900);
        return list;
      }),
    );

    for (let n = 0; n < 3; n++) {
      const { request } = await send(server);
      jest.advanceTimersByTime(900);
      const [response] = await once(request, 'response');
      expect(response.statusCode).toBe(200);
      response.resume();
    }

    expect(examined).toHaveBeenCalledTimes(1);
    expect(warnings.all).toEqual([]);
  });

  it.each<[string, Handler]>([
    ['before it returned', (_req, _res, next) => [next()]],
    ['later', (_req, _res, next) => [void setImmediate().then(() => next())]],
  ])('is not reported if the handler passed the request on %s', async (_when, handler) => {
    const server = await listen(appWith(handler).get('/', () => undefined));
    await send(server);

    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });

  it('is not reported if something reads the stream within the second', async () => {
    const file = lines();
    const server = await listen(appWith(() => file));
    await send(server);

    file.resume();
    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });

  it('is not reported if it throws when its state is read later', async () => {
    const file = lines();
    const server = await listen(appWith(() => file));
    await send(server);

    Object.defineProperty(file, 'readableFlowing', { get: () => { throw new Error('no'); } }); // biome-ignore format: one line
    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });

  it('is reported once per route, also if routes share their handler', async () => {
    const handler = () => [1];
    const app = express().use(sse()).get('/a/:id', handler).get('/b', handler);
    const server = await listen(app);

    for (const path of ['/a/1', '/a/2', '/b', '/b']) {
      await send(server, path);
      await advance(1_000);
    }

    expect(warnings.all.map(({ message }) => message.split(' returned')[0])).toEqual([
      'GET /a/:id',
      'GET /b',
    ]);
  });

  it('is reported at the next request if the client left too early to know', async () => {
    const server = await listen(appWith(() => [1]));
    const { request, res } = await send(server);
    request.destroy();
    await once(res, 'close');
    await advance(1_000);
    expect(warnings.all).toEqual([]);

    await send(server);
    await advance(1_000);

    expect(warnings.codes).toEqual(['SSE_NOT_STREAMABLE']);
  });

  it('leaves no timer and no listener after the client has left', async () => {
    const server = await listen(appWith(() => [1]));
    const { request, res } = await send(server);
    expect(jest.getTimerCount()).toBe(1);

    request.destroy();
    await once(res, 'close');

    expect(jest.getTimerCount()).toBe(0);
    expect(res.listenerCount('close')).toBe(0);
  });

  it('leaves no listener after the warning', async () => {
    const server = await listen(appWith(() => [1]));
    const { res } = await send(server);
    const before = res.listenerCount('close');

    await advance(1_000);

    expect(res.listenerCount('close')).toBe(before - 1);
  });
});

describe('a source that nothing streams', () => {
  const prices = new Channel();

  it.each<[string, Handler]>([
    ['an async generator', generate],
    ['an async generator', async () => generate()],
    ['an async generator', async function* (_req, res) { yield res.sse.lastEventId; }], // biome-ignore format: one line
    ['a generator', function* () { yield 1; }], // biome-ignore format: one line
    ['a channel', () => prices],
    ['a channel', () => prices.filter(() => true)],
    ['a subscription', (_req, res) => prices.subscribe(res.sse)],
  ])('is reported with its route and the cure: %s', async (what, handler) => {
    const server = await listen(express().get('/live/:id', handler).use(sse()));
    await send(server, '/live/7');

    await advance(250);

    expect(warnings.all).toEqual([
      {
        type: 'SseWarning',
        code: 'SSE_NOT_STREAMED',
        message:
          `GET /live/:id returned ${what}, but no sse() applies to this route, so nothing is sent. ` +
          'Call app.use(sse()) before the route, on the same app or router, or wrap the handler: sse(handler). ' +
          'See docs/error-codes.md#sse_not_streamed',
        detail: undefined,
      },
    ]);
  });

  it.each<[string, string, (app: Express) => unknown]>([
    ['on another path', '/clock', (app) => app.use('/api', sse()).get('/clock', generate)],
    ['on another router', '/clock', (app) => app.use('/api', express.Router().use(sse()), express.Router()).get('/clock', generate)], // biome-ignore format: one line
    ['in another app', '/clock', (app) => app.use('/sub', express().use(sse())).use(express().get('/clock', generate))], // biome-ignore format: one line
  ])('is reported if sse() is mounted %s', async (_where, path, build) => {
    const app = express();
    build(app);
    const server = await listen(app);
    await send(server, path);

    await advance(250);

    expect(warnings.all).toMatchObject([{ code: 'SSE_NOT_STREAMED' }]);
  });

  it('is reported with the mount path of its router', async () => {
    const router = express.Router().get('/clock', generate);
    const server = await listen(express().use('/api/:version', router));
    await send(server, '/api/2/clock');

    await advance(250);

    expect(warnings.all[0]?.message).toMatch(/^GET \/api\/2\/clock \(in a router at \/api\/2\) returned /);
  });

  it('is not reported if another package streams it', async () => {
    const server = await listen(
      express().get('/', (_req, res) => {
        const generator = generate();
        setTimeout(async () => res.end(JSON.stringify(await generator.next())), 200);
        return generator;
      }),
    );
    const { request } = await send(server);

    jest.advanceTimersByTime(200);
    await once(request, 'response');
    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });

  it('is not reported if another copy of this package streams it', async () => {
    const server = await listen(
      express()
        .use((_req, res, next) => {
          Object.assign(res, { sse: { lastEventId: '' } });
          next();
        })
        .get('/', generate),
    );
    await send(server);

    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });

  it('is reported if res.sse is a method of the framework', async () => {
    const app = express();
    Object.assign(app.response, { sse: () => undefined });
    const server = await listen(app.get('/', generate));
    await send(server);

    await advance(250);

    expect(warnings.codes).toEqual(['SSE_NOT_STREAMED']);
  });

  it('is not reported for a response that has begun, and for callbacks of router.param()', async () => {
    const app = express();
    app.param('id', (_req, _res, next) => {
      next();
      return generate();
    });
    app.get('/begun', (_req, res) => {
      res.write('by hand');
      return generate();
    });
    app.get('/:id', () => undefined);
    const server = await listen(app);

    for (const path of ['/begun', '/7']) await send(server, path);
    await advance(3_600_000);

    expect(warnings.all).toEqual([]);
  });
});

describe('a function that nothing calls', () => {
  it.each<[string, () => unknown]>([
    ['the generator function generate', () => generate],
    ['the generator function count', () => function* count() { yield 1; }], // biome-ignore format: one line
    ['a function made by sse()', () => sse(generate)],
    ['a function made by sse()', () => sse()],
  ])('is reported: %s', async (what, handler) => {
    for (const app of [appWith(handler), express().get('/', handler)]) {
      await send(await listen(app));
      await advance(250);
    }

    expect(warnings.codes).toEqual(['SSE_NOT_CALLED', 'SSE_NOT_CALLED']);
    expect(warnings.all[0]?.message).toBe(
      `GET / returned ${what} without calling it, so nothing is sent. ` +
        'Pass the function itself to app.get(path, handler), or call it and return its result. ' +
        'See docs/error-codes.md#sse_not_called',
    );
  });
});

it('emits at most 100 warnings with one code, because an app may make its routes for each request', async () => {
  const perRequest: Handler = (req, res, next) => express.Router().get('/', () => generate)(req, res, next);
  const server = await listen(express().use(perRequest));

  for (let n = 0; n < 110; n++) await send(server);
  await advance(250);

  expect(warnings.all.length).toBeGreaterThan(80);
  expect(warnings.all.length).toBeLessThanOrEqual(100);
});
