import compression from 'compression';
import express from 'express';
import type { Adapter } from '../adapter';
import { sse } from '../express-yield';
import { viewerOf } from './express-yield-viewer';

/** `app.use(sse())` and plain routes that return a generator. */
export const expressYieldApp: Adapter = {
  name: 'express-yield-app',
  listener(routes) {
    const app = express();
    app.use(sse());
    for (const route of routes) {
      if (route.compression !== 'absent') app.use(route.path, compression());
      if (route.compression === 'used') app.use(route.path, sse({ compress: true }));
      app.get(route.path, (req, res) => route.source(viewerOf(req, res)));
    }
    return app;
  },
};
