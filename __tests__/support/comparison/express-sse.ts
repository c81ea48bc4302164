import compression from 'compression';
import express, { type Request, type RequestHandler, type Response } from 'express';
import SSE from 'express-sse';
import { drained, History, onExpress, STREAM_OR_JSON, signalOf, started } from './apps';
import type { App, Build, Contender, Controls, Source } from './contender';

function route(handler: RequestHandler, controls?: Partial<Controls>): Promise<App> {
  return onExpress((app) => app.get('/', handler), controls);
}

/** An instance for each client, and a loop: the README has `init` and `send()`. */
const loops: Build = ({ source }) => route(loopOver(source));

function loopOver(source: Source, onSent?: (res: Response) => unknown): RequestHandler {
  return async (req, res) => {
    const sse = opened(req, res);
    const left = (listener: () => void) => res.on('close', listener);
    for await (const value of source(signalOf(left))) {
      if (res.destroyed) return;
      sse.send(value);
      await onSent?.(res);
    }
  };
}

function opened(req: Request, res: Response): SSE {
  const sse = new SSE();
  sse.init(req, res);
  return sse;
}

function sendsOnce(send: (sse: SSE) => void): Promise<App> {
  return route((req, res) => send(opened(req, res)));
}

export const expressSse: Contender = {
  takesGenerators: { byHand: loops },
  endsWaiting: { byHand: loops },
  endsUnread: { byHand: loops },
  refuses: {
    plain: loops,
    byHand: ({ source }) =>
      route(async (req, res) => {
        const checked = await started(source());
        const sse = opened(req, res);
        for await (const value of checked) sse.send(value);
      }),
  },
  waitsForClients: { plain: loops, byHand: ({ source }) => route(loopOver(source, drained)) },
  stopsFinished: {
    plain: loops,
    byHand: ({ source }) =>
      route(async (req, res) => {
        if (req.get('Last-Event-ID') === 'end') return void res.sendStatus(204);
        const sse = opened(req, res);
        for await (const value of source()) sse.send(value);
        sse.send('', 'end', 'end');
        res.end();
      }),
  },
  forgesNothing: {
    plain: ({ message: { data, event, id } }) => sendsOnce((sse) => sse.send(data, event, id)),
  },
  sendsLines: { plain: ({ text }) => sendsOnce((sse) => sse.send(text)) },
  sendsJson: { plain: ({ text }) => sendsOnce((sse) => sse.send(text)) },
  flushes: {
    plain: ({ source }) =>
      onExpress((app) => {
        app.use(compression());
        app.get('/', loopOver(source));
      }),
    byHand: ({ source }) =>
      onExpress((app) => {
        app.use(compression());
        app.get(
          '/',
          loopOver(source, (res) => res.flush()),
        );
      }),
  },
  answersPosts: {
    plain: ({ source }) => onExpress((app) => app.post('/', express.json(), loopOver(source))),
  },
  sendsToOne: {
    plain: async () => {
      const open: SSE[] = [];
      return route((req, res) => void open.push(opened(req, res)), {
        publish: (data) => open.at(-1)?.send(data),
        subscribers: () => open.length,
      });
    },
  },
  broadcasts: {
    plain: async () => {
      const sse = new SSE();
      return route(sse.init, {
        publish: (data) => sse.send(data),
        subscribers: () => sse.listenerCount('data'),
      });
    },
  },
  replays: {
    byHand: async () => {
      const open = new Set<SSE>();
      const history = new History();
      const handler: RequestHandler = (req, res) => {
        const sse = opened(req, res);
        for (const { data, id } of history.after(req.get('Last-Event-ID'))) sse.send(data, '', id);
        open.add(sse);
        res.on('close', () => open.delete(sse));
      };
      const publish = (text: string, count: number) => {
        const { data, id } = history.add(text, count);
        for (const sse of open) sse.send(data, '', id);
      };
      return route(handler, { publish, subscribers: () => open.size });
    },
  },
  keepsAlive: {
    plain: loops,
    byHand: ({ source }) =>
      route((req, res, next) => {
        const timer = setInterval(() => res.write(': keep-alive\n\n'), 15_000);
        res.on('close', () => clearInterval(timer));
        return loopOver(source)(req, res, next);
      }),
  },
  endsAll: {
    byHand: async () => {
      const sse = new SSE();
      const open = new Set<Response>();
      const handler: RequestHandler = (req, res) => {
        sse.init(req, res);
        open.add(res);
        res.on('close', () => open.delete(res));
        sse.send('first');
      };
      return route(handler, {
        end: () => {
          for (const res of open) res.end();
        },
      });
    },
  },
  hidesErrors: { plain: loops },
  negotiates: {
    byHand: ({ source }) =>
      route((req, res, next) => {
        if (req.accepts(STREAM_OR_JSON) === 'json') return void res.json({ streams: false });
        return loopOver(source)(req, res, next);
      }),
  },
};
