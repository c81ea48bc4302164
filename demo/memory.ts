import { Channel, memoryLog } from 'express-yield';
import type { Backing } from './app';
import { createJobs } from './job';
import { MAX_PRICES, type Price, walk } from './prices';

/** The data of the demo in the memory of this process. */
export function backingInMemory(): Backing & { close(): Promise<void> } {
  const market = new AbortController();
  const prices = new Channel<Price>({ log: memoryLog({ maxEvents: MAX_PRICES }), replay: true });
  const jobs = createJobs();

  async function publish(signal: AbortSignal): Promise<void> {
    for await (const price of walk({ signal })) await prices.publish(price);
  }

  publish(market.signal).catch((error) => {
    if (!market.signal.aborted) throw error;
  });
  const close = () => {
    market.abort();
    return jobs.close();
  };
  return { openPrices: () => prices, jobs, close };
}
