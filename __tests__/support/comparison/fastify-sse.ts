import sse from '@fastify/sse';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { History, onFastify, signalOf } from './apps';
import type { App, Build, Contender, Controls, Source } from './contender';

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

interface RouteOptions {
  readonly method?: 'GET' | 'POST';
  readonly serializer?: (data: unknown) => string;
  readonly kind?: 'only' | 'dual';
  readonly controls?: Partial<Controls>;
}

function route(handler: Handler, options: RouteOptions = {}): Promise<App> {
  const { method = 'GET', kind = 'only', serializer, controls } = options;
  return onFastify(async (app) => {
    await app.register(sse);
    app.route({ method, url: '/', sse: { kind, serializer }, handler });
  }, controls);
}

const streams: Build = ({ source }) => route(sends(source));

/** `request.signal` is Fastify's own. */
function sends(source: Source): Handler {
  return (request, reply) => reply.sse.send(messagesOf(source(request.signal)));
}

async function* messagesOf(source: AsyncIterable<string>) {
  for await (const data of source) yield { data };
}

/** @param to how many of the latest subscribers it sends to */
function boards(to = Infinity): Promise<App> {
  const open = new Set<FastifyReply>();
  return route(joins(open), {
    controls: {
      publish: (data) => Promise.all([...open].slice(-to).map((reply) => reply.sse.send({ data }))),
      subscribers: () => open.size,
      end: () => {
        for (const reply of open) reply.sse.close();
      },
    },
  });
}

/** Sends a first event, because the head alone is not flushed. */
function joins(open: Set<FastifyReply>): Handler {
  return async (_request, reply) => {
    reply.sse.keepAlive();
    open.add(reply);
    reply.sse.onClose(() => open.delete(reply));
    await reply.sse.send({ data: 'first' });
  };
}

export const fastifySse: Contender = {
  takesGenerators: { plain: streams },
  endsWaiting: { plain: streams },
  endsUnread: {
    plain: streams,
    byHand: ({ source }) =>
      route((request, reply) => {
        const messages = messagesOf(source(request.signal));
        reply.sse.onClose(() => void messages.return());
        return reply.sse.send(messages);
      }),
  },
  refuses: { plain: streams },
  waitsForClients: { plain: streams },
  stopsFinished: {
    plain: streams,
    byHand: ({ source }) =>
      route(async (request, reply) => {
        if (reply.sse.lastEventId === 'end') return reply.code(204).send();
        await sends(source)(request, reply);
        await reply.sse.send({ event: 'end', id: 'end', data: '' });
      }),
  },
  forgesNothing: { plain: ({ message }) => route((_request, reply) => reply.sse.send(message)) },
  sendsLines: {
    plain: ({ text }) => route((_request, reply) => reply.sse.send(text)),
    byHand: ({ text }) =>
      route((_request, reply) => reply.sse.send({ data: text }), {
        serializer: (data) => String(data).replaceAll(/\r\n?/g, '\n'),
      }),
  },
  sendsJson: { plain: ({ text }) => route((_request, reply) => reply.sse.send({ data: text })) },
  flushes: 'not applicable',
  answersPosts: {
    plain: ({ source }) => route(sends(source), { method: 'POST' }),
    byHand: ({ source }) =>
      route(
        (_request, reply) => {
          const signal = signalOf((listener) => reply.sse.onClose(listener));
          return reply.sse.send(messagesOf(source(signal)));
        },
        { method: 'POST' },
      ),
  },
  sendsToOne: { plain: () => boards(1) },
  broadcasts: { byHand: () => boards() },
  replays: {
    byHand: async () => {
      const open = new Set<FastifyReply>();
      const history = new History();
      const handler: Handler = async (request, reply) => {
        await reply.sse.replay(async (lastEventId) => {
          for (const entry of history.after(lastEventId)) await reply.sse.send(entry);
        });
        await joins(open)(request, reply);
      };
      const publish = (data: string, id: number) => {
        const entry = history.add(data, id);
        return Promise.all(Array.from(open, (reply) => reply.sse.send(entry)));
      };
      return route(handler, { controls: { publish, subscribers: () => open.size } });
    },
  },
  keepsAlive: { plain: streams },
  endsAll: { byHand: () => boards() },
  hidesErrors: { plain: streams },
  negotiates: {
    plain: ({ source }) =>
      route(
        async (request, reply) => {
          if (reply.sse === undefined) return { streams: false };
          return sends(source)(request, reply);
        },
        { kind: 'dual' },
      ),
  },
};
