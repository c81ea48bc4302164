/**
 * A server in its own process, so that heap, timers and warnings are those of the server only. It listens on a Unix
 * socket, whose small buffers make backpressure cheap.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import express, { type Response } from 'express';
import { createSse, type Sse } from '../../lib';
import { LibTimers } from './timers';

/** The resources that remain after all clients have disconnected. */
export interface Remaining {
  /** The number of generators started so far. */
  readonly started: number;
  readonly generators: number;
  readonly streams: number;
  readonly sockets: number;
  readonly timers: readonly string[];
  readonly heapBytes: number;
  /** `unhandledRejection`, `uncaughtException`, warnings, and errors that reached the error handler. */
  readonly incidents: readonly string[];
}

export type Command = 'measure' | 'close';

const timers = new LibTimers();
const incidents: string[] = [];
let generators = 0;
let started = 0;
let sse: Sse = createSse();

process.on('unhandledRejection', (error) => incidents.push(`unhandledRejection ${String(error)}`));
process.on('uncaughtException', (error) => incidents.push(`uncaughtException ${error.stack}`));
process.on('warning', (warning) => incidents.push(`warning ${warning.stack}`));

/** Counts a generator while it runs. */
async function* counted(values: AsyncIterable<unknown>) {
  generators++;
  started++;
  try {
    yield* values;
  } finally {
    generators--;
  }
}

async function* never({ sse: { signal } }: Response) {
  if (!signal.aborted) await once(signal, 'abort');
  yield 'never sent';
}

async function* onceThenNever(res: Response) {
  yield 'open';
  yield* never(res);
}

/** Ignores the signal: only `return()` ends it. */
async function* flood() {
  for (;;) yield 'x'.repeat(50_000);
}

async function* ticks() {
  for (let i = 0; ; i++) {
    yield i;
    await setImmediate();
  }
}

const app = express();
app.use((req, res, next) => sse(({ url }) => routes[url ?? '']?.(res), { commitAfterMs: req.url === '/before' ? false : 5 })(req, res, next)); // biome-ignore format: one line
app.use((error: unknown, _req: unknown, res: Response, _next: unknown) => {
  incidents.push(`error ${String(error)}`);
  res.destroy();
});

const routes: Readonly<Record<string, (res: Response) => AsyncIterable<unknown>>> = {
  '/before': (res) => counted(never(res)),
  '/blocked': (res) => counted(onceThenNever(res)),
  '/flood': () => counted(flood()),
  '/ticks': () => counted(ticks()),
};

const server = createServer(app).listen(process.argv[2]);

async function measure(): Promise<Remaining> {
  const sockets = () =>
    new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));
  // Requests of clients that disconnected early may still arrive. Anything that exists after two seconds has leaked.
  for (let i = 0; i < 200 && (generators > 0 || (await sockets()) > 0); i++) await sleep(10);
  for (let i = 0; i < 3; i++) {
    await setImmediate();
    global.gc?.();
  }
  const heapBytes = process.memoryUsage().heapUsed;
  return {
    started,
    generators,
    streams: sse.size,
    sockets: await sockets(),
    timers: timers.active(),
    heapBytes,
    incidents,
  };
}

process.on('message', async (command: Command) => {
  if (command === 'measure') return process.send?.(await measure());
  const closing = sse;
  // New streams belong to the next instance.
  sse = createSse();
  await closing.close({ spreadMs: 5, graceMs: 5, drainMs: 5 });
  process.send?.('closed');
});

server.once('listening', () => process.send?.('listening'));
