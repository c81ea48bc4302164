import { createChannel, createSession, type Session, type SessionOptions } from 'better-sse';
import compression from 'compression';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { drained, History, onExpress, STREAM_OR_JSON, signalOf, started } from './apps';
import type { App, Build, Contender, Controls } from './contender';

function route(handler: RequestHandler, controls?: Partial<Controls>): Promise<App> {
  return onExpress((app) => app.get('/', handler), controls);
}

/** `session.getRequest().signal` is documented to abort when the request or the response is closed. */
const streams: Build = ({ source }) => route(iterates(source));

function iterates(source: (signal: AbortSignal) => AsyncIterable<unknown>): RequestHandler {
  return async (req, res) => {
    const session = await createSession(req, res);
    await session.iterate(source(session.getRequest().signal));
  };
}

/** A route that only opens sessions and passes them on. */
function opens(onSession: (session: Session, req: Request, res: Response) => void, options?: SessionOptions) {
  const handler: RequestHandler = async (req, res) =>
    onSession(await createSession(req, res, options), req, res);
  return handler;
}

const LINES = /\r\n|\r|\n/;

export const betterSse: Contender = {
  takesGenerators: { plain: streams },
  endsWaiting: { plain: streams },
  endsUnread: { plain: streams },
  refuses: {
    plain: streams,
    byHand: ({ source }) =>
      route(async (req, res) => {
        const checked = await started(source());
        const session = await createSession(req, res);
        await session.iterate(checked);
      }),
  },
  waitsForClients: {
    plain: streams,
    byHand: ({ source }) =>
      route(async (req, res) => {
        const session = await createSession(req, res);
        for await (const value of source()) {
          session.push(value);
          await drained(res);
        }
      }),
  },
  stopsFinished: {
    plain: streams,
    byHand: ({ source }) =>
      route(async (req, res) => {
        if (req.get('Last-Event-ID') === 'end') return void res.sendStatus(204);
        const session = await createSession(req, res);
        await session.iterate(source());
        session.push('', 'end', 'end');
        res.end();
      }),
  },
  forgesNothing: {
    plain: ({ message: { data, event, id } }) => route(opens((session) => session.push(data, event, id))),
    byHand: ({ message: { data, event, id } }) =>
      route(
        opens((session) => session.push(data, event, id), {
          sanitizer: (text) => text.replaceAll(/[\r\n]+/g, ' '),
        }),
      ),
  },
  sendsLines: {
    plain: ({ text }) => route(opens((session) => session.push(text), { serializer: String })),
    byHand: ({ text }) =>
      route(
        opens((session) => session.push(text), {
          serializer: (data) => String(data).split(LINES).join('\ndata:'),
        }),
      ),
  },
  sendsJson: { plain: ({ text }) => route(opens((session) => session.push(text))) },
  flushes: {
    plain: ({ source }) =>
      onExpress((app) => {
        app.use(compression());
        app.get('/', iterates(source));
      }),
  },
  answersPosts: {
    plain: ({ source }) => onExpress((app) => app.post('/', express.json(), iterates(source))),
    byHand: ({ source }) =>
      onExpress((app) =>
        app.post('/', express.json(), async (req, res) => {
          const signal = signalOf((listener) => res.on('close', listener));
          const session = await createSession(req, res);
          await session.iterate(source(signal));
        }),
      ),
  },
  sendsToOne: {
    plain: async () => {
      const open: Session[] = [];
      return route(
        opens((session) => open.push(session)),
        { publish: (data) => open.at(-1)?.push(data), subscribers: () => open.length },
      );
    },
  },
  broadcasts: {
    plain: async () => {
      const channel = createChannel();
      return route(
        opens((session) => channel.register(session)),
        { publish: (data) => channel.broadcast(data), subscribers: () => channel.sessionCount },
      );
    },
  },
  replays: {
    byHand: async () => {
      const channel = createChannel();
      const history = new History();
      const joins = opens((session) => {
        for (const { data, id } of history.after(session.lastId)) session.push(data, 'message', id);
        channel.register(session);
      });
      const publish = (text: string, count: number) => {
        const { data, id } = history.add(text, count);
        channel.broadcast(data, 'message', { eventId: id });
      };
      return route(joins, { publish, subscribers: () => channel.sessionCount });
    },
  },
  keepsAlive: { plain: streams },
  endsAll: {
    byHand: async () => {
      const open = new Set<Response>();
      const joins = opens((session, _req, res) => {
        open.add(res);
        session.once('disconnected', () => open.delete(res));
        session.push('first');
      });
      return route(joins, {
        end: () => {
          for (const res of open) res.end();
        },
      });
    },
  },
  hidesErrors: { plain: streams },
  negotiates: {
    byHand: ({ source }) =>
      route((req, res, next) => {
        if (req.accepts(STREAM_OR_JSON) === 'json') return void res.json({ streams: false });
        return iterates(source)(req, res, next);
      }),
  },
};
