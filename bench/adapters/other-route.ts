import type { Request, Response } from 'express';
import { OTHER } from '../other';

/** A route of the same app that does not stream. */
export function answerOther(_req: Request, res: Response): void {
  res.json(OTHER);
}
