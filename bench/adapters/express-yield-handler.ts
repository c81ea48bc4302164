import compression from 'compression';
import express, { type Request, type Response } from 'express';
import type { Adapter } from '../adapter';
import { sse } from '../express-yield';
import { viewerOf } from './express-yield-viewer';

/** `sse(handler)` on each route. */
export const expressYieldHandler: Adapter = {
  name: 'express-yield-handler',
  listener(routes) {
    const app = express();
    for (const route of routes) {
      if (route.compression !== 'absent') app.use(route.path, compression());
      const handler = (req: Request, res: Response) => route.source(viewerOf(req, res));
      app.get(route.path, sse(handler, { compress: route.compression === 'used' }));
    }
    return app;
  },
};
