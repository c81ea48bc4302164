import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import connect from 'connect';
import express, { type NextFunction, type Request, type Response } from 'express';
import express4 from 'express4';
import request from 'supertest';
import { Channel, createSse, SseError, sse } from '../lib';
import { openStream } from '../lib/testing';
import { aborted, Gate } from './support/gate';
import { HandlerServer } from './support/handler';
import { releaseAll, serve } from './support/serve';
import { WarningCollector } from './support/warnings';

afterEach(releaseAll);

const END = 'event: end\nid: ~end\ndata: null\n\n';

async function* count() {
  yield 1;
  yield 2;
}

/** The request of an EventSource over HTTP/2. */
const EVENT_SOURCE = { ':path': '/', accept: 'text/event-stream' };

describe('sse(handler) runs on', () => {
  const streaming = sse(count);
  const servers: Array<[string, () => RequestListener]> = [
    ['Express 5', () => express().get('/', streaming)],
    ['Express 4', () => express4().get('/', streaming)],
    ['connect', () => connect().use(streaming)],
    ['node:http', () => streaming],
  ];

  it.each(servers)('%s', async (_name, make) => {
    const server = await HandlerServer.start(make());

    const client = await server.openStream();

    expect(client.status).toBe(200);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(await client.ended()).toBe(`data: 1\n\ndata: 2\n\n${END}`);
    await server.close();
  });

  it.each([
    ['Express 5', () => express().set('env', 'test')],
    ['Express 4', () => express4().set('env', 'test')],
    ['connect', () => connect()],
  ])('%s, and responds with the status of an error thrown before the head', async (_name, make) => {
    const failing = sse(async function* () {
      yield await Promise.reject(Object.assign(new Error('no'), { status: 403 }));
    });
    const server = await HandlerServer.start((make() as ReturnType<typeof connect>).use('/', failing));
    const logged = jest.spyOn(console, 'error').mockImplementation();

    const client = await server.openStream();

    expect(client.status).toBe(403);
    await client.ended();
    await server.close();
    logged.mockRestore();
  });

  it('node:https', async () => {
    // A key and a certificate that only the tests use.
    const pem = readFileSync(join(__dirname, 'support', 'localhost.pem'));
    const own = createSse();
    const generator = async function* () {
      for (let i = 0; i < 3; i++) {
        yield `über ${i}`;
        await sleep(1);
      }
    };

    const client = await openStream(https.createServer({ key: pem, cert: pem }, own(generator)));

    expect(await client.ended()).toBe(`data: über 0\n\ndata: über 1\n\ndata: über 2\n\n${END}`);
    await client.close();
    // Over TLS, the client receives the end before Node reports that it was sent.
    while (own.size > 0) await sleep(1);
  });

  it('node:http2', async () => {
    const errors: unknown[] = [];
    const server = http2.createServer(sse(count, { onError: (error) => errors.push(error) })).listen(0);
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

    const stream = session.request(EVENT_SOURCE);
    const [headers] = await once(stream, 'response');

    expect(headers).toMatchObject({ ':status': 200, 'content-type': 'text/event-stream; charset=utf-8' });
    expect(headers).not.toHaveProperty('connection');
    expect(await text(stream)).toBe(`data: 1\n\ndata: 2\n\n${END}`);
    expect(errors).toEqual([]);
    session.close();
    server.close();
    await once(server, 'close');
  });

  it('node:http2, and a client that disconnects ends the generator', async () => {
    const done = new Gate();
    const own = createSse();
    const server = http2
      .createServer(
        own(async function* (_req, res) {
          try {
            yield 'open';
            await aborted(res.sse.signal);
          } finally {
            done.open();
          }
        }),
      )
      .listen(0);
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

    const stream = session.request(EVENT_SOURCE);
    await once(stream, 'data');
    stream.close();
    await done.promise;

    expect(own.size).toBe(0);
    session.close();
    server.close();
    await once(server, 'close');
  });

  it('node:http2, and maxDurationMs ends one stream but not its session', async () => {
    const own = createSse();
    const server = http2
      .createServer(
        own(
          async function* (_req, res) {
            yield 'open';
            await aborted(res.sse.signal);
          },
          { maxDurationMs: 20 },
        ),
      )
      .listen(0);
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

    for (let i = 0; i < 2; i++) {
      const stream = session.request(EVENT_SOURCE);
      expect(await text(stream)).toBe('data: open\n\n');
    }

    expect(session.closed).toBe(false);
    session.close();
    server.close();
    await once(server, 'close');
  });

  it('node:http2, and an incomplete answer of a fetch client is reset after its last event', async () => {
    const own = createSse({ onError: () => 'last' });
    const server = http2
      .createServer(
        own(async function* () {
          yield 'first';
          throw new Error('in the middle');
        }),
      )
      .listen(0);
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = session.request({ ':path': '/', accept: '*/*' }).setEncoding('utf8');
    let received = '';
    stream.on('data', (part: string) => {
      received += part;
    });

    await expect(once(stream, 'end')).rejects.toThrow('NGHTTP2_INTERNAL_ERROR');

    expect(received).toBe('data: first\n\ndata: last\n\n');
    expect([own.size, session.closed]).toEqual([0, false]);
    session.close();
    server.close();
    await once(server, 'close');
  });

  it('node:http2, and sse.close() ends the session, so that the server closes', async () => {
    const own = createSse();
    const server = http2
      .createServer(
        own(async function* (_req, res) {
          yield 'open';
          await aborted(res.sse.signal);
        }),
      )
      .listen(0);
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = session.request(EVENT_SOURCE);
    await once(stream, 'data');

    server.close();
    await own.close({ spreadMs: 0 });

    stream.resume();
    await once(server, 'close');
    expect(session.closed).toBe(true);
  });
});

