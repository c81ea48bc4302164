import { createServer } from 'node:http';
import compression from 'compression';
import express from 'express';
import type { Serve } from '../adapter';
import { sse } from '../express-yield';
import { listen } from '../listen';
import { OTHER_PATH } from '../other';
import { handlerOf } from './express-yield-route';
import { answerOther } from './other-route';

/** `app.use(sse())` and plain routes that return a generator or a channel. */
export const serve: Serve = (routes, broadcasts) => {
  const app = express();
  app.use(sse({ keepAliveMs: false }));
  app.get(OTHER_PATH, answerOther);
  for (const route of routes) {
    const { compression: compressed, keepAliveMs } = route;
    if (compressed !== 'absent') app.use(route.path, compression());
    if (compressed === 'used') app.use(route.path, sse({ compress: true, keepAliveMs }));
    else if (keepAliveMs !== false) app.use(route.path, sse({ keepAliveMs }));
    app.get(route.path, handlerOf(route, broadcasts));
  }
  return listen(createServer(app));
};
