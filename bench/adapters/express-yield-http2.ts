import { createServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { Route, Serve } from '../adapter';
import { sse } from '../express-yield';
import { listen } from '../listen';
import { queryOf } from './query';

/** `sse(handler)` on Node's HTTP/2, which Express does not support. */
export const serve: Serve = (routes) => {
  const handlers = new Map(routes.map((route) => [route.path, handlerOf(route)]));
  return listen(
    createServer((req: Http2ServerRequest, res: Http2ServerResponse) => {
      const handler = handlers.get(queryOf(req.url).path);
      if (handler === undefined) res.writeHead(404).end();
      else handler(req, res);
    }),
  );
};

type Handler = (req: Http2ServerRequest, res: Http2ServerResponse) => void;

function handlerOf({ source, keepAliveMs }: Route): Handler {
  return sse<Handler>(
    ({ url }, res) => {
      const { events } = queryOf(url).query;
      return source({
        events: Number(events),
        get signal() {
          return res.sse.signal;
        },
      });
    },
    { keepAliveMs },
  );
}