describe('sse(handler) accepts', () => {
  const sources: Array<[string, () => unknown]> = [
    ['an async generator', () => count()],
    ['a promise of an async generator', async () => count()],
    // biome-ignore lint/suspicious/noThenProperty: the test needs a thenable
    ['a thenable of one', () => ({ then: (resolve: (value: unknown) => void) => resolve(count()) })],
    ['an array', () => [1, 2]],
    ['a Set of promises', () => new Set([Promise.resolve(1), 2])],
    ['a Node Readable', () => Readable.from([1, 2])],
    ['a web ReadableStream', () => Readable.toWeb(Readable.from([1, 2]))],
    ['an iterator without return()', () => ({ [Symbol.asyncIterator]: () => ({ next: [1, 2].values().next.bind([1, 2].values()) }) })], // biome-ignore format: one line
  ];

  it.each(sources)('%s', async (_what, make) => {
    const server = await HandlerServer.start(sse(make));

    const client = await server.openStream();

    expect(await client.ended()).toBe(`data: 1\n\ndata: 2\n\n${END}`);
    await server.close();
  });

  it('a stream without data, and destroys it when the client disconnects', async () => {
    const source = new Readable({ read: () => undefined });
    const server = await HandlerServer.start(sse(() => source, { commitAfterMs: 0 }));

    const client = await server.openStream();
    await client.untilText(': ');
    client.drop();
    await once(source, 'close');

    expect(source.destroyed).toBe(true);
    await server.close();
  });

  it.each([
    ['undefined after the handler has responded', (_req: Request, res: Response) => void res.json({ a: 1 })],
    [
      'undefined before the handler responds',
      (_req: Request, res: Response) => void setImmediate(() => res.json({ a: 1 })),
    ],
    ['the response that the handler has sent', (_req: Request, res: Response) => res.json({ a: 1 })],
    [
      'the response that the handler pipes into',
      (_req: Request, res: Response) => Readable.from(['{"a":1}']).pipe(res),
    ],
    [
      'a generator after the handler has responded',
      (_req: Request, res: Response) => res.json({ a: 1 }) && count(),
    ],
    ['undefined after next()', (_req: Request, _res: Response, next: NextFunction) => next()],
  ])('%s, and does not change the response', async (_what, handler) => {
    const app = express().get('/', sse(handler), (_req, res) => void res.json({ a: 1 }));

    const response = await request(app).get('/').expect(200);

    expect(response.text).toBe('{"a":1}');
  });

  it.each([
    ['a number', 7],
    ['a string', 'hello'],
    ['an object', { data: 1 }],
    ['null', null],
    ['bytes', new Uint8Array(2)],
    ['an iterable without an iterator', { [Symbol.asyncIterator]: () => undefined }],
  ])('only sources: passes an error to next for %s', async (_what, value) => {
    const server = await serve((app) =>
      app.get(
        '/',
        sse(() => value),
      ),
    );

    const client = await server.openStream('/');

    expect(client.status).toBe(500);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_INVALID_SOURCE' })]);
    expect(String(server.errors[0])).toMatch(/^TypeError: Expected the handler to return something to stream, got .*Return an async generator/); // biome-ignore format: one line
  });
});

