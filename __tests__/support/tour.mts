// An app for one JavaScript runtime, with a route for each feature that the tour visits. It prints its port.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setInterval } from 'node:timers/promises';
import compression from 'compression';
import express, { type Response } from 'express';
import { Channel, sse } from '../../dist/index.mjs';

/** What the routes did, for `GET /state`. */
const state = {
  versions: process.versions,
  ticks: 0,
  finished: [] as string[],
  codes: [] as unknown[],
  pulled: 0,
};

async function* ticks(name: string, signal: AbortSignal) {
  try {
    for await (const _ of setInterval(5, null, { signal })) yield `${name} ${++state.ticks}`;
  } finally {
    state.finished.push(name);
    state.codes.push((signal.reason as { code?: unknown } | undefined)?.code);
  }
}

const LARGE = 'x'.repeat(64 * 1024);

async function* flood(signal: AbortSignal) {
  try {
    while (!signal.aborted) {
      state.pulled++;
      yield LARGE;
    }
  } finally {
    state.finished.push('flood');
  }
}

async function* waiting(signal: AbortSignal) {
  try {
    yield 'first';
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    state.finished.push('waiting');
    state.codes.push((signal.reason as { code?: unknown } | undefined)?.code);
  }
}

const prices = new Channel<number>();
const app = express();
app.use(compression());
app.get(
  '/wrapped',
  sse(async function* (_req, res: Response) {
    yield* ticks('wrapped', res.sse.signal);
  }),
);
app.get(
  '/compressed',
  sse(
    async function* () {
      yield '日本語 🚀';
      yield 'second';
    },
    { compress: true },
  ),
);
app.use(sse({ keepAliveMs: 20, stallTimeoutMs: false }));
app.get('/ticks', (_req, res) => ticks('ticks', res.sse.signal));
app.get('/unicode', async function* () {
  for (let n = 0; n < 2_000; n++) yield `${n} é 日本 🚀`;
});
app.get('/finite', async function* () {
  yield 1;
  return { rows: 1 };
});
app.get('/unauthorized', async function* () {
  if (state.ticks >= 0) throw Object.assign(new Error('Unauthorized'), { status: 401 });
  yield 1;
});
app.get('/waiting', (_req, res) => waiting(res.sse.signal));
app.get('/flood', (_req, res) => flood(res.sse.signal));
app.get('/prices', () => prices);
app.post('/prices/:price', async (req, res) => {
  res.json(await prices.publish(Number(req.params.price)));
});
app.post('/echo', express.json(), async function* (req) {
  yield req.body;
  return '[DONE]';
});
app.post('/close', async (_req, res) => {
  await sse.close({ spreadMs: 0 });
  res.json(sse.size);
});
app.get('/state', (_req, res) => void res.json({ ...state, size: sse.size, subscribers: prices.size }));

const server = createServer(app).listen(0, '127.0.0.1');
await once(server, 'listening');
console.log((server.address() as AddressInfo).port);
