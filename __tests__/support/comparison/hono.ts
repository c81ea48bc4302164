import type { Context } from 'hono';
import { accepts } from 'hono/accepts';
import { compress } from 'hono/compress';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import { History, onHono, started } from './apps';
import type { App, Build, Contender, Controls, Source } from './contender';

type Handler = (c: Context) => Response | Promise<Response>;

function route(handler: Handler, controls?: Partial<Controls>): Promise<App> {
  return onHono((app) => app.get('/', handler), controls);
}

const loops: Build = ({ source }) => route(loopOver(source));

/** The signal of a request is the platform's. */
function loopOver(source: Source): Handler {
  return (c) =>
    streamSSE(c, async (stream) => {
      for await (const data of source(c.req.raw.signal)) await stream.writeSSE({ data });
    });
}

/** As {@link loopOver}, and checks whether the client has disconnected. */
const careful: Build = ({ source }) =>
  route((c) =>
    streamSSE(c, async (stream) => {
      for await (const data of source(c.req.raw.signal)) {
        await stream.writeSSE({ data });
        if (stream.aborted) return;
      }
    }),
  );

function sendsOnce(send: (stream: SSEStreamingApi) => Promise<void>): Promise<App> {
  return route((c) => streamSSE(c, send));
}

/** @param to how many of the latest subscribers it sends to */
function boards(to = Infinity): Promise<App> {
  const open = new Map<SSEStreamingApi, () => void>();
  return route((c) => streamSSE(c, joins(open)), {
    publish: (data) => Promise.all([...open.keys()].slice(-to).map((stream) => stream.writeSSE({ data }))),
    subscribers: () => open.size,
    end: () => {
      for (const close of open.values()) close();
    },
  });
}

/** The callback must last as long as the stream. It sends a first event, because nothing is flushed before. */
function joins(open: Map<SSEStreamingApi, () => void>) {
  return async (stream: SSEStreamingApi) => {
    const over = new Promise<void>((resolve) => open.set(stream, resolve));
    stream.onAbort(() => open.get(stream)?.());
    await stream.writeSSE({ data: 'first' });
    await over;
    open.delete(stream);
  };
}

export const hono: Contender = {
  takesGenerators: { byHand: loops },
  endsWaiting: { plain: loops },
  endsUnread: { plain: loops, byHand: careful },
  refuses: {
    plain: loops,
    byHand: ({ source }) =>
      onHono((app) => {
        app.onError((error, c) => c.text(error.message, 401));
        app.get('/', async (c) => {
          const checked = await started(source());
          return loopOver(() => checked as ReturnType<Source>)(c);
        });
      }),
  },
  waitsForClients: { plain: loops },
  stopsFinished: {
    plain: loops,
    byHand: ({ source }) =>
      route((c) => {
        if (c.req.header('Last-Event-ID') === 'end') return c.body(null, 204);
        return streamSSE(c, async (stream) => {
          for await (const data of source()) await stream.writeSSE({ data });
          await stream.writeSSE({ event: 'end', id: 'end', data: '' });
        });
      }),
  },
  forgesNothing: { plain: ({ message }) => sendsOnce((stream) => stream.writeSSE(message)) },
  sendsLines: { plain: ({ text }) => sendsOnce((stream) => stream.writeSSE({ data: text })) },
  sendsJson: {
    plain: ({ text }) => sendsOnce((stream) => stream.writeSSE({ data: JSON.stringify(text) })),
  },
  flushes: {
    plain: ({ source }) =>
      onHono((app) => {
        app.use(compress());
        app.get('/', loopOver(source));
      }),
  },
  answersPosts: {
    plain: ({ source }) =>
      onHono((app) =>
        app.post('/', async (c) => {
          await c.req.json();
          return loopOver(source)(c);
        }),
      ),
  },
  sendsToOne: { plain: () => boards(1) },
  broadcasts: { byHand: () => boards() },
  replays: {
    byHand: async () => {
      const open = new Map<SSEStreamingApi, () => void>();
      const history = new History();
      const handler: Handler = (c) =>
        streamSSE(c, async (stream) => {
          for (const entry of history.after(c.req.header('Last-Event-ID'))) await stream.writeSSE(entry);
          await joins(open)(stream);
        });
      const publish = (data: string, id: number) => {
        const entry = history.add(data, id);
        return Promise.all(Array.from(open.keys(), (stream) => stream.writeSSE(entry)));
      };
      return route(handler, { publish, subscribers: () => open.size });
    },
  },
  keepsAlive: {
    plain: loops,
    byHand: ({ source }) =>
      route((c) =>
        streamSSE(c, async (stream) => {
          const timer = setInterval(() => stream.write(': keep-alive\n\n'), 15_000);
          stream.onAbort(() => clearInterval(timer));
          for await (const data of source(c.req.raw.signal)) await stream.writeSSE({ data });
        }),
      ),
  },
  endsAll: { byHand: () => boards() },
  hidesErrors: {
    plain: ({ source }) =>
      route((c) =>
        streamSSE(
          c,
          async (stream) => {
            for await (const data of source()) await stream.writeSSE({ data });
          },
          async () => undefined,
        ),
      ),
    byHand: loops,
  },
  negotiates: {
    byHand: ({ source }) =>
      route((c) => {
        const supports = ['text/event-stream', 'application/json'];
        const type = accepts(c, { header: 'Accept', supports, default: 'application/json' });
        return type === 'application/json' ? c.json({ streams: false }) : loopOver(source)(c);
      }),
  },
};
