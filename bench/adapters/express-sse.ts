import { createServer } from 'node:http';
import compression from 'compression';
import express, { type RequestHandler, type Response } from 'express';
import SSE from 'express-sse';
import type { Route, Serve } from '../adapter';
import type { Audience, Broadcasts } from '../broadcast';
import { listen } from '../listen';
import type { Quote } from '../sources';
import { keepAlive } from './keep-alive';
import { viewer } from './viewer';

/** `sse.init` and `sse.send()`; an instance for each client where each has its own run. */
export const serve: Serve = (routes, broadcasts) => {
  const app = express();
  for (const route of routes) {
    if (route.compression !== 'absent') app.use(route.path, compression());
    app.get(route.path, route.run === 'shared' ? subscriberOf(route, broadcasts) : handlerOf(route));
  }
  return listen(createServer(app));
};

function handlerOf(route: Route): RequestHandler {
  return async (req, res) => {
    const sse = new SSE();
    sse.init(req, res);
    keepAlive(res, route.keepAliveMs);
    const source = route.source(viewer(req.query.events, (listener) => res.on('close', listener)));
    try {
      for await (const quote of source) {
        if (res.destroyed) return;
        sse.send(quote);
      }
    } catch (error) {
      if (res.destroyed) return;
      throw error;
    }
    sse.send(null, 'end');
    res.end();
  };
}

function subscriberOf(route: Route, broadcasts: Broadcasts): RequestHandler {
  const broadcast = broadcasts.of(route.source, () => new InstanceAudience());
  return (req, res) => {
    const audience = broadcast.audienceFor(req);
    audience.sse.init(req, res);
    keepAlive(res, route.keepAliveMs);
    audience.add(res);
  };
}

class InstanceAudience implements Audience {
  readonly sse = new SSE();
  /** An instance has no method to end it; its responses have. */
  readonly #responses = new Set<Response>();

  get size(): number {
    return this.#responses.size;
  }

  add(res: Response): void {
    this.#responses.add(res);
    res.on('close', () => this.#responses.delete(res));
  }

  publish(quote: Quote): void {
    this.sse.send(quote);
  }

  end(): void {
    this.sse.send(null, 'end');
    for (const res of this.#responses) res.end();
  }
}
