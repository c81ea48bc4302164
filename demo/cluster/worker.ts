import { Channel } from 'express-yield';
import { redisLogs } from 'express-yield/redis';
import { createClient } from 'redis';
import { createApp } from '../app';
import { listen } from '../listen';
import { type Price, publishPrices } from '../prices';
import { jobsOnRedis } from './jobs';
import { Leases } from './leases';

const PREFIX = 'express-yield-demo:';

/** One of the processes; `demo/cluster.ts` starts it and passes the ports and the URL of Redis. */
async function main(port: number, ports: number[], url: string): Promise<void> {
  const client = createClient({ url });
  // The client reconnects on its own, and the logs emit a warning.
  client.on('error', () => undefined);
  await client.connect();
  const logs = redisLogs(client, { prefix: PREFIX });
  const leases = new Leases(client, `${PREFIX}lease:`);

  const log = logs('prices', { maxEvents: 300 });
  const prices = new Channel<Price>({ log, replay: true });
  const app = createApp({ prices, jobs: jobsOnRedis(logs, leases), ports });
  const server = await listen(app, port);
  void leases.inTurn('prices', (signal) => publishPrices(prices, log, signal));

  let closing = false;
  async function close(): Promise<void> {
    if (closing) return;
    closing = true;
    await Promise.all([leases.close(), server.close()]);
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
