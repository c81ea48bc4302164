import { createReadStream } from 'node:fs';
import { get as httpGet, type RequestListener } from 'node:http';
import { createInterface } from 'node:readline';
import { Readable, Writable } from 'node:stream';
import express, { type NextFunction, type Request, type Response } from 'express';
import express4 from 'express4';
import router22 from 'router22';
import { sse } from '../../lib/index';
import { type OpenedStream, openStream } from '../../lib/testing';
import { Gate } from '../support/gate';
import { releaseAll, serve } from '../support/serve';

afterEach(releaseAll);

const END = 'event: end\nid: ~end\ndata: null\n\n';

async function* one(value: unknown) {
  yield value;
}

describe('app.use(sse())', () => {
  it('streams an async generator function', async () => {
    const server = await serve((app) => app.get('/', async function* () { yield 1; })); // biome-ignore format: short
    const client = await server.openStream('/');
    expect(await client.ended()).toBe(`data: 1\n\n${END}`);
  });

  it.each([
    ['an ordinary handler', () => one(1)],
    ['an async handler', async () => one(1)],
    ['a handler that returns a nested promise', () => Promise.resolve(Promise.resolve(one(1)))],
  ])('streams the return value of %s', async (_what, handler) => {
    const server = await serve((app) => app.get('/', handler));
    const client = await server.openStream('/');
    expect(await client.ended()).toBe(`data: 1\n\n${END}`);
  });

  it.each<[string, () => unknown]>([
    ['a sync generator', function* () { yield 1; }],
    ['a web ReadableStream', () => ReadableStream.from(['1'])],
    ['an async iterable that is no emitter', () => ({ [Symbol.asyncIterator]: () => one(1) })],
    ['an async iterator without throw()', () => { const { next } = one(1); return { next: next.bind(one(1)), [Symbol.asyncIterator]() { return this; } }; }],
  ])('streams %s', async (_what, handler) => {
    const server = await serve((app) => app.get('/', handler));
    const client = await server.openStream('/');
    expect(await client.ended()).toBe(`data: 1\n\n${END}`);
  }); // biome-ignore format: table

  it('closes each of these when the client disconnects', async () => {
    const closed: string[] = [];
    const forever = (name: string) => ({
      next: () => Promise.resolve({ done: false, value: name }),
      return: () => Promise.resolve({ done: true, value: closed.push(name) }),
    });
    const sources: Array<[string, () => unknown]> = [
      ['sync', function* () { try { for (;;) yield 'sync'; } finally { closed.push('sync'); } }],
      ['web', () => new ReadableStream({ pull: (stream) => stream.enqueue('web'), cancel: () => void closed.push('web') })],
      ['iterable', () => ({ [Symbol.asyncIterator]: () => forever('iterable') })],
    ]; // biome-ignore format: table
    const server = await serve((app) => sources.map(([path, handler]) => app.get(`/${path}`, handler)));

    for (const [path] of sources) {
      const client = await server.openStream(`/${path}`);
      await client.next();
      client.drop();
      while (!closed.includes(path)) await new Promise(setImmediate);
    }
  });

  it('leaves a web stream alone that the handler reads itself', async () => {
    const server = await serve(
      (app) => {
        app.get('/', (_req, res) => {
          const web = ReadableStream.from([Buffer.from('by hand')]);
          void web.pipeTo(Writable.toWeb(res));
          return web;
        });
      },
      { foreignListeners: 1 },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('by hand');
  });

  it.each<[string, unknown]>([
    ['an async generator', one(1)],
    ['a sync generator', (function* () { yield 1; })()],
    ['a web ReadableStream', ReadableStream.from(['1'])],
  ])('responds with an error to a second request for the same source: %s', async (_what, source) => {
    const server = await serve((app) => app.get('/', () => source));
    const first = await server.openStream('/');
    const second = await server.openStream('/');

    expect(await first.ended()).toBe(`data: 1\n\n${END}`);
    expect(second.status).toBe(500);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_INVALID_SOURCE' })]);
    expect(String(server.errors[0])).toMatch(/^TypeError: Expected a source that was not read before, got .* a second time\. Make a new one in each call of the handler, or share a Channel\./);
  }); // biome-ignore format: table

  it('does not disturb a stream whose source a second request gets', async () => {
    const waiting = new Gate();
    const shared = (async function* () {
      yield 1;
      await waiting.promise;
      yield 2;
    })();
    const server = await serve((app) => app.get('/', () => shared));
    const first = await server.openStream('/');
    await first.next();

    expect((await server.openStream('/')).status).toBe(500);
    waiting.open();

    expect(await first.ended()).toBe(`data: 1\n\ndata: 2\n\n${END}`);
  });

  it('streams from routers, mounted sub-apps, and handlers after other handlers', async () => {
    const server = await serve((app) => {
      const inner = express.Router().get('/router', () => one('router'));
      const sub = express().get('/sub', () => one('sub'));
      app.use('/a', express.Router().use('/b', inner), sub);
      app.get('/second', (_req: Request, _res: Response, next: NextFunction) => next(), () => one('second')); // biome-ignore format: one line
      app.use('/middleware', () => one('middleware'));
    });

    for (const path of ['/a/b/router', '/a/sub', '/second', '/middleware']) {
      const client = await server.openStream(path);
      expect(await client.ended()).toBe(`data: ${path.split('/').at(-1)}\n\n${END}`);
    }
  });

  it('responds with the status of an error that an async handler throws', async () => {
    const server = await serve((app) => {
      app.get('/', async () => {
        throw Object.assign(new Error('unauthorized'), { status: 401 });
      });
    });

    const client = await server.openStream('/');

    expect(client.status).toBe(401);
  });

  it('passes an error under a mounted router to its error handlers, then to those of the app', async () => {
    const server = await serve((app) => {
      const router = express.Router();
      router.get('/', async function* () {
        yield await Promise.reject(Object.assign(new Error('mine'), { status: 403 }));
      });
      router.use((error: Error, _req: Request, _res: Response, next: NextFunction) => {
        error.message += ', seen by the router';
        next(error);
      });
      app.use('/r', router);
    });

    const client = await server.openStream('/r');

    expect(client.status).toBe(403);
    expect(await client.ended()).toBe('{"error":"mine, seen by the router"}');
  });
});

describe('app.use(sse()) ignores', () => {
  it('the return values of routes that send their own response', async () => {
    const answered: Array<[string, (req: Request, res: Response) => unknown]> = [
      ['/json', (_req, res) => res.json({ a: 1 })],
      ['/async', async (_req, res) => res.json({ a: 1 })],
      ['/pipe', (_req, res) => Readable.from(['{"a":1}']).pipe(res)],
      ['/stream', (_req, res) => { const file = Readable.from(['{"a":1}']); file.pipe(res); return file; }], // biome-ignore format: one line
      ['/lines', (_req, res) => { res.json({ a: 1 }); return createInterface({ input: Readable.from([]) }); }], // biome-ignore format: one line
      ['/array', (_req, res) => { setImmediate(() => res.json({ a: 1 })); return [1, 2]; }], // biome-ignore format: one line
      ['/number', (_req, res) => { setImmediate(() => res.json({ a: 1 })); return 7; }], // biome-ignore format: one line
      ['/cursor', (_req, res) => { setImmediate(() => res.json({ a: 1 })); return { on() {}, next() {}, [Symbol.asyncIterator]() {} }; }], // biome-ignore format: one line
      ['/started', (_req, res) => { res.json({ a: 1 }); return one('ignored'); }], // biome-ignore format: one line
    ];
    const server = await serve((app) => {
      for (const [path, handler] of answered) app.get(path, handler);
      app.get('/file', (_req, res) => createReadStream(__filename).pipe(res));
    });

    for (const [path] of answered) {
      const client = await server.openStream(path);
      expect([path, await client.ended()]).toEqual([path, '{"a":1}']);
    }
    const client = await server.openStream('/file');
    expect(await client.ended()).toContain('app.use(sse()) ignores');
  });

  it('the return values of router.param() callbacks', async () => {
    const server = await serve((app) => {
      app.param('id', (_req, _res, next) => {
        next();
        return one('param');
      });
      app.get('/:id', (_req, res) => {
        setImmediate(() => res.send('answered'));
      });
    });

    const client = await server.openStream('/7');

    expect(await client.ended()).toBe('answered');
  });

  it('objects that throw on property access', async () => {
    const strict = new Proxy({}, {
      get: (_target, name) => {
        if (name === 'then') return undefined;
        throw new Error('strict');
      },
      has: () => {
        throw new Error('strict');
      },
    }); // biome-ignore format: short
    const server = await serve((app) => {
      app.get('/', (_req, res) => {
        setImmediate(() => res.send('answered'));
        return strict;
      });
    });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('answered');
  });

  it('apps that do not use it', async () => {
    await serve(() => undefined);
    const app = express().get('/', (_req, res) => {
      setImmediate(() => res.send('answered'));
      return one(1);
    });

    const client = await openStream(app);

    expect(await client.ended()).toBe('answered');
    await client.close();
  });
});

describe('the nearest sse() applies', () => {
  it('to a route in a router with its own sse()', async () => {
    const server = await serve(
      (app) => {
        const router = express.Router();
        router.use(sse({ retryMs: 2 }));
        router.get('/inner', () => one(1));
        app.use(router);
        app.get('/outer', () => one(1));
      },
      { retryMs: 1 },
    );

    const inner = await server.openStream('/inner');
    const outer = await server.openStream('/outer');

    expect(await inner.ended()).toBe(`retry: 2\n\ndata: 1\n\n${END}`);
    expect(await outer.ended()).toBe(`retry: 1\n\ndata: 1\n\n${END}`);
  });

  it('to a route in a router without one, not that of a sibling router', async () => {
    const server = await serve(
      (app) => {
        const sibling = express.Router().use(sse({ retryMs: 2 }));
        const own = express.Router().get('/x', () => one(1));
        app.use(sibling, express.Router().use(own));
      },
      { retryMs: 1 },
    );

    const client = await server.openStream('/x');

    expect(await client.ended()).toBe(`retry: 1\n\ndata: 1\n\n${END}`);
  });

  it('to routes after a router whose sse() is the only one', async () => {
    const app = express();
    app.use(express.Router().use(sse({ retryMs: 2 })));
    app.get('/x', () => one(1));

    const client = await openStream(app, '/x');

    expect(await client.ended()).toBe(`retry: 2\n\ndata: 1\n\n${END}`);
    await client.close();
  });

  it('to routes after two of them: the later one', async () => {
    const server = await serve(
      (app) => {
        app.use('/', sse({ retryMs: 2 }));
        app.get('/', () => one(1));
      },
      { retryMs: 1 },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`retry: 2\n\ndata: 1\n\n${END}`);
  });

  it('to a route with sse(handler): its own', async () => {
    const server = await serve(
      (app) =>
        app.get(
          '/',
          sse(() => one(1), { retryMs: 2 }),
        ),
      { retryMs: 1 },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`retry: 2\n\ndata: 1\n\n${END}`);
  });
});

describe('a router that does not publish route results', () => {
  async function respond(handler: RequestListener): Promise<OpenedStream> {
    const client = await openStream(handler);
    await client.ended();
    await client.close();
    return client;
  }

  const onError = (
    error: { code: string; message: string },
    _req: Request,
    res: Response,
    _next: NextFunction,
  ) => {
    res.statusCode = 500;
    res.end(JSON.stringify({ code: error.code, message: error.message }));
  };

  it('is reported to next as ERR_SSE_EXPRESS_VERSION, with both remedies (Express 4)', async () => {
    const app = express4();
    app.use(sse());
    app.get('/', () => one(1));
    app.use(onError);

    const client = await respond(app);

    expect(client.text).toContain('"code":"ERR_SSE_EXPRESS_VERSION"');
    expect(client.text).toMatch(/Update to Express 5\.3.*or wrap the route.*sse\(handler\)/);
  });

  it('is reported for router 2.2, too', async () => {
    const router = router22();
    router.use(sse());
    router.use(onError);

    const client = await respond((req, res) => router(req as Request, res as Response, () => res.end()));

    expect(client.text).toContain('"code":"ERR_SSE_EXPRESS_VERSION"');
  });

  it('is detected when Express 5 runs in the same process', async () => {
    const server = await serve((app) => app.get('/', () => one(1)));
    const app = express4().use(sse()).use(onError);

    expect(await (await server.openStream('/')).ended()).toContain('data: 1');
    expect((await respond(app)).text).toContain('ERR_SSE_EXPRESS_VERSION');
  });

  it('is reported on plain node:http with a 500 and a warning', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation();

    const client = await respond(sse() as RequestListener);

    expect(client.status).toBe(500);
    expect(client.text).toBe('');
    expect(emitWarning).toHaveBeenCalledWith(
      expect.stringContaining('ERR_SSE_EXPRESS_VERSION'),
      expect.anything(),
    );
    emitWarning.mockRestore();
  });
});

