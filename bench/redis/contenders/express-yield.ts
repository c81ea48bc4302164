import express from 'express';
import { createClient } from 'redis';
import type * as Package from '../../../lib/redis';
import { Channel, sse } from '../../express-yield';
import type { Contender } from '../contender';
import type { Quote } from '../quote';

/** The built package, as in `bench/express-yield.ts`. */
const { redisLogs } = require('../../../dist/redis.js') as typeof Package;

/** As in the README: a channel whose log is a Redis stream. */
export const expressYield: Contender = {
  name: 'express-yield',
  exact: true,
  async join(redisPort) {
    const client = await createClient({ url: `redis://127.0.0.1:${redisPort}` }).connect();
    const logs = redisLogs(client);
    const channel = new Channel<Quote>({ log: logs('quotes', { maxEvents: 10_000 }) });
    const app = express();
    app.use(sse());
    app.get('/quotes', () => channel);
    return { listener: app, size: () => channel.size, publish: (quote) => channel.publish(quote) };
  },
};
