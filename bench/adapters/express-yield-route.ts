import type { Request, Response } from 'express';
import type { Route } from '../adapter';
import type { Broadcasts } from '../broadcast';
import { Channel, memoryLog } from '../express-yield';
import type { Quote } from '../sources';
import { viewerOf } from './express-yield-viewer';
import { acceptsOf } from './wanted';

/** What a user writes: a function that returns a generator, a channel or a filtered channel. */
export function handlerOf({ source, run, retained }: Route, broadcasts: Broadcasts) {
  if (run === 'own') return (req: Request, res: Response) => source(viewerOf(req, res));
  const broadcast = broadcasts.of(source, () => openChannel(retained));
  return (req: Request) => {
    const channel = broadcast.audienceFor(req);
    const accepts = acceptsOf(req.query.symbol);
    return accepts === undefined ? channel : channel.filter(accepts);
  };
}

function openChannel(maxEvents = 10_000) {
  return new Channel<Quote>({ log: memoryLog({ maxEvents }) });
}
