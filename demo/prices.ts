import { setInterval } from 'node:timers/promises';
import type { RunContext } from 'express-yield';

export interface Price {
  /** Counts the prices, so that the page can detect a missing one. */
  readonly n: number;
  readonly price: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** How many prices a server retains. */
export const MAX_PRICES = 300;

const TICK_MS = 150;
const MEAN = 100;

/** A random walk that continues after the last published price. It does not keep the process alive. */
export async function* walk({ signal, lastEvent }: Partial<RunContext> = {}): AsyncGenerator<Price> {
  let { n, price } = (lastEvent?.data as Price | undefined) ?? { n: 0, price: MEAN };
  for await (const _ of setInterval(TICK_MS, null, { signal, ref: false })) {
    n++;
    price = step(price);
    yield { n, price, at: Date.now() };
  }
}

/** A random step, with a drift towards the mean. */
function step(price: number): number {
  const next = price + (Math.random() - 0.5) * 1.2 + (MEAN - price) * 0.02;
  return Number(next.toFixed(2));
}
