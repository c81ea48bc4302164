/**
 * A server of the soak, in its own process: `server.ts <port> <seed> <diagnosed>`. Port 0 is any free port; a server that
 * replaces another gets the other's port.
 */
// Must be the first import, to count all timers of the package.
import './lib-timers';

import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import express, { type ErrorRequestHandler, type Request, type Response } from 'express';
import type { StreamRecord } from '../lib/index';
import { createSse, event } from './express-yield';
import { Feeds, pause, type Tick } from './feeds';
import { Incidents, ON_PURPOSE } from './incidents';
import { timersAlive } from './lib-timers';
import { Random } from './random';
import { leftIn, type ServerSample } from './server-sample';

/** A request of the parent process: report figures; end all channels; report figures once all clients are gone; or stop. */
export type ServerQuestion = 'sample' | 'finish' | 'remains' | 'stop';

/** Short, so that a client that does not read is disconnected during the soak. */
const STALL_TIMEOUT_MS = 2_500;

/** What is still held after this time is a leak. */
const REMAINS_MS = 15_000;

const BACKLOG = 2_048;

const [, , port = '0', seed = '1', diagnosed = 'false'] = process.argv;
const random = new Random(Number(seed));
const incidents = new Incidents();
incidents.watchProcess();
const feeds = new Feeds(random);
const sse = createSse({ stallTimeoutMs: STALL_TIMEOUT_MS, retryMs: 400, keepAliveMs: 5_000 });
const reasons: Record<string, number> = {};
let generators = 0;
let opened = 0;

/** Only on request: streams without a diagnostics subscriber use another code path, which must run too. */
if (diagnosed === 'true') {
  subscribe('express-yield:close', (message) => {
    const { reason = 'none' } = message as StreamRecord;
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  });
}

/** Counts active generators. */
async function* counted(values: AsyncIterable<unknown>) {
  generators++;
  try {
    return yield* values;
  } finally {
    generators--;
  }
}

/** Numbers with ids, which continue after the last event ID; sometimes it throws. */
async function* numbers(res: Response, count: number, meanMs: number, throws: number) {
  const { signal, lastEventId } = res.sse;
  if (random.chance(throws)) throw new Error(ON_PURPOSE);
  for (let n = Number(lastEventId || 0) + 1; n <= count; n++) {
    if (!feeds.ending.aborted) await pause(random.waitMs(meanMs), signal);
    signal.throwIfAborted();
    if (random.chance(throws / 4)) throw new Error(ON_PURPOSE);
    yield event('number', { n }, { id: n });
  }
  return { count };
}

/** A snapshot, and then the live events. */
async function* snapshotThenLive(req: Request, res: Response) {
  const feed = feedOf(req);
  const live = feed.channel.subscribe(res.sse);
  const position = live.lastEventId;
  await pause(random.waitMs(20), res.sse.signal);
  yield event('snapshot', { position });
  return yield* live;
}

/** Does not use the signal: only `return()` ends it. */
async function* flood() {
  for (let n = 1; !feeds.ending.aborted; n++) yield `${n} ${'x'.repeat(16_384)}`;
  return 'ended';
}

const feedOf = ({ params: { name } }: Request) => {
  const feed = feeds.ticks[Number(name)];
  if (feed === undefined) throw new Error(`Expected a number of a channel, got '${name}'.`);
  return feed;
};

/** One event in five, selected by its data, as a user's filter would. */
const fifth = ({ params: { rest } }: Request) => {
  const wanted = Number(rest);
  return ({ seq }: Tick) => seq % 5 === wanted;
};