it('sends the head before the first event, also when a middleware has replaced flushHeaders()', async () => {
  const handler = sse(async function* () {
    yield 1;
    await new Promise(setImmediate);
    yield 2;
  });
  const server = await HandlerServer.start((req, res) => {
    res.flushHeaders = () => undefined;
    handler(req, res);
  });

  const client = await server.openStream();

  expect(client.status).toBe(200);
  expect(await client.ended()).toBe(`data: 1\n\ndata: 2\n\n${END}`);
  await server.close();
});

it('does not report the AbortError of a handler whose client has disconnected', async () => {
  const waiting = new Gate();
  const settled = new Gate();
  const next = jest.fn();
  const handler = sse(async (_req, res) => {
    waiting.open();
    try {
      await sleep(60_000, null, { signal: res.sse.signal });
    } finally {
      setImmediate(() => settled.open());
    }
  });
  const server = await HandlerServer.start((req, res) => handler(req, res, next));

  const client = http.get({ port: server.port }).on('error', () => undefined);
  await waiting.promise;
  client.destroy();
  await settled.promise;

  expect(next).not.toHaveBeenCalled();
  await server.close();
});

describe('sse(handler) without a next', () => {
  let emitWarning: jest.SpyInstance;
  beforeEach(() => {
    emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation();
  });
  afterEach(() => emitWarning.mockRestore());

  it.each([
    ['throws', () => { throw new Error('secret'); }, 500],
    ['rejects', () => Promise.reject(new Error('secret')), 500],
    ['returns a number', () => 7, 500],
    ['throws with a status', () => { throw Object.assign(new Error('secret'), { status: 404 }); }, 404],
    ['throws with a symbol as its status', () => { throw { status: Symbol('x') }; }, 500],
    ['throws with a nonsense status', () => { throw Object.assign(new Error('secret'), { status: 99 }); }, 500],
    ['throws in the generator', async function* () { yield await Promise.reject(new Error('secret')); }, 500],
  ])('responds with an error status and no text when the handler %s, and warns', async (_what, handler, status) => {
    const server = await HandlerServer.start(sse(handler));

    const client = await server.openStream();

    expect(client.status).toBe(status);
    expect(await client.ended()).toBe('');
    expect(emitWarning).toHaveBeenCalledTimes(1);
    await server.close();
  }); // biome-ignore format: table

  it('ends the response when the generator throws after the head, and calls onError once instead of warning', async () => {
    const onError = jest.fn();
    const handler = async function* () {
      yield 1;
      throw new Error('secret');
    };
    const server = await HandlerServer.start(sse(handler, { onError }));

    const client = await server.openStream();

    expect(await client.ended()).toBe('data: 1\n\n');
    expect(onError).toHaveBeenCalledTimes(1);
    expect(emitWarning).not.toHaveBeenCalled();
    await server.close();
  });

  it('still responds when the promise of onError rejects, and warns', async () => {
    const onError = () => Promise.reject(new Error('again'));
    const server = await HandlerServer.start(sse(() => 7, { onError }));

    const client = await server.openStream();
    await client.ended();
    await sleep(1);

    expect(emitWarning).toHaveBeenCalledWith(expect.stringContaining('again'), expect.anything());
    await server.close();
  });

  it('still responds when onError throws, and warns', async () => {
    const handler = () => 7;
    const onError = () => {
      throw new Error('again');
    };
    const server = await HandlerServer.start(sse(handler, { onError }));

    const client = await server.openStream();

    expect(client.status).toBe(500);
    expect(emitWarning).toHaveBeenCalledWith(expect.stringContaining('again'), expect.anything());
    await server.close();
  });
});

