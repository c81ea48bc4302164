import { createRuns } from 'express-yield';
import { redisLogs } from 'express-yield/redis';
import { createClient } from 'redis';
import { createApp } from '../app';
import { createJobs, LEASE_MS } from '../job';
import { listen } from '../listen';
import { MAX_PRICES, type Price, walk } from '../prices';

/** One of the processes; `demo/cluster.ts` starts it and passes the ports and the URL of Redis. */
async function main(port: number, ports: number[], url: string): Promise<void> {
  const client = createClient({ url });
  // The client reconnects on its own, and the logs emit a warning.
  client.on('error', () => undefined);
  await client.connect();
  const logs = redisLogs(client, { prefix: 'express-yield-demo:' });

  const jobs = createJobs({ logs });
  const markets = createRuns<Price>({
    logs: (key) => logs(key, { maxEvents: MAX_PRICES }),
    leaseMs: LEASE_MS,
  });
  // One process makes the prices of all; each can take that over.
  const openPrices = () => markets.start('prices', walk, { takeover: true });
  await openPrices();
  const server = await listen(createApp({ openPrices, jobs, ports }), port);

  let closing = false;
  async function close(): Promise<void> {
    if (closing) return;
    closing = true;
    await server.close();
    await Promise.all([jobs.close(), markets.close()]); // the other process continues them
    await logs.close();
    client.destroy();
    if (process.connected) process.disconnect();
  }
  // `disconnect`: the parent process has exited.
  for (const reason of ['SIGINT', 'SIGTERM', 'disconnect']) process.on(reason, close);
  console.log(`Process ${process.pid} serves ${server.url}`);
}

const { PORT, PORTS = '', REDIS_URL = '' } = process.env;
void main(Number(PORT), PORTS.split(',').map(Number), REDIS_URL);
