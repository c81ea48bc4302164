import { createServer } from 'node:http';
import compression from 'compression';
import express, { type RequestHandler, type Response } from 'express';
import type { Route, Serve } from '../adapter';
import type { Audience, Broadcasts } from '../broadcast';
import { listen } from '../listen';
import type { Quote } from '../sources';
import { viewer } from './viewer';
import { type Accepts, acceptsOf } from './wanted';

import SseChannel = require('sse-channel');

/** It cannot be turned off: the longest delay of a timer. */
const NEVER_MS = 2 ** 31 - 1;

/** `channel.addClient()`, then `channel.send()` to all or some of the clients. */
export const serve: Serve = (routes, broadcasts) => {
  const app = express();
  for (const route of routes) {
    if (route.compression !== 'absent') app.use(route.path, compression());
    app.get(route.path, route.run === 'shared' ? subscriberOf(route, broadcasts) : handlerOf(route));
  }
  return listen(createServer(app));
};

/** One channel for the route; each event is sent to one client only. */
function handlerOf(route: Route): RequestHandler {
  const channel = channelOf(route);
  return async (req, res) => {
    channel.addClient(req, res);
    const source = route.source(viewer(req.query.events, (listener) => res.on('close', listener)));
    try {
      for await (const data of source) {
        if (res.destroyed) return;
        channel.send({ data }, [res]);
      }
    } catch (error) {
      if (res.destroyed) return;
      throw error;
    }
    channel.send({ event: 'end', data: null }, [res]);
    res.end();
  };
}

function subscriberOf(route: Route, broadcasts: Broadcasts): RequestHandler {
  const broadcast = broadcasts.of(route.source, () => new ChannelAudience(channelOf(route)));
  return (req, res) => {
    const audience = broadcast.audienceFor(req);
    audience.channel.addClient(req, res);
    audience.filter(res, acceptsOf(req.query.symbol));
  };
}

function channelOf({ keepAliveMs }: Route): SseChannel {
  return new SseChannel({ jsonEncode: true, pingInterval: keepAliveMs === false ? NEVER_MS : keepAliveMs });
}

class ChannelAudience implements Audience {
  readonly channel: SseChannel;
  /** The clients that request one symbol only. */
  readonly #filtered = new Map<Response, Accepts>();

  constructor(channel: SseChannel) {
    this.channel = channel;
  }

  get size(): number {
    return this.channel.getConnectionCount();
  }

  filter(res: Response, accepts: Accepts | undefined): void {
    if (accepts !== undefined) this.#filtered.set(res, accepts);
  }

  publish(quote: Quote): void {
    if (this.#filtered.size === 0) this.channel.send({ data: quote });
    else this.channel.send({ data: quote }, this.#clientsFor(quote));
  }

  #clientsFor(quote: Quote): Response[] {
    return [...this.#filtered].filter(([, accepts]) => accepts(quote)).map(([res]) => res);
  }

  end(): void {
    this.channel.send({ event: 'end', data: null });
    this.channel.close();
  }
}
