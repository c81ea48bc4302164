import compression from 'compression';
import express, { type Request, type Response } from 'express';
import { Channel, createSse, event, type SseOptions } from '../../../lib';
import { onExpress } from './apps';
import type { App, Build, Contender, Controls } from './contender';

type Handler = (req: Request, res: Response) => unknown;

function route(handler: Handler, options?: SseOptions, controls?: Partial<Controls>): Promise<App> {
  return onExpress((app) => {
    app.use(createSse()(options));
    app.get('/', handler);
  }, controls);
}

const streams: Build = ({ source }) => route((_req, res) => source(res.sse.signal));

function channels(): Promise<App> {
  const channel = new Channel<string>();
  return route(() => channel, undefined, {
    publish: (data) => channel.publish(data),
    subscribers: () => channel.size,
  });
}

export const expressYield: Contender = {
  takesGenerators: { plain: streams },
  endsWaiting: { plain: streams },
  endsUnread: { plain: streams },
  refuses: { plain: streams },
  waitsForClients: { plain: streams },
  stopsFinished: { plain: streams },
  forgesNothing: {
    plain: ({ message: { data, event: type, id } }) =>
      route(async function* () {
        yield event(type, data, { id });
      }),
  },
  sendsLines: {
    plain: ({ text }) =>
      route(async function* () {
        yield text;
      }),
  },
  sendsJson: {
    plain: ({ text }) =>
      route(async function* () {
        yield JSON.stringify(text);
      }),
  },
  flushes: {
    plain: ({ source }) =>
      onExpress((app) => {
        app.use(compression(), createSse()());
        app.get('/', () => source());
      }),
  },
  answersPosts: {
    plain: ({ source }) =>
      onExpress((app) => {
        app.use(createSse()());
        app.post('/', express.json(), (_req, res) => source(res.sse.signal));
      }),
  },
  sendsToOne: {
    byHand: async () => {
      const open: Channel<string>[] = [];
      const opens = () => {
        const channel = new Channel<string>();
        open.push(channel);
        return channel;
      };
      return route(opens, undefined, {
        publish: (data) => open.at(-1)?.publish(data),
        subscribers: () => open.filter(({ size }) => size > 0).length,
      });
    },
  },
  broadcasts: { plain: channels },
  replays: { plain: channels },
  keepsAlive: { plain: streams },
  endsAll: {
    plain: ({ source }) => {
      const sse = createSse();
      const add = (app: express.Express) => {
        app.use(sse());
        app.get('/', (_req, res) => source(res.sse.signal));
      };
      return onExpress(add, { end: () => sse.close({ spreadMs: 0 }) });
    },
  },
  hidesErrors: { plain: ({ source }) => route(() => source(), { onError: () => undefined }) },
  negotiates: { plain: ({ source }) => route(() => source(), { formats: ['event-stream', 'json'] }) },
};
