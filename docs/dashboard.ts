/** A dashboard with many topics on one connection. Run it with `npx tsx docs/dashboard.ts`. */
import express from 'express';
import { Channel, event, type SseContext, sse } from 'express-yield';

/** One channel for all topics, which are its event types: in one log, one last event ID covers all of them. */
export const board = new Channel();

/** The last value of each topic. */
const current = new Map<string, unknown>();

export function show(topic: string, value: unknown): void {
  current.set(topic, value);
  board.publish(event(topic, value)).catch(console.error);
}

/** Shows the latest value, at most one per `ms`; the values between are dropped. */
export function latest(topic: string, ms: number): (value: unknown) => void {
  let waiting: { value: unknown } | undefined;
  return (value) => {
    if (waiting === undefined) setTimeout(flush, ms).unref();
    waiting = { value };
  };

  function flush(): void {
    if (waiting !== undefined) show(topic, waiting.value);
    waiting = undefined;
  }
}

const app = express();
app.use(sse());
app.get('/', (_req, res) => res.sendFile('dashboard.html', { root: 'docs' }));

app.get('/dashboard', ({ query }, res) => {
  const topics = String(query.topics).split(',');
  return snapshotThenLive(topics, res.sse);
});

async function* snapshotThenLive(topics: string[], { lastEventId, signal }: SseContext): AsyncGenerator {
  const shown = board.filter((_, { type = 'message' }) => topics.includes(type));
  const live = shown.subscribe({ lastEventId, signal });
  if (lastEventId === '') yield event('snapshot', await snapshot(topics), { id: live.lastEventId });
  for await (const change of live) {
    if (change.id === undefined) {
      await live.return(); // the log no longer reaches back: start again with a snapshot
      return yield* snapshotThenLive(topics, { lastEventId: '', signal });
    }
    yield change;
  }
}

async function snapshot(topics: string[]): Promise<object> {
  return Object.fromEntries([...current].filter(([topic]) => topics.includes(topic)));
}

app.post('/orders', (_req, res) => {
  show('orders', Number(current.get('orders') ?? 0) + 1);
  res.sendStatus(204);
});

export const server = app.listen(process.env.PORT ?? 3000);

const memory = latest('memory', 250);
setInterval(() => memory(process.memoryUsage.rss()), 5).unref();
