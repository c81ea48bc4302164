import { createServer } from 'node:http';
import compression from 'compression';
import express from 'express';
import type { Serve } from '../adapter';
import { sse } from '../express-yield';
import { listen } from '../listen';
import { handlerOf } from './express-yield-route';

/** `sse(handler)` on each route. */
export const serve: Serve = (routes, broadcasts) => {
  const app = express();
  for (const route of routes) {
    const { compression: compressed, keepAliveMs } = route;
    if (compressed !== 'absent') app.use(route.path, compression());
    const options = { compress: compressed === 'used', keepAliveMs };
    app.get(route.path, sse(handlerOf(route, broadcasts), options));
  }
  return listen(createServer(app));
};
