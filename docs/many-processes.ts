/**
 * One process for each core, all on one port. Run it with `npx tsx docs/many-processes.ts`; it needs Redis.
 * `kill -HUP` its process id to replace all workers, one after another.
 */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import express from 'express';
import { Channel, sse } from 'express-yield';
import { redisLogs } from 'express-yield/redis';
import { Redis } from 'ioredis';

const { PORT = 3000, REDIS_URL = 'redis://localhost:6379', WORKERS = availableParallelism() } = process.env;

// Let workers accept connections: the primary could pass one to a worker that is being killed, and its request would be lost.
cluster.schedulingPolicy = cluster.SCHED_NONE;

if (cluster.isPrimary) supervise();
else serve();

function supervise(): void {
  for (let n = 0; n < Number(WORKERS); n++) cluster.fork();
  // A worker that was asked to stop exits with 0; any other is replaced.
  cluster.on('exit', (_worker, code) => {
    if (code !== 0) cluster.fork();
  });
  process.on('SIGHUP', async () => {
    for (const worker of workers()) await replace(worker);
  });
  process.once('SIGTERM', () => {
    for (const worker of workers()) worker.process.kill('SIGTERM');
  });
}

function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker): worker is Worker => worker !== undefined);
}

/** The new worker listens before the old one is asked to stop. */
async function replace(worker: Worker): Promise<void> {
  await once(cluster.fork(), 'listening');
  worker.process.kill('SIGTERM');
  await once(worker, 'exit');
}

function serve(): void {
  const client = new Redis(REDIS_URL);
  const logs = redisLogs(client);
  const prices = new Channel({ log: logs('prices', { maxEvents: 10_000 }) });

  const app = express();
  app.use(sse({ headers: { 'X-Process': process.pid } }));
  app.get('/prices', () => prices);
  app.post('/prices', express.json(), async (req, res) => {
    res.status(201).json({ id: await prices.publish(req.body) });
  });
  const server = app.listen(PORT);

  process.once('SIGTERM', async () => {
    const closed = once(server.close(), 'close');
    await sse.close();
    setTimeout(() => server.closeAllConnections(), 5_000).unref();
    await closed; // the other requests have finished
    await logs.close();
    client.disconnect();
    process.disconnect?.();
  });
}
