import { createServer } from 'node:http';
import { type Channel, createChannel, createSession, type Session } from 'better-sse';
import compression from 'compression';
import express, { type RequestHandler } from 'express';
import type { Route, Serve } from '../adapter';
import type { Audience, Broadcasts } from '../broadcast';
import { listen } from '../listen';
import type { Quote } from '../sources';
import { viewer } from './viewer';

interface State extends Record<string, unknown> {
  wanted?: unknown;
}

/** `createSession()`, then `session.iterate()` or a channel, which filters by the sessions' state. */
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
    const session = await createSession(req, res, optionsOf(route));
    try {
      await session.iterate(
        route.source(viewer(req.query.events, (listener) => session.once('disconnected', listener))),
      );
    } catch (error) {
      if (!session.isConnected) return;
      throw error;
    }
    session.push(null, 'end');
    res.end();
  };
}

function subscriberOf(route: Route, broadcasts: Broadcasts): RequestHandler {
  const broadcast = broadcasts.of(route.source, () => new ChannelAudience());
  return async (req, res) => {
    const session = await createSession<State>(req, res, {
      ...optionsOf(route),
      state: { wanted: req.query.symbol },
    });
    broadcast.audienceFor(req).add(session, () => res.end());
  };
}

function optionsOf({ keepAliveMs }: Route) {
  return { keepAlive: keepAliveMs === false ? null : keepAliveMs };
}

class ChannelAudience implements Audience {
  readonly #channel: Channel<Record<string, unknown>, State> = createChannel();
  /** A session has no method to end it; its response has. */
  readonly #ends: (() => void)[] = [];
  #filters = false;

  get size(): number {
    return this.#channel.sessionCount;
  }

  add(session: Session<State>, end: () => void): void {
    this.#channel.register(session);
    this.#ends.push(end);
    if (session.state.wanted !== undefined) this.#filters = true;
  }

  publish(quote: Quote): void {
    if (!this.#filters) this.#channel.broadcast(quote);
    else this.#channel.broadcast(quote, 'message', { filter: ({ state }) => state.wanted === quote.symbol });
  }

  end(): void {
    this.#channel.broadcast(null, 'end');
    for (const end of this.#ends) end();
  }
}
