import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Route, Serve } from '../adapter';
import type { Broadcasts } from '../broadcast';
import { END_FRAME } from '../end';
import { listen } from '../listen';
import { ByHandAudience } from './by-hand-audience';
import { keepAlive } from './keep-alive';
import { type Query, queryOf } from './query';
import { viewer } from './viewer';
import { waitsOf } from './waits';
import { acceptsOf } from './wanted';

type Handler = (query: Query, res: ServerResponse) => unknown;

const HEAD = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
};

/** The same as `by-hand` without Express: Node's own HTTP. */
export const serve: Serve = (routes, broadcasts) => {
  const handlers = new Map(routes.map((route) => [route.path, handlerOf(route, broadcasts)]));
  return listen(
    createServer((req: IncomingMessage, res) => {
      const { path, query } = queryOf(req.url ?? '');
      const handler = handlers.get(path);
      if (handler === undefined) res.writeHead(404).end();
      else handler(query, res);
    }),
  );
};

function handlerOf(route: Route, broadcasts: Broadcasts): Handler {
  return route.run === 'shared' ? subscriberOf(route, broadcasts) : streamerOf(route);
}

function streamerOf(route: Route): Handler {
  return async (query, res) => {
    open(res, route);
    const writable = waitsOf(res);
    try {
      const source = route.source(viewer(query.events, (listener) => res.on('close', listener)));
      for await (const value of source) {
        if (!res.write(`data: ${JSON.stringify(value)}\n\n`)) await writable();
        if (res.destroyed) return;
      }
    } catch (error) {
      if (res.destroyed) return;
      throw error;
    }
    res.end(END_FRAME);
  };
}

function subscriberOf(route: Route, broadcasts: Broadcasts): Handler {
  const broadcast = broadcasts.of(route.source, () => new ByHandAudience());
  return (query, res) => {
    open(res, route);
    broadcast.audienceFor({ query }).add(res, acceptsOf(query.symbol));
  };
}

function open(res: ServerResponse, { keepAliveMs }: Route): void {
  res.writeHead(200, HEAD);
  res.flushHeaders();
  keepAlive(res, keepAliveMs);
}