describe('sse(handler) whose handler returns nothing', () => {
  let warnings: WarningCollector;
  beforeEach(() => {
    warnings = new WarningCollector();
  });
  afterEach(() => warnings.stop());

  it.each<[string, (req: Request, res: Response, next: NextFunction) => unknown]>([
    ['returns nothing', () => undefined],
    ['takes next and does not call it', (_req, _res, _next) => undefined],
    ['awaits its generator instead of returning it', async () => { await count(); }],
    ['drops a subscription', (_req, res) => { new Channel().subscribe(res.sse); }],
  ])('is reported once per route if it %s and does not respond', async (_what, handler) => {
    const server = await serve((app) => app.get('/rows/:id', sse(handler, { cleanupWarnMs: 5 })));

    const requests = [server.send('/rows/1'), server.send('/rows/2')];
    await warnings.collected(1);
    await sleep(10);

    expect(warnings.all).toEqual([
      {
        type: 'SseWarning',
        code: 'SSE_NOT_ANSWERED',
        message:
          'GET /rows/:id has had no response for 5 ms after its handler returned nothing. ' +
          'Return the generator, channel or subscription, respond through res, or call next(). See docs/error-codes.md#sse_not_answered',
        detail: undefined,
      },
    ]);
    for (const request of requests) request.destroy();
  }); // biome-ignore format: table

  it.each<[string, (req: Request, res: Response) => unknown]>([
    ['subscribes with res.sse', (_req, res) => { new Channel().subscribe(res.sse); }],
    ['reads the last event ID', async (_req, res) => { await [res.sse.lastEventId, count()]; }],
  ])('is also reported under app.use(sse()) if it %s', async (_what, handler) => {
    const server = await serve((app) => app.get('/', handler), { cleanupWarnMs: 5 });

    const request = server.send('/');
    await warnings.collected(1);

    expect(warnings.codes).toEqual(['SSE_NOT_ANSWERED']);
    request.destroy();
  }); // biome-ignore format: table

  it('is not reported if it responds later, and leaves no timer and no listener', async () => {
    const server = await serve((app) =>
      app.get(
        '/',
        sse((_req, res) => void setTimeout(() => res.json({ a: 1 }), 2)),
      ),
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('{"a":1}');
    expect(warnings.all).toEqual([]);
  });

  it.each<[string, (req: Request, res: Response, next: NextFunction) => unknown]>([
    ['calls next', (_req, _res, next) => next()],
    ['calls next later', (_req, _res, next) => { setTimeout(next, 2); }],
    ['awaits before it calls next', async (_req, _res, next) => { await sleep(2); next(); }],
  ])('is not reported if it %s, however long the next handler takes', async (_what, handler) => {
    const respond = (_req: Request, res: Response) => void setTimeout(() => res.json({ a: 1 }), 40);
    const server = await serve((app) => app.get('/', sse(handler, { cleanupWarnMs: 10 }), respond));

    const client = await server.openStream('/');

    expect(await client.ended()).toBe('{"a":1}');
    expect(warnings.all).toEqual([]);
  }); // biome-ignore format: table

  it('is not reported with cleanupWarnMs: false', async () => {
    const server = await serve((app) =>
      app.get(
        '/',
        sse(() => undefined, { cleanupWarnMs: false }),
      ),
    );

    const request = server.send('/');
    while (server.responses.length === 0) await new Promise(setImmediate);
    expect(server.responses[0]?.listenerCount('close')).toBe(0);

    request.destroy();
  });

  it('is not reported if it passes the request to a wrapped generator, as a controller does', async () => {
    const slow = async function* (_req: Request, res: Response) {
      await sleep(40);
      yield res.sse.lastEventId;
    };
    const server = await serve(
      (app) => app.get('/', (req, res, next) => sse(slow, { commitAfterMs: false })(req, res, next)),
      { cleanupWarnMs: 10 },
    );

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`data: \n\n${END}`);
    expect(warnings.all).toEqual([]);
  });

  it('keeps no timer and no listener when the client leaves before the warning', async () => {
    const server = await serve((app) =>
      app.get(
        '/',
        sse(() => undefined),
      ),
    );

    const request = server.send('/');
    while (server.responses.length === 0) await new Promise(setImmediate);
    await new Promise(setImmediate);
    request.destroy();
    await once(server.responses[0] as Response, 'close');

    expect(warnings.all).toEqual([]);
  });
});

