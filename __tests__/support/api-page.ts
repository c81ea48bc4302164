import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EventSource } from 'eventsource';
import { Channel, type Events, event, sse } from 'express-yield';

export interface Price {
  readonly symbol: string;
  readonly price: number;
}

export interface Halt {
  readonly symbol: string;
  readonly reason: string;
}

/** What the examples of a page listen to, and import the type of. */
export const market = new Channel<Events<{ price: Price; halt: Halt }>>({ replay: true });

/** So long a page may wait for what was sent before it came. */
const PATIENCE_MS = 5_000;

/**
 * Gives the examples of a page npm's `EventSource` for a browser's. Whichever URL they name, `market` answers.
 *
 * @returns what resolves once each that they have made has heard a price
 */
export async function openPage(): Promise<() => Promise<unknown>> {
  await market.publish(event('price', { symbol: 'ACME', price: 101 }));
  const server = createServer(sse(() => market)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const heard: Promise<unknown>[] = [];
  const PageEventSource = class extends EventSource {
    constructor() {
      super(url);
      heard.push(once(this, 'price', { signal: AbortSignal.timeout(PATIENCE_MS) }));
    }
  };
  Object.assign(globalThis, { EventSource: PageEventSource });
  return () => Promise.all(heard);
}
