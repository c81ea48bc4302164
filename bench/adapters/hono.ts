import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import type { Route, Serve } from '../adapter';
import type { Audience, Broadcasts } from '../broadcast';
import { listen } from '../listen';
import type { Quote } from '../sources';
import { viewer } from './viewer';
import { type Accepts, acceptsOf } from './wanted';

/** `streamSSE()` on `@hono/node-server`. */
export const serve: Serve = (routes, broadcasts) => {
  const app = new Hono();
  for (const route of routes) {
    app.get(route.path, route.run === 'shared' ? subscriberOf(route, broadcasts) : handlerOf(route));
  }
  return listen(createServer(getRequestListener(app.fetch)));
};

function handlerOf(route: Route) {
  return (c: Context) =>
    streamSSE(c, async (stream) => {
      keepAlive(stream, route.keepAliveMs);
      const left = (listener: () => void) => stream.onAbort(listener);
      try {
        for await (const quote of route.source(viewer(c.req.query('events'), left))) {
          await stream.writeSSE({ data: JSON.stringify(quote) });
          if (stream.aborted) return;
        }
      } catch (error) {
        if (stream.aborted) return;
        throw error;
      }
      await stream.writeSSE({ event: 'end', data: '' });
    });
}

function subscriberOf(route: Route, broadcasts: Broadcasts) {
  const broadcast = broadcasts.of(route.source, () => new StreamAudience());
  return (c: Context) =>
    streamSSE(c, async (stream) => {
      keepAlive(stream, route.keepAliveMs);
      // The head is sent with the first byte; without it the client would not know that the stream is open.
      await stream.write(': \n\n');
      await broadcast.audienceFor({ query: c.req.query() }).add(stream, acceptsOf(c.req.query('symbol')));
    });
}

/** Hono has no keep-alives. */
function keepAlive(stream: SSEStreamingApi, everyMs: number | false): void {
  if (everyMs === false) return;
  const timer = setInterval(() => stream.write(': \n\n'), everyMs);
  stream.onAbort(() => clearInterval(timer));
}

/** A loop over the open streams: Hono has no broadcast. The JSON is made once. */
class StreamAudience implements Audience {
  readonly #streams = new Map<SSEStreamingApi, Accepts | undefined>();
  readonly #closes: (() => void)[] = [];

  get size(): number {
    return this.#streams.size;
  }

  /** @returns a promise that resolves when the stream must be closed */
  add(stream: SSEStreamingApi, accepts?: Accepts): Promise<void> {
    this.#streams.set(stream, accepts);
    stream.onAbort(() => {
      this.#streams.delete(stream);
    });
    return new Promise((resolve) => {
      this.#closes.push(resolve);
      stream.onAbort(resolve);
    });
  }

  publish(quote: Quote): void {
    const data = JSON.stringify(quote);
    for (const [stream, accepts] of this.#streams) {
      // Not awaited: one slow client would delay all.
      if (accepts === undefined || accepts(quote)) void stream.writeSSE({ data });
    }
  }

  async end(): Promise<void> {
    for (const stream of this.#streams.keys()) await stream.writeSSE({ event: 'end', data: '' });
    for (const close of this.#closes) close();
  }
}