it('works in a wrapper that calls it for some requests only, also after an await', async () => {
  const middleware = sse();
  const server = await serve((app) => {
    app.use(async (req, res, next) => {
      await new Promise(setImmediate);
      if (req.path === '/wanted') middleware(req, res, next);
      else next();
    });
    app.get('/wanted', () => one(1));
  });

  const client = await server.openStream('/wanted');

  expect(await client.ended()).toBe(`data: 1\n\n${END}`);
});

it('never throws from its subscriber to the tracing channel', async () => {
  const done = new Gate();
  const server = await serve((app) => {
    app.get('/', (_req, res) => {
      // A response that other code has broken.
      res.setHeader = () => {
        throw new Error('broken by a middleware');
      };
      return (async function* () {
        try {
          yield 1;
        } finally {
          done.open();
        }
      })();
    });
    app.use((_error: Error, _req: Request, res: Response, _next: NextFunction) => res.destroy());
  });

  server.send('/');

  await done.promise;
});

it('never throws from its subscriber to the tracing channel, also when no generator is started', async () => {
  const received = new Gate<Error>();
  const server = await serve((app) => {
    app.get('/', (_req, res) => {
      res.setHeader = () => {
        throw new Error('broken by a middleware');
      };
      return one(1);
    });
    app.use((error: Error, _req: Request, res: Response, _next: NextFunction) => {
      received.open(error);
      res.destroy();
    });
  });

  const request = httpGet(server.url('/'), { agent: false, headers: { 'Last-Event-ID': '~end' } });
  request.on('error', () => undefined);

  expect(await received.promise).toMatchObject({ message: 'broken by a middleware' });
});
