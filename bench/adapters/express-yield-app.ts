import compression from 'compression';
import express from 'express';
import type { Adapter } from '../adapter';
import { sse } from '../express-yield';
import { handlerOf } from './express-yield-route';

/** `app.use(sse())` and plain routes that return a generator or a channel. */
export const expressYieldApp: Adapter = {
  name: 'express-yield-app',
  listener(routes, broadcasts) {
    const app = express();
    app.use(sse());
    for (const route of routes) {
      if (route.compression !== 'absent') app.use(route.path, compression());
      if (route.compression === 'used') app.use(route.path, sse({ compress: true }));
      app.get(route.path, handlerOf(route, broadcasts));
    }
    return app;
  },
};
