import { createServer } from 'node:http';
import compression from 'compression';
import express, { type Request, type RequestHandler, type Response } from 'express';
import type { Compression, Route, Serve } from '../adapter';
import type { Broadcasts } from '../broadcast';
import { END_FRAME } from '../end';
import { listen } from '../listen';
import { OTHER_PATH } from '../other';
import { ByHandAudience } from './by-hand-audience';
import { keepAlive } from './keep-alive';
import { answerOther } from './other-route';
import { viewer } from './viewer';
import { waitsOf } from './waits';
import { acceptsOf } from './wanted';

/** What a careful engineer writes without a package, with backpressure, disconnects and flushing. */
export const serve: Serve = (routes, broadcasts) => {
  const app = express();
  app.get(OTHER_PATH, answerOther);
  for (const route of routes) {
    if (route.compression !== 'absent') app.use(route.path, compression());
    app.get(route.path, route.run === 'shared' ? subscriberOf(route, broadcasts) : handlerOf(route));
  }
  return listen(createServer(app));
};

function handlerOf(route: Route): RequestHandler {
  const compresses = route.compression === 'used';
  return async (req, res) => {
    open(res, route);
    const writable = waitsOf(res);
    try {
      for await (const value of route.source(viewerOf(req, res))) {
        const accepted = res.write(`data: ${JSON.stringify(value)}\n\n`);
        if (compresses) res.flush();
        if (!accepted) await writable();
        if (res.destroyed) return;
      }
    } catch (error) {
      if (res.destroyed) return;
      throw error;
    }
    res.end(END_FRAME);
  };
}

function subscriberOf(route: Route, broadcasts: Broadcasts): RequestHandler {
  const broadcast = broadcasts.of(route.source, () => new ByHandAudience());
  return (req, res) => {
    open(res, route);
    broadcast.audienceFor(req).add(res, acceptsOf(req.query.symbol));
  };
}

function open(res: Response, { compression, keepAliveMs }: Route): void {
  sendHead(res, compression);
  keepAlive(res, keepAliveMs);
}

function sendHead(res: Response, compression: Compression): void {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', compression === 'used' ? 'no-cache' : 'no-cache, no-transform');
  res.setHeader('X-Accel-Buffering', 'no');
  res.flushHeaders();
}

function viewerOf(req: Request, res: Response) {
  return viewer(req.query.events, (listener) => res.on('close', listener));
}