describe('an error handler that fails', () => {
  let warnings: WarningCollector;
  beforeEach(() => {
    warnings = new WarningCollector();
  });
  afterEach(() => warnings.stop());

  /** Such as that of polka, which takes the code of an error for a status. */
  const takesCode = (res: http.ServerResponse) => (error?: unknown) => {
    res.statusCode = (error as { code: number }).code;
    res.setHeader('Content-Length', 7);
    res.end('message');
  };

  async function* fails() {
    yield await Promise.reject(Object.assign(new Error('secret'), { code: 'ENOENT' }));
  }

  it.each([
    ['throws', () => () => { throw new Error('broken'); }, 'Error: broken'],
    ['sets an invalid status', takesCode, 'RangeError: Invalid status code: ENOENT'],
  ])('is answered with a 500 and reported with both errors if it %s before the head', async (_what, makeNext, shown) => {
    const handler = sse(fails);
    const server = await HandlerServer.start((req, res) => handler(req, res, makeNext(res)));

    const client = await server.openStream('/rows');

    expect([client.status, await client.ended()]).toEqual([500, '']);
    expect(warnings.all).toEqual([
      {
        type: 'SseWarning',
        code: 'SSE_ERROR_HANDLER_FAILED',
        message: `The error handler of GET /rows threw: ${shown}. The response is a 500. See docs/error-codes.md#sse_error_handler_failed`,
        detail: expect.stringContaining(`${shown}\n    at `),
      },
      { type: 'SseWarning', code: 'SSE_UNHANDLED_ERROR', message: expect.stringContaining('secret'), detail: undefined },
    ]);
    await server.close();
  }); // biome-ignore format: table

  it.each([
    ['has begun the response', (res: http.ServerResponse) => () => { res.write('half'); throw new Error('broken'); }],
    ['has set a status message that cannot be sent', (res: http.ServerResponse) => () => { res.statusMessage = 'a\nb'; throw new Error('broken'); }],
  ])('has its connection closed if it %s', async (_what, makeNext) => {
    const handler = sse(fails);
    const server = await HandlerServer.start((req, res) => handler(req, res, makeNext(res)));

    const response = await fetch(`http://127.0.0.1:${server.port}`).then((answer) => answer.text(), String);

    expect(response).not.toContain('half');
    expect(warnings.all[0]?.message).toMatch(/threw: Error: broken\. The connection was closed\. See/);
    await server.close();
  }); // biome-ignore format: table

  it('leaves a response alone that it has sent itself', async () => {
    const handler = sse(fails);
    const server = await HandlerServer.start((req, res) => {
      handler(req, res, () => {
        res.writeHead(418).end('mine');
        throw new Error('broken');
      });
    });

    const client = await server.openStream();

    expect([client.status, await client.ended()]).toEqual([418, 'mine']);
    expect(warnings.all[0]?.message).toMatch(/The response had ended before\./);
    await server.close();
  });

  it('is reported once per route, and each lost error, but not a client that does not accept event streams', async () => {
    const handler = sse(fails, { client: 'eventsource' });
    const server = await HandlerServer.start((req, res) => handler(req, res, takesCode(res)));

    for (const Accept of ['text/event-stream', 'text/event-stream', 'text/html']) {
      await (await server.openStream('/', { headers: { Accept } })).ended();
    }

    expect(warnings.codes).toEqual([
      'SSE_ERROR_HANDLER_FAILED',
      'SSE_UNHANDLED_ERROR',
      'SSE_UNHANDLED_ERROR',
    ]);
    await server.close();
  });

  it('leaves no listener, timer or stream', async () => {
    const server = await serve((app, own) => {
      app.get('/', (req, res) => own(fails)(req, res, takesCode(res)));
    });

    const client = await server.openStream('/');

    expect([client.status, await client.ended()]).toEqual([500, '']);
    expect(server.sse.size).toBe(0);
  });
});

