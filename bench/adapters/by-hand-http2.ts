import { createServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { Route, Serve } from '../adapter';
import { END_FRAME } from '../end';
import { listen } from '../listen';
import { type Query, queryOf } from './query';
import { viewer } from './viewer';
import { waitsOf } from './waits';

const HEAD = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
};

/** The same as `by-hand`, on Node's HTTP/2, which Express does not support. */
export const serve: Serve = (routes) => {
  const served = new Map(routes.map((route) => [route.path, route]));
  return listen(
    createServer((req: Http2ServerRequest, res: Http2ServerResponse) => {
      const { path, query } = queryOf(req.url);
      const route = served.get(path);
      if (route === undefined) res.writeHead(404).end();
      else void send(route, query, res);
    }),
  );
};

async function send({ source }: Route, query: Query, res: Http2ServerResponse): Promise<void> {
  res.writeHead(200, HEAD);
  const writable = waitsOf(res);
  for await (const value of source(viewer(query.events, (listener) => res.on('close', listener)))) {
    if (!res.write(`data: ${JSON.stringify(value)}\n\n`)) await writable();
    if (res.stream.destroyed) return;
  }
  res.end(END_FRAME);
}
