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

/** The channel that browser examples subscribe to and import the type of. */
export const market = new Channel<Events<{ price: Price; halt: Halt }>>({ replay: true });

/** The maximum time until a page has received an event published before it connected. */
const MAX_WAIT_MS = 5_000;

/**
 * Replaces the browser's `EventSource` by the one of npm for browser examples. Every URL leads to `market`.
 *
 * @returns a function whose promise resolves when each `EventSource` of the examples has received a price
 */
export async function openPage(): Promise<() => Promise<unknown>> {
  await market.publish(event('price', { symbol: 'ACME', price: 101 }));
  const server = createServer(sse(() => market)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const received: Promise<unknown>[] = [];
  const PageEventSource = class extends EventSource {
    constructor() {
      super(url);
      received.push(once(this, 'price', { signal: AbortSignal.timeout(MAX_WAIT_MS) }));
    }
  };
  Object.assign(globalThis, { EventSource: PageEventSource });
  return () => Promise.all(received);
}
