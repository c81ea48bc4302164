import sse from '@fastify/sse';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Route, Serve } from '../adapter';
import type { Audience, Broadcasts } from '../broadcast';
import { listen } from '../listen';
import type { Quote } from '../sources';
import type { Query } from './query';
import { viewer } from './viewer';
import { type Accepts, acceptsOf } from './wanted';

type Handler = (request: FastifyRequest<{ Querystring: Query }>, reply: FastifyReply) => Promise<void>;

/** A plugin for each route, because the heartbeat's interval is an option of the plugin; `reply.sse.send()` of an event or a generator. */
export const serve: Serve = async (routes, broadcasts) => {
  const app = fastify();
  for (const route of routes) app.register((scope) => addRoute(scope, route, broadcasts));
  await app.ready();
  return listen(app.server);
};

async function addRoute(scope: FastifyInstance, route: Route, broadcasts: Broadcasts): Promise<void> {
  const { keepAliveMs, path, run } = route;
  await scope.register(sse, keepAliveMs === false ? {} : { heartbeatInterval: keepAliveMs });
  const handler = run === 'shared' ? subscriberOf(route, broadcasts) : handlerOf(route);
  scope.get(path, { sse: { kind: 'only', heartbeat: keepAliveMs !== false } }, handler);
}

function handlerOf({ source }: Route): Handler {
  return async (request, reply) => {
    const left = (listener: () => void) => reply.sse.onClose(listener);
    try {
      await reply.sse.send(messagesOf(source(viewer(request.query.events, left))));
      await reply.sse.send({ event: 'end', data: null });
    } catch (error) {
      if (reply.sse.isConnected) throw error;
    }
  };
}

async function* messagesOf(source: AsyncIterable<Quote>) {
  for await (const data of source) yield { data };
}

function subscriberOf({ source }: Route, broadcasts: Broadcasts): Handler {
  const broadcast = broadcasts.of(source, () => new ReplyAudience());
  return async (request, reply) => {
    reply.sse.keepAlive();
    reply.sse.sendHeaders();
    // Node delays a head until the first write, so the client would not know that the stream is open.
    reply.raw.flushHeaders();
    broadcast.audienceFor(request).add(reply, acceptsOf(request.query.symbol));
  };
}

/** A loop over the open replies: the package has no broadcast. The JSON is made once, and sent as a string unchanged. */
class ReplyAudience implements Audience {
  readonly #replies = new Map<FastifyReply, Accepts | undefined>();

  get size(): number {
    return this.#replies.size;
  }

  add(reply: FastifyReply, accepts?: Accepts): void {
    this.#replies.set(reply, accepts);
    reply.sse.onClose(() => this.#replies.delete(reply));
  }

  publish(quote: Quote): void {
    const text = JSON.stringify(quote);
    for (const [reply, accepts] of this.#replies) {
      // Not awaited: one slow client would delay all.
      if (accepts === undefined || accepts(quote)) void reply.sse.send(text);
    }
  }

  async end(): Promise<void> {
    for (const reply of this.#replies.keys()) {
      await reply.sse.send({ event: 'end', data: null });
      reply.sse.close();
    }
  }
}
