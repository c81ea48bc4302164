/** One job for an `EventSource`, for htmx and for `fetch`. Run it with `npx tsx docs/clients.ts`. */
import { setTimeout } from 'node:timers/promises';
import express from 'express';
import { event, sse } from 'express-yield';

const app = express();
app.use(sse());
app.get('/', (_req, res) => res.sendFile('clients.html', { root: 'docs' }));
app.use('/htmx', express.static('node_modules/htmx.org/dist'));
app.use('/htmx-sse', express.static('node_modules/htmx-ext-sse'));

async function* job(signal: AbortSignal) {
  for (let percent = 0; percent <= 100; percent += 25) {
    yield event('progress', `${percent} %`);
    await setTimeout(100, undefined, { signal });
  }
  return 'done';
}

app.get('/job', (_req, res) => job(res.sse.signal));

// One line for clients that send `GET` with `Accept: text/event-stream`, and read a single response.
app.get(
  '/job/once',
  sse((_req, res: express.Response) => job(res.sse.signal), { client: 'fetch' }),
);

export const server = app.listen(process.env.PORT ?? 3000);
