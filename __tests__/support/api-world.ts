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

/** The variables that the examples of docstrings may use. Each example gets its own. */
export interface World {
  readonly app: Express;
  readonly server: Server;
  readonly log: EventLog;
  readonly prices: Channel<Price>;
  readonly market: typeof market;
  /** The id of the first of the five events in `prices`. */
  readonly lastEventId: string;
  readonly client: RedisClient;
  readonly logs: RedisLogs;
  snapshot(): Promise<readonly Price[]>;
  rows(options: { signal: AbortSignal }): AsyncGenerator<string>;
  work(options: { signal: AbortSignal }): Promise<number>;
  report(): AsyncGenerator<string>;
  userOf(req: object): string;
}

/** @param routes whether the app already has routes; an example that adds routes needs an app without any */
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
    userOf: () => 'ada',
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

/** The promises that a test runner would await, for examples that are tests. */
const tests: Promise<unknown>[] = [];
Object.assign(globalThis, {
  expect,
  describe: (_name: string, define: () => void) => define(),
  it: (_name: string, run: () => Promise<void>) => tests.push(run()),
});

/** The time after which an example that still waits for events counts as finished. */
const MAX_WAIT_MS = 1_000;

/** Runs the examples, then requests the routes that they added. Reports the failures and exits. */
export async function runAll(examples: readonly Example[]): Promise<never> {
  // Closing the `sse` of the package is permanent and affects all examples, so those run last.
  const received = await openPage();
  const closing = examples.filter(({ code }) => code.includes('sse.close('));
  const failures = await runSideBySide(examples.filter((example) => !closing.includes(example)));
  await received();
  failures.push(...(await runSideBySide(closing)));
  for (const failure of failures) console.error(failure);
  console.log(`${examples.length - failures.length} run`);
  process.exit(failures.length === 0 ? 0 : 1);
}

async function runSideBySide(examples: readonly Example[]): Promise<string[]> {
  const timeout = setTimeout(MAX_WAIT_MS);
  const outcomes = await Promise.allSettled(examples.map((example) => runOne(example, timeout)));
  return outcomes.flatMap((outcome, index) =>
    outcome.status === 'rejected' ? [`${examples[index]?.name}: ${outcome.reason?.message}`] : [],
  );
}

async function runOne({ code, run }: Example, timeout: Promise<unknown>): Promise<void> {
  const paths = [...code.matchAll(/app\.get\('([^']+)'/g)].map(([, path = '']) => path);
  const world = await openWorld(paths.length === 0 ? 'with routes' : 'without');
  await Promise.race([exhaust(run(world)), timeout]);
  await Promise.all(tests);
  for (const path of paths) await visit(world.app, path.replaceAll(/:\w+/g, 'ACME'));
}

async function exhaust(values: AsyncGenerator<unknown, unknown>): Promise<void> {
  for await (const _ of values);
}

async function visit(app: Express, path: string): Promise<void> {
  const stream = await openStream(app, path);
  if (stream.status !== 200) throw new Error(`GET ${path} responded with ${stream.status}: ${stream.text}`);
  await stream.close();
}
