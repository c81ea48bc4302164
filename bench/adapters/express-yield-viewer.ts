import type { Request, Response } from 'express';
import type { Viewer } from '../sources';

/** Who is served, as `res.sse` knows it. */
export function viewerOf(req: Request, res: Response): Viewer {
  return {
    events: Number(req.query.events),
    get signal() {
      return res.sse.signal;
    },
  };
}
