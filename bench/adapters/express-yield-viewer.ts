import type { Request, Response } from 'express';
import type { Viewer } from '../sources';

/** The client, with the signal of `res.sse`. */
export function viewerOf(req: Request, res: Response): Viewer {
  return {
    events: Number(req.query.events),
    get signal() {
      return res.sse.signal;
    },
  };
}
