import { once } from 'node:events';
import { join } from 'node:path';
import { setInterval, setTimeout } from 'node:timers/promises';
import express, { type RequestHandler, type Response } from 'express';
import { comment, event, sse } from 'express-yield';

const STEPS = 40;
const STEP_MS = 200;

export const app = express();
app.use(express.static(join(__dirname, 'public')));
app.use(sse({ retryMs: 1_000 }));

app.get('/clock', async function* (_req, res) {
  yield new Date().toISOString();
  for await (const _ of setInterval(1000, null, { signal: res.sse.signal })) {
    yield new Date().toISOString();
  }
});

/** The streams that the page may ask to be cut, by the key that it made up. */
const droppable = new Map<string, Response>();

const keep: RequestHandler<{ key: string }> = ({ params: { key } }, res, next) => {
  droppable.set(key, res);
  res.once('close', () => {
    if (droppable.get(key) === res) droppable.delete(key);
  });
  next();
};

app.get('/job/:key', keep, async function* (_req, res) {
  const done = stepOf(res.sse.lastEventId);
  yield event('resume', { done, steps: STEPS });
  for (let step = done + 1; step <= STEPS; step++) {
    await setTimeout(STEP_MS, null, { signal: res.sse.signal });
    yield event('progress', { step }, { id: step });
  }
  return { steps: STEPS };
});

/** A client's word: whatever is not one of our ids begins at the beginning. */
function stepOf(lastEventId: string): number {
  const step = Number(lastEventId);
  return Number.isInteger(step) && step > 0 && step <= STEPS ? step : 0;
}

// No end and no error, only a socket that is suddenly gone, as in a tunnel.
app.post('/job/:key/drop', ({ params: { key } }, res) => {
  const stream = droppable.get(key);
  stream?.destroy();
  res.sendStatus(stream === undefined ? 404 : 204);
});

app.get(
  '/quiet',
  sse(
    async function* (_req, res) {
      yield comment('nothing to say, but still here');
      await once(res.sse.signal, 'abort');
    },
    { keepAliveMs: 2_000 },
  ),
);
