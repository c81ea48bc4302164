import { setInterval } from 'node:timers/promises';
import type { Channel, EventLog } from 'express-yield';
import { lastOf } from './last';

export interface Price {
  /** Counts the prices, so that the page can detect a missing one. */
  readonly n: number;
  readonly price: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

const TICK_MS = 150;
const MEAN = 100;

/**
 * Publishes a random walk that continues from the last price in the log. It does not keep the process alive.
 *
 * @returns a promise that rejects when the signal aborts or the log is unavailable
 */
export async function publishPrices(
  prices: Channel<Price>,
  log: EventLog,
  signal?: AbortSignal,
): Promise<void> {
  let { n, price } = (await lastOf<Price>(log)) ?? { n: 0, price: MEAN };
  for await (const _ of setInterval(TICK_MS, null, { signal, ref: false })) {
    n++;
    price = step(price);
    await prices.publish({ n, price, at: Date.now() });
  }
}

/** A random step, with a drift towards the mean. */
function step(price: number): number {
  const next = price + (Math.random() - 0.5) * 1.2 + (MEAN - price) * 0.02;
  return Number(next.toFixed(2));
}
