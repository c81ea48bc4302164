import { AsyncLocalStorage } from 'node:async_hooks';
import type { RequestHandler } from 'express';
import { sse } from '../../lib';
import { aborted, Gate } from '../support/gate';
import { releaseAll, serve, type TestServer } from '../support/serve';
import { Wire } from '../support/wire';

const store = new AsyncLocalStorage<string>();
const withStore: RequestHandler = (req, _res, next) => store.run(String(req.headers['x-user']), next);
const alice = { headers: { 'x-user': 'alice' } };

afterEach(releaseAll);

describe('in the AsyncLocalStorage context of its own request runs', () => {
  it('finally, after its client has left unread', async () => {
    const stores: Array<string | undefined> = [];
    const cleaned = new Gate();
    const server = await serve(
      (app) =>
        void app.get('/', withStore, async function* () {
          try {
            stores.push(store.getStore());
            for (;;) yield 'x'.repeat(100_000);
          } finally {
            stores.push(store.getStore());
            cleaned.open();
          }
        }),
    );
    const client = await server.openStream('/', alice);
    client.stall();
    await server.full();

    client.drop();

    await cleaned.promise;
    expect(stores).toEqual(['alice', 'alice']);
  });

  it('finally, after sse.close() in another context', async () => {
    const [cleaned, stuck] = [new Gate(), new Gate()];
    const stores: Array<string | undefined> = [];
    const server = await serve(
      (app) =>
        void app.get('/', withStore, async function* (_req, res) {
          res.sse.signal.addEventListener('abort', () => stores.push(store.getStore()));
          try {
            yield 1;
            await aborted(res.sse.signal);
            yield 2;
            await stuck.promise;
          } finally {
            stores.push(store.getStore());
            cleaned.open();
          }
        }),
    );
    const client = await server.openStream('/', alice);
    await client.next();

    void store.run('operator', () => server.sse.close({ spreadMs: 0, graceMs: 20 }));
    await client.closed();
    stuck.open();
    await cleaned.promise;

    expect(stores[0]).toBe('alice');
  });

  it.each<[string, (server: TestServer) => unknown]>([
    ['sse.close()', (server) => server.sse.close({ spreadMs: 0, graceMs: 0 })],
    ['close() of the stream', (server) => [...server.sse.streams()][0]?.close()],
  ])('finally of a generator that waits at a yield, after %s in another context', async (_how, close) => {
    const cleaned = new Gate<string | undefined>();
    const server = await serve(
      (app) =>
        void app.get('/', withStore, async function* () {
          try {
            for (;;) yield 'x'.repeat(100_000);
          } finally {
            cleaned.open(store.getStore());
          }
        }),
    );
    const client = await server.openStream('/', alice);
    client.stall();
    await server.full();

    store.run('operator', () => void close(server));

    expect(await cleaned.promise).toBe('alice');
  });

  it('return() of a hand-made iterator', async () => {
    const returned = new Gate<string | undefined>();
    const iterator = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => new Promise<IteratorResult<number>>(() => undefined),
      return: async () => {
        returned.open(store.getStore());
        return { done: true as const, value: undefined };
      },
    };
    const server = await serve(
      (app) =>
        void app.get(
          '/',
          withStore,
          sse(() => iterator),
        ),
    );
    const client = await server.openStream('/', { ...alice, headers: { ...alice.headers } });

    client.drop();

    expect(await returned.promise).toBe('alice');
  });

  it('onError, and the error handler', async () => {
    const stores: Array<string | undefined> = [];
    const gate = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', withStore, async function* () {
          yield 1;
          await gate.promise;
        });
        app.use(((_error, _req, _res, next) => {
          stores.push(store.getStore());
          next(_error);
        }) as import('express').ErrorRequestHandler);
      },
      { onError: () => void stores.push(store.getStore()) },
    );
    const client = await server.openStream('/', alice);
    await client.next();

    store.run('operator', () => gate.fail(new Error('broken')));
    await client.ended();
    await server.errorsHandled(1);

    expect(stores).toEqual(['alice', 'alice']);
  });

  it('the error handler, after another context has closed the connection of a client that does not read', async () => {
    const handled = new Gate<string | undefined>();
    const server = await serve(
      (app) => {
        app.get('/', withStore, async function* () {
          yield 1;
          throw new Error('broken');
        });
        app.use(((error, _req, _res, next) => {
          handled.open(store.getStore());
          next(error);
        }) as import('express').ErrorRequestHandler);
      },
      { onError: () => 'x'.repeat(32_000_000) },
    );
    const client = await server.openStream('/', alice);
    client.stall();
    await server.full();

    const closing = store.run('operator', () => server.sse.close({ spreadMs: 0, graceMs: 0 }));

    expect(await handled.promise).toBe('alice');
    await closing;
    await server.errorsHandled(1);
  });

  it('a generator that waited for its turn in a pipeline', async () => {
    const gate = new Gate();
    const stores: Array<string | undefined> = [];
    const server = await serve((app) => {
      app.get('/first', async function* () {
        yield 1;
        await gate.promise;
      });
      app.get('/second', withStore, async function* () {
        stores.push(store.getStore());
        yield 2;
      });
    });
    const requests = ['/first', '/second'].map(
      (path) => `GET ${path} HTTP/1.1\r\nHost: test\r\nx-user: alice\r\n\r\n`,
    );
    const wire = await Wire.open(server.port, requests.join(''));
    await wire.until('data: 1\n\n');

    gate.open();
    await wire.until('data: 2\n\n');

    expect(stores).toEqual(['alice']);
    wire.socket.destroy();
  });
});

describe('the keep-alive timer, which all streams share', () => {
  it('does not retain the store of the first request', async () => {
    const inTimer = new Gate<string | undefined>();
    const setInterval = jest.spyOn(globalThis, 'setInterval').mockImplementation(((
      callback: () => void,
      ms: number,
    ) => {
      inTimer.open(store.getStore());
      setInterval.mockRestore();
      return globalThis.setInterval(callback, ms);
    }) as typeof globalThis.setInterval);
    const server = await serve(
      (app) =>
        void app.get('/', withStore, async function* () {
          yield 1;
        }),
      { keepAliveMs: 12_345 },
    );

    await server.openStream('/', alice);

    expect(await inTimer.promise).toBeUndefined();
  });
});
