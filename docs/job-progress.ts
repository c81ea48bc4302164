/** Jobs that outlive their client. Run it with `npx tsx docs/job-progress.ts`. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { Channel, event, sse } from 'express-yield';

const STEPS = 20;
const KEEP_MS = 10 * 60_000;

export const jobs = new Map<string, Channel>();

async function* work(signal: AbortSignal) {
  for (let step = 1; step <= STEPS; step++) {
    await sleep(50, null, { signal }); // the work of your job
    yield event('progress', { percent: (100 * step) / STEPS });
  }
  return { report: '/reports/1' }; // the data of the closing `end` event
}

function start(id: string): Channel {
  const run = async function* ({ signal }: { signal: AbortSignal }) {
    try {
      return yield* work(signal);
    } finally {
      setTimeout(() => jobs.delete(id), KEEP_MS).unref(); // until then, a late client still gets all of it
    }
  };
  return Channel.from(run, { ttlMs: false }); // continues without subscribers
}

const app = express();
app.use(sse());
app.get('/', (_req, res) => res.sendFile('job-progress.html', { root: 'docs' }));

app.post('/jobs', (_req, res) => {
  const id = randomUUID();
  jobs.set(id, start(id));
  res.status(202).location(`/jobs/${id}`).end();
});

app.get('/jobs/:id', ({ params: { id } }, res) => jobs.get(id) ?? res.sendStatus(404));

app.delete('/jobs/:id', async ({ params: { id } }, res) => {
  const cancelling = jobs.get(id)?.end(event('cancelled', {}));
  const status = await cancelling?.then(
    () => 204,
    () => 409, // it has already ended
  );
  res.sendStatus(status ?? 404);
});

export const server = app.listen(process.env.PORT ?? 3000);
