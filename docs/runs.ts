/**
 * Answers of a model that survive a reload, and jobs that survive their process. Run it with `npx tsx docs/runs.ts`; it needs
 * Redis. Start it several times, each with its own PORT.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { createRuns, type RunContext, sse } from 'express-yield';
import { redisLogs } from 'express-yield/redis';
import { Redis } from 'ioredis';

const { PORT = 3000, REDIS_URL = 'redis://localhost:6379', STEP_MS = 100 } = process.env;

const client = new Redis(REDIS_URL);
const logs = redisLogs(client);
const answers = createRuns<string>({ logs: (key) => logs(`answer:${key}`, { maxEvents: 10_000 }) });
const jobs = createRuns<{ step: number }>({ logs: (key) => logs(`job:${key}`) });

const app = express();
app.use(sse({ headers: { 'X-Process': process.pid } }));

// The page makes the id of the answer, so that it can ask for the same one again.
app.post('/answers/:id', express.json(), ({ params, body }) =>
  answers.start(params.id, ({ signal }) => generate(String(body.prompt), signal)),
);
app.get('/answers/:id', async ({ params }, res) => {
  return (await answers.find(params.id)) ?? void res.sendStatus(204); // nothing to resume
});
app.delete('/answers/:id', async ({ params }, res) => {
  res.sendStatus((await answers.stop(params.id, '[STOPPED]')) ? 204 : 404); // aborts the signal, in any process
});

// Every process that has called start() can continue the job, so all requests call it.
app.get('/jobs/:id', ({ params }) => jobs.start(params.id, work, { takeover: true }));

/** In place of a model: repeats the prompt, word by word. */
async function* generate(prompt: string, signal: AbortSignal) {
  for (const word of prompt.split(' ')) {
    await sleep(Number(STEP_MS), undefined, { signal });
    yield word;
  }
  return '[DONE]';
}

/** Begins after the last step that was published, in this process or in another. */
async function* work({ signal, lastEvent }: RunContext) {
  const done = lastEvent?.data as { step: number } | undefined;
  for (let step = (done?.step ?? 0) + 1; step <= 20; step++) {
    await sleep(Number(STEP_MS), undefined, { signal });
    yield { step };
  }
  return { steps: 20 };
}

export const server = app.listen(PORT);

process.once('SIGTERM', async () => {
  const closed = once(server.close(), 'close');
  await sse.close(); // an answer to a fetch client of this process has 10 seconds to end
  await Promise.all([answers.close(), jobs.close()]); // other processes continue the jobs
  await closed;
  await logs.close();
  client.disconnect();
});
