import { once } from 'node:events';
import { join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import express, { type Express, type RequestHandler, type Response } from 'express';
import { type Channel, comment, sse } from 'express-yield';
import type { Jobs } from './job';
import type { Price } from './prices';

/** What the routes show; `demo` has it in memory, `demo:cluster` on Redis. */
export interface Backing {
  readonly prices: Channel<Price>;
  readonly jobs: Jobs;
  /** Where the same page is served, if there are several processes. */
  readonly ports?: readonly number[];
}

export function createApp({ prices, jobs, ports = [] }: Backing): Express {
  const app = express();
  app.use(express.static(join(__dirname, 'public')));
  app.use(sse({ retryMs: 1_000 }));

  app.get('/clock', async function* (_req, res) {
    yield new Date().toISOString();
    for await (const _ of setInterval(1000, null, { signal: res.sse.signal })) {
      yield new Date().toISOString();
    }
  });

  /** The streams that the page may ask to be cut, by the key that it made up. */
  const droppable = new Map<string, Response>();

  const keep: RequestHandler<{ key: string }> = ({ query }, res, next) => {
    const connection = String(query.connection);
    droppable.set(connection, res);
    res.once('close', () => {
      if (droppable.get(connection) === res) droppable.delete(connection);
    });
    next();
  };

  app.get('/prices', keep, () => prices);

  app.get('/job/:key', keep, ({ params: { key } }) => jobs.open(key));

  // No end and no error, only a socket that is suddenly gone, as in a tunnel.
  app.post('/drop/:connection', ({ params: { connection } }, res) => {
    const stream = droppable.get(connection);
    stream?.destroy();
    res.sendStatus(stream === undefined ? 404 : 204);
  });

  app.get(
    '/quiet',
    sse(
      async function* (_req, res) {
        yield comment('nothing to say, but still here');
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
