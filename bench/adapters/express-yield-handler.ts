import compression from 'compression';
import express from 'express';
import type { Adapter } from '../adapter';
import { sse } from '../express-yield';
import { handlerOf } from './express-yield-route';

/** `sse(handler)` on each route. */
export const expressYieldHandler: Adapter = {
  name: 'express-yield-handler',
  listener(routes, broadcasts) {
    const app = express();
    for (const route of routes) {
      if (route.compression !== 'absent') app.use(route.path, compression());
      app.get(route.path, sse(handlerOf(route, broadcasts), { compress: route.compression === 'used' }));
    }
    return app;
  },
};
