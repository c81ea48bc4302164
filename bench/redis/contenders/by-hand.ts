import express, { type Response } from 'express';
import { createClient } from 'redis';
import type { Contender } from '../contender';

const CHANNEL = 'quotes';

/** `SUBSCRIBE` in each process, a set of responses, a loop. What a client has not read yet waits in Node's buffer. */
export const byHand: Contender = {
  name: 'by-hand',
  exact: false,
  async join(redisPort) {
    const publisher = await createClient({ url: `redis://127.0.0.1:${redisPort}` }).connect();
    // A lost connection emits 'error'; the client then reconnects on its own.
    const subscriber = await publisher
      .duplicate()
      .on('error', () => undefined)
      .connect();
    const responses = new Set<Response>();
    await subscriber.subscribe(CHANNEL, (text) => {
      const frame = `data: ${text}\n\n`;
      for (const res of responses) res.write(frame);
    });
    const app = express();
    app.get('/quotes', (_req, res) => {
      res.setHeader('Content-Type', 'text/event-stream');
      res.setHeader('Cache-Control', 'no-cache, no-transform');
      res.setHeader('X-Accel-Buffering', 'no');
      res.flushHeaders();
      responses.add(res);
      res.on('close', () => responses.delete(res));
    });
    return {
      listener: app,
      size: () => responses.size,
      publish: (quote) => publisher.publish(CHANNEL, JSON.stringify(quote)),
    };
  },
};
