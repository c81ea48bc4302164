/** A server that Kubernetes replaces while streams are open. Run it with `npx tsx docs/kubernetes.ts`; it needs Redis. */
import express from 'express';
import { Channel, sse } from 'express-yield';
import { redisLogs } from 'express-yield/redis';
import { Redis } from 'ioredis';

const { PORT = 3000, REDIS_URL = 'redis://localhost:6379' } = process.env;
/** As in kubernetes.yaml, whose terminationGracePeriodSeconds is longer than all three together. */
const { SPREAD_MS = 20_000, GRACE_MS = 5_000, REQUESTS_MS = 5_000 } = process.env;

const client = new Redis(REDIS_URL);
const logs = redisLogs(client);
const prices = new Channel({ log: logs('prices') }); // in Redis, so that any pod can resume any client
let isStopping = false;

const app = express();
app.use(sse({ retryMs: 1_000 }));
app.get('/ready', (_req, res) => res.sendStatus(isStopping ? 503 : 200));
app.get('/prices', () => prices);
app.post('/prices', express.json(), async (req, res) => {
  res.status(201).json({ id: await prices.publish(req.body) });
});
const server = app.listen(PORT);

process.once('SIGTERM', async () => {
  isStopping = true;
  await sse.close({ spreadMs: Number(SPREAD_MS), graceMs: Number(GRACE_MS) });
  server.close(async () => {
    await logs.close();
    client.disconnect();
  });
  setTimeout(() => server.closeAllConnections(), Number(REQUESTS_MS)).unref();
});