const app = express();
app.use((_req, _res, next) => {
  opened++;
  next();
});
app.use(sse());
app.get('/ticks/:name', (req) => feedOf(req).channel);
app.get('/ticks/:name/fifth/:rest', (req) => feedOf(req).channel.filter(fifth(req)));
app.get('/ticks/:name/throwing', (req) => feedOf(req).channel.filter(throwSometimes));
app.get('/ticks/:name/snapshot', (req, res) => counted(snapshotThenLive(req, res)));
app.get('/fat', () => feeds.fat.channel);
app.get('/fat/skipping', () => feeds.fatSkipping.channel);
app.get('/topics/:name', ({ params: { name } }) => feeds.topic(name));
app.get('/runs/:name', ({ params: { name } }) => feeds.run(name));
app.get('/numbers/:count', ({ params: { count } }, res) => counted(numbers(res, Number(count), 250, 0)));
app.get('/throws/:count', ({ params: { count } }, res) => counted(numbers(res, Number(count), 250, 0.1)));
app.post('/ask', express.json(), ({ body }, res) => counted(numbers(res, Number(body.count), 30, 0)));
app.get('/flood', () => counted(flood()));

function throwSometimes(): boolean {
  if (random.chance(0.01)) throw new Error(ON_PURPOSE);
  return true;
}

/** The expected errors of requests. */
const EXPECTED = new Set(['ERR_SSE_NOT_ACCEPTABLE', 'ERR_SSE_CHANNEL_FAILED', 'ERR_SSE_CLOSING']);
const EXPECTED_TYPES = new Set(['request.aborted', 'request.size.invalid', 'entity.parse.failed']);

const onError: ErrorRequestHandler = (error, req, res, _next) => {
  const isExpected =
    error?.message === ON_PURPOSE || EXPECTED.has(error?.code) || EXPECTED_TYPES.has(error?.type);
  if (!isExpected) incidents.add(`error of ${req.method} ${req.url}: ${error?.stack ?? String(error)}`);
  if (res.headersSent) res.destroy();
  else res.status(error?.status ?? 500).end();
};
app.use(onError);

const server = createServer(app);
const lag = monitorEventLoopDelay({ resolution: 10 });
lag.enable();

const socketsOf = () =>
  new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));

async function sample(): Promise<ServerSample> {
  const lagP99Ms = lag.percentile(99) / 1e6;
  const lagMaxMs = lag.max / 1e6;
  await setImmediate();
  global.gc?.();
  const heapBytes = process.memoryUsage().heapUsed;
  const rssBytes = process.memoryUsage.rss();
  const { user, system } = process.cpuUsage();
  const sockets = await socketsOf();
  // The pause of the garbage collection is not the package's.
  lag.reset();
  return {
    streams: sse.size,
    opened,
    sockets,
    generators: generators + feeds.running,
    subscribers: feeds.subscribers,
    timers: timersAlive(),
    published: feeds.published.count,
    rssBytes,
    heapBytes,
    lagP99Ms,
    lagMaxMs,
    cpuMs: (user + system) / 1_000,
    reasons,
    incidents: incidents.take(),
  };
}

/** What the server holds after all clients have disconnected, once it had time to release it. */
async function remains(): Promise<ServerSample> {
  const until = performance.now() + REMAINS_MS;
  for (;;) {
    const left = await sample();
    for (const text of left.incidents) incidents.add(text);
    if (leftIn(left) === '' || performance.now() > until) return { ...left, incidents: incidents.take() };
    await sleep(100);
  }
}

/** Shuts down as the README shows. The process must then exit on its own. */
async function stop(): Promise<ServerSample> {
  server.close();
  await sse.close({ spreadMs: 1_000, graceMs: 300, drainMs: 500 });
  server.closeAllConnections();
  await feeds.stop();
  return remains();
}

async function answer(question: ServerQuestion): Promise<ServerSample> {
  if (question === 'finish') await feeds.end();
  if (question === 'remains') return remains();
  return question === 'stop' ? stop() : sample();
}

process.on('SIGINT', () => undefined);
process.on('message', async (question: ServerQuestion) => process.send?.(await answer(question)));

async function main(): Promise<void> {
  server.listen(Number(port), '127.0.0.1', BACKLOG);
  await once(server, 'listening');
  process.send?.((server.address() as AddressInfo).port);
  lag.reset();
}

void main();
