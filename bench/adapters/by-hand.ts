import compression from 'compression';
import express, { type Request, type RequestHandler, type Response } from 'express';
import type { Adapter, Compression, Route } from '../adapter';
import type { Broadcasts } from '../broadcast';
import { END_FRAME } from '../end';
import type { Viewer } from '../sources';
import { ByHandAudience } from './by-hand-audience';

/** What a careful engineer writes without a package: backpressure, leaving clients and flushing included. */
export const byHand: Adapter = {
  name: 'by-hand',
  listener(routes, broadcasts) {
    const app = express();
    for (const route of routes) {
      if (route.compression !== 'absent') app.use(route.path, compression());
      const shared = route.run === 'shared';
      app.get(route.path, shared ? subscriberOf(route, broadcasts) : handlerOf(route));
    }
    return app;
  },
};

function handlerOf(route: Route): RequestHandler {
  const compresses = route.compression === 'used';
  return async (req, res) => {
    sendHead(res, route.compression);
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
    sendHead(res, route.compression);
    const { symbol: wanted } = req.query;
    broadcast.audienceFor(req).add(res, wanted === undefined ? undefined : ({ symbol }) => symbol === wanted);
  };
}

function sendHead(res: Response, compression: Compression): void {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', compression === 'used' ? 'no-cache' : 'no-cache, no-transform');
  res.setHeader('X-Accel-Buffering', 'no');
  res.flushHeaders();
}

/**
 * Waits for drain or close. One lasting pair of listeners: a pair for each wait costs more, and `compression()`
 * would keep every one of them.
 */
function waitsOf(res: Response): () => Promise<void> {
  let wake: (() => void) | undefined;
  const onWritable = () => wake?.();
  res.on('drain', onWritable);
  res.on('close', onWritable);
  return () =>
    new Promise((resolve) => {
      wake = resolve;
    });
}

function viewerOf(req: Request, res: Response): Viewer {
  return {
    events: Number(req.query.events),
    get signal() {
      const controller = new AbortController();
      res.on('close', () => controller.abort());
      return controller.signal;
    },
  };
}
