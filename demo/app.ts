import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import express, { type Express, type RequestHandler, type Response } from 'express';
import { type Awaitable, type Channel, comment, event, type Runs, sse } from 'express-yield';
import { type Steps, work } from './job';
import type { Price } from './prices';

/** The data of the routes: in memory for `demo`, on Redis for `demo:cluster`. */
export interface Backing {
  readonly openPrices: () => Awaitable<Channel<Price>>;
  readonly jobs: Runs<Steps>;
  /** The ports of all processes that serve this page, if there are several. */
  readonly ports?: readonly number[];
}

export function createApp({ openPrices, jobs, ports = [] }: Backing): Express {
  const app = express();
  app.use(express.static(join(__dirname, 'public')));
  app.use('/uplot', express.static(dirname(require.resolve('uplot'))));
  app.use(sse({ retryMs: 1_000 }));

  app.get('/clock', async function* (_req, res) {
    yield new Date().toISOString();
    for await (const _ of setInterval(1000, null, { signal: res.sse.signal })) {
      yield new Date().toISOString();
    }
  });

  /** The streams that the page can ask to be cut, by the key that the page has chosen. */
  const droppable = new Map<string, Response>();

  const keep: RequestHandler<{ key: string }> = ({ query }, res, next) => {
    // The client may have left while express.static() looked for a file: no 'close' follows.
    if (res.closed) return next();
    const connection = String(query.connection);
    droppable.set(connection, res);
    res.once('close', () => {
      if (droppable.get(connection) === res) droppable.delete(connection);
    });
    next();
  };

  app.get('/prices', keep, () => openPrices());

  app.get('/job/:key', keep, ({ params: { key } }) => jobs.start(key, work, { takeover: true }));

  app.delete('/job/:key', async ({ params: { key } }, res) => {
    const isStopped = await jobs.stop(key, event('stopped', {}));
    res.sendStatus(isStopped ? 204 : 404);
  });

  // Destroys the socket without an end or an error, like a lost mobile connection.
  app.post('/drop/:connection', ({ params: { connection } }, res) => {
    const stream = droppable.get(connection);
    stream?.destroy();
    res.sendStatus(stream === undefined ? 404 : 204);
  });

  app.get(
    '/quiet',
    sse(
      async function* (_req, res) {
        yield comment('no events on this route, only comments');
        await once(res.sse.signal, 'abort');
      },
      { keepAliveMs: 2_000 },
    ),
  );

  app.get('/process', (_req, res) => {
    res.json({ pid: process.pid, ports });
  });

  return app;
}
