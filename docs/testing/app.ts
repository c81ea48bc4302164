/** The app under test. */
import express from 'express';
import { Channel, event, sse } from 'express-yield';

export const orders = new Channel<{ order: number; state: string }>();

export const app = express();
app.set('env', 'test'); // errors are not printed
app.use(sse({ stallTimeoutMs: 200 }));

app.get('/orders', (req) => {
  if (req.headers.authorization === undefined)
    throw Object.assign(new Error('Not signed in.'), { status: 401 });
  return orders;
});

app.get('/report', async function* () {
  yield event('progress', { percent: 50 });
  return { rows: 2 };
});

app.get('/clock', async function* (_req, res) {
  let tick = 0;
  let next: NodeJS.Timeout | undefined;
  res.sse.signal.onabort = () => clearTimeout(next);
  while (!res.sse.signal.aborted) {
    yield tick++;
    await new Promise((resolve) => {
      next = setTimeout(resolve, 1_000);
    });
  }
});

app.get('/large', async function* (_req, res) {
  while (!res.sse.signal.aborted) yield 'x'.repeat(100_000);
});
