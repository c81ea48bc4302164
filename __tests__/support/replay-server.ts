/**
 * A channel in its own process, so that memory is that of the server only. It listens on a Unix socket, whose small buffers
 * make backpressure cheap.
 */
import { createServer } from 'node:http';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel, createSse, memoryLog } from '../../lib';

/** The memory that the process has more than before its clients connected. */
export interface ReplayMemory {
  readonly subscribers: number;
  /** The largest growth of the resident set so far. */
  readonly rssBytes: number;
  /** The growth of what buffers hold outside of the heap. */
  readonly bufferBytes: number;
}

export interface Filling {
  readonly events: number;
  readonly bytesPerEvent: number;
}

/** Measures when all of these clients have been sent as much as they take. */
export interface Measuring {
  readonly clients: number;
}

export type ReplayCommand = Filling | Measuring;

const toResult = (data: object) => ({ jsonrpc: '2.0', method: 'event', params: data });

const sse = createSse({ stallTimeoutMs: false, keepAliveMs: false });
let channel = new Channel<object>();
let before = process.memoryUsage();
let maxRss = 0;

const routes: Readonly<Record<string, () => unknown>> = {
  '/': () => channel,
  '/filter': () => channel.filter(() => true),
  '/map': () => channel.map(toResult),
};

/** Fills a new channel. @returns the id before the first event */
async function fill({ events, bytesPerEvent }: Filling): Promise<string> {
  channel = new Channel({ log: memoryLog({ maxEvents: events + 2 }) });
  const id = await channel.publish({});
  // A subscriber of a large event receives this one before it.
  await channel.publish({ first: true });
  for (let n = 0; n < events; n++) await channel.publish({ n, text: 'x'.repeat(bytesPerEvent - 50) });
  await collectGarbage();
  before = process.memoryUsage();
  maxRss = before.rss;
  return id;
}

async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await setImmediate();
    global.gc?.();
  }
}

/** Waits until no subscriber can be sent more. */
async function measure({ clients }: Measuring): Promise<ReplayMemory> {
  let [last, idle] = [-1, 0];
  while (channel.size < clients) await sleep(10);
  while (idle < 20) {
    await sleep(10);
    const { user } = process.cpuUsage();
    idle = user - last < 3_000 ? idle + 1 : 0;
    last = user;
  }
  return {
    subscribers: channel.size,
    rssBytes: maxRss - before.rss,
    bufferBytes: process.memoryUsage().arrayBuffers - before.arrayBuffers,
  };
}

setInterval(() => {
  maxRss = Math.max(maxRss, process.memoryUsage.rss());
}, 10);

process.on('message', async (command: ReplayCommand) => {
  process.send?.('clients' in command ? await measure(command) : await fill(command));
});
process.on('disconnect', () => process.exit());

createServer(sse(({ url = '' }) => routes[url]?.()))
  .listen({ path: process.argv[2], backlog: 1_000 })
  .once('listening', () => process.send?.('listening'));
