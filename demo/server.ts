import { Channel, memoryLog } from 'express-yield';
import { createApp } from './app';
import { jobsInMemory } from './job';
import { listen, portOf } from './listen';
import { type Price, publishPrices } from './prices';

async function main(): Promise<void> {
  const log = memoryLog({ maxEvents: 300 });
  const prices = new Channel<Price>({ log, replay: true });
  const jobs = jobsInMemory();
  const { url, close } = await listen(createApp({ prices, jobs }), portOf(process.env.PORT));
  void publishPrices(prices, log);

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      jobs.close();
      void close();
    });
  }
  console.log(`The demo is at ${url} (Ctrl+C ends it).`);
}

void main();