describe('next(error) in a generator whose stream has begun', () => {
  let warnings: WarningCollector;
  beforeEach(() => {
    warnings = new WarningCollector();
  });
  afterEach(() => warnings.stop());

  async function* fails(_req: Request, _res: Response, next: NextFunction) {
    yield 1;
    next(new Error('too late'));
  }

  it.each([
    ['app.use(sse())', fails],
    ['sse(handler)', sse(fails)],
  ])('is reported under %s', async (_how, handler) => {
    const server = await serve((app) => app.get('/rows', handler));

    await (await server.openStream('/rows')).ended();
    const [warning] = await warnings.collected(1);

    expect(warnings.all).toHaveLength(1);
    expect(warning).toEqual({
      type: 'SseWarning',
      code: 'SSE_NEXT_CALLED',
      message:
        'The generator of GET /rows called next() with an error, which does not end its stream. ' +
        'Throw the error instead. See docs/error-codes.md#sse_next_called',
      detail: undefined,
    });
  });

  it('is not reported in a handler that has not returned its generator yet', async () => {
    const server = await serve((app) => app.get('/', (_req, _res, next) => next(new Error('early'))));

    expect((await server.openStream('/')).status).toBe(500);

    expect(warnings.all).toEqual([]);
  });
});

describe('sse()', () => {
  it('names the missing parentheses if Express calls it with a request', async () => {
    const server = await serve((app) => app.use('/x', sse as unknown as express.RequestHandler));

    expect((await server.openStream('/x')).status).toBe(500);

    expect(server.errors).toMatchObject([
      {
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_HANDLER',
        message: expect.stringMatching(
          /^Expected sse\(\) to be called by your app, got a request and a response\. Use app\.use\(sse\(\)\), not app\.use\(sse\)\./,
        ),
      },
    ]);
  });

  it.each([
    ['null', null, undefined],
    ['a number', 3, undefined],
    ['a string', 'x', undefined],
    ['a generator instead of a generator function', count(), undefined],
    ['an array', [1], undefined],
    ['two sets of options', {}, {}],
    ['a missing handler', undefined, {}],
  ])('throws immediately for %s', (_what, first, second) => {
    const untyped = sse as unknown as (...args: unknown[]) => unknown;

    expect(() => untyped(first, second)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_HANDLER' }),
    );
  });

  it('throws immediately for a misspelt option of sse(), sse(handler) and createSse()', () => {
    const misspelt = { keepAlive: 5 } as object;

    for (const call of [() => sse(misspelt), () => sse(count, misspelt), () => createSse(misspelt)]) {
      expect(call).toThrow(/Unknown option 'keepAlive'. Did you mean 'keepAliveMs'?/);
    }
  });

  it('has read-only properties close and size', () => {
    expect(sse.size).toBe(0);
    expect(() => Object.assign(sse, { size: 3 })).toThrow(TypeError);
    expect(() => Object.assign(sse, { close: null })).toThrow(TypeError);
  });

  it('returns a function of three parameters, which Express does not take for an error handler', () => {
    expect(sse((_req, _res, _next) => undefined)).toHaveLength(3);
  });
});

