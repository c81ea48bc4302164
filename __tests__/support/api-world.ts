import { createServer, type Server } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'expect';
import express, { type Express } from 'express';
import { Channel, type EventLog, memoryLog, sse } from 'express-yield';
import { type RedisClient, type RedisLogs, redisLogs } from 'express-yield/redis';
import { openStream } from 'express-yield/testing';
import IoRedis from 'ioredis';
import { market, openPage, type Price } from './api-page';

export type { Halt, Price } from './api-page';

/** What the examples of docstrings may take for granted; each gets its own. */
export interface World {
  readonly app: Express;
  readonly server: Server;
  readonly log: EventLog;
  readonly prices: Channel<Price>;
  readonly market: typeof market;
  /** Of the first of the five events that `prices` has. */
  readonly lastEventId: string;
  readonly client: RedisClient;
  readonly logs: RedisLogs;
  snapshot(): Promise<readonly Price[]>;
  rows(options: { signal: AbortSignal }): AsyncGenerator<string>;
  work(options: { signal: AbortSignal }): Promise<number>;
  report(): AsyncGenerator<string>;
}

/** @param routes whether the app has some already; those of an example come first */
async function openWorld(routes: 'with routes' | 'without'): Promise<World> {
  const app = express();
  app.use(sse());
  const prices = new Channel<Price>({ replay: true });
  const ids: string[] = [];
  for (let n = 1; n <= 5; n++) ids.push(await prices.publish({ symbol: 'ACME', price: 100 + n }));
  if (routes === 'with routes') addRoutes(app, prices);
  const client = process.env.REDIS_URL === undefined ? undefined : new IoRedis(process.env.REDIS_URL);
  return {
    app,
    prices,
    market,
    lastEventId: ids[0] ?? '',
    server: createServer(app),
    log: memoryLog(),
    client: client as RedisClient,
    logs: (client && redisLogs(client)) as RedisLogs,
    snapshot: async () => [{ symbol: 'ACME', price: 100 }],
    rows: lines,
    work: async () => 1,
    report: lines,
  };
}

function addRoutes(app: Express, prices: Channel<Price>): void {
  app.get('/clock', async function* () {
    for (let n = 0; n < 3; n++) yield 'tick';
  });
  app.get('/prices', () => prices);
  app.get('/report', lines);
}

async function* lines(): AsyncGenerator<string> {
  yield 'one line';
}

export interface Example {
  readonly name: string;
  readonly code: string;
  run(world: World): AsyncGenerator<unknown, unknown>;
}

/** What a test's runner would have of an example that is a test. */
const tests: Promise<unknown>[] = [];
Object.assign(globalThis, {
  expect,
  describe: (_name: string, define: () => void) => define(),
  it: (_name: string, run: () => Promise<void>) => tests.push(run()),
});

/** So long an example may wait for more than its world has to offer. */
const PATIENCE_MS = 1_000;

/** Runs them, then asks the routes that they have made; says which failed, and ends the process. */
export async function runAll(examples: readonly Example[]): Promise<never> {
  // The `sse` of the package is closed for good, and for all.
  const hasHeard = await openPage();
  const closing = examples.filter(({ code }) => code.includes('sse.close('));
  const failures = await runSideBySide(examples.filter((example) => !closing.includes(example)));
  await hasHeard();
  failures.push(...(await runSideBySide(closing)));
  for (const failure of failures) console.error(failure);
  console.log(`${examples.length - failures.length} run`);
  process.exit(failures.length === 0 ? 0 : 1);
}

async function runSideBySide(examples: readonly Example[]): Promise<string[]> {
  const patience = setTimeout(PATIENCE_MS);
  const outcomes = await Promise.allSettled(examples.map((example) => runOne(example, patience)));
  return outcomes.flatMap((outcome, index) =>
    outcome.status === 'rejected' ? [`${examples[index]?.name}: ${outcome.reason?.message}`] : [],
  );
}

async function runOne({ code, run }: Example, patience: Promise<unknown>): Promise<void> {
  const paths = [...code.matchAll(/app\.get\('([^']+)'/g)].map(([, path = '']) => path);
  const world = await openWorld(paths.length === 0 ? 'with routes' : 'without');
  await Promise.race([exhaust(run(world)), patience]);
  await Promise.all(tests);
  for (const path of paths) await visit(world.app, path.replaceAll(/:\w+/g, 'ACME'));
}

async function exhaust(values: AsyncGenerator<unknown, unknown>): Promise<void> {
  for await (const _ of values);
}

async function visit(app: Express, path: string): Promise<void> {
  const stream = await openStream(app, path);
  if (stream.status !== 200) throw new Error(`GET ${path} answers ${stream.status}: ${stream.text}`);
  await stream.close();
}