describe('createSse()', () => {
  it('creates instances with separate defaults, streams and close()', async () => {
    const one = createSse({ retryMs: 1 });
    const two = createSse({ retryMs: 2 });
    await one.close();
    const server = await serve((app) => {
      app.get('/one', one(count));
      app.get('/two', two(count, { end: 'reconnect' }));
    });

    const first = await server.openStream('/one');
    const second = await server.openStream('/two');

    expect(await first.ended()).toBe('');
    expect(await second.ended()).toBe('retry: 2\n\ndata: 1\n\ndata: 2\n\n');
  });

  it('resolves close() immediately without streams, and returns the same promise each time', async () => {
    const own = createSse();

    const closing = own.close();

    expect(own.close({ spreadMs: 7 })).toBe(closing);
    await closing;
  });

  it('counts open streams in size', async () => {
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        yield 'open';
        await aborted(res.sse.signal);
      });
    });

    const clients = await Promise.all([
      server.openStream('/'),
      server.openStream('/'),
      server.openStream('/'),
    ]);

    expect(server.sse.size).toBe(3);
    for (const client of clients) client.drop();
  });
});

describe('res.sse', () => {
  it('has the last event ID, decoded from UTF-8', async () => {
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        yield res.sse.lastEventId;
      });
    });

    const client = await server.openStream('/', {
      headers: { 'Last-Event-ID': Buffer.from('é✓').toString('latin1') },
    });

    expect(await client.untilText('✓')).toContain('data: é✓\n\n');
  });

  it('has an aborted signal if the client disconnected while the handler was busy', async () => {
    const seen = new Gate<boolean>();
    const server = await serve((app) => {
      app.get('/', async (_req, res) => {
        await once(res, 'close');
        seen.open(res.sse.signal.aborted);
      });
    });

    const pending = server.send('/');
    await once(pending, 'socket');
    while (server.responses.length === 0) await new Promise(setImmediate);
    pending.destroy();

    expect(await seen.promise).toBe(true);
  });

  it('does not abort its signal when a stream or another response has finished', async () => {
    const signals: AbortSignal[] = [];
    const server = await serve((app) => {
      app.get('/json', (_req, res) => {
        signals.push(res.sse.signal);
        res.json({});
      });
      app.get('/stream', async function* (_req, res) {
        signals.push(res.sse.signal);
        yield 1;
      });
    });

    for (const path of ['/json', '/stream']) await (await server.openStream(path)).ended();
    while (server.responses.some((res) => !res.closed)) await new Promise(setImmediate);

    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
  });

  it('creates no AbortController until the signal is read', async () => {
    const made = jest.spyOn(globalThis, 'AbortController');
    const server = await serve((app) => app.get('/', count));

    await (await server.openStream('/')).ended();

    expect(made).not.toHaveBeenCalled();
    made.mockRestore();
  });
});

it('Express responds with the status of an SseError by default', async () => {
  const app = express()
    .set('env', 'test')
    .use(sse({ client: 'eventsource' }))
    .get('/', count);

  const response = await request(app).get('/').set('Accept', 'text/html');

  expect(response.status).toBe(406);
  expect(new SseError('ERR_SSE_FULL', 'x')).toBeInstanceOf(Error);
});

it.each(['//', '/?a=%', '/%E0%A4%A'])('streams for any URL: %s', async (path) => {
  const server = await HandlerServer.start(sse(count));

  const client = await server.openStream(path, { headers: { Host: 'no host:at all' } });

  expect(await client.ended()).toContain('data: 2');
  await server.close();
});

it('writes nothing to a response on which the handler has called writeHead', async () => {
  const server = http.createServer(sse((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    setImmediate(() => res.end('mine'));
    return count();
  })).listen(0); // biome-ignore format: short
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(await response.text()).toBe('mine');
  server.closeAllConnections();
  server.close();
});
