import { setInterval } from 'node:timers/promises';
import type { Child } from '../../tools/child';
import { startServer } from '../processes';
import type { ClientQuestion, Seen } from './client';
import type { Contender } from './contender';
import type { RedisAdmin } from './redis-admin';
import { type Measure, type Row, WARM_UP_PACE } from './rows';
import type { Published, ServerQuestion, Usage } from './server';

/** One contender, one row, one round. */
export interface Sample {
  readonly row: string;
  readonly contender: string;
  readonly round: number;
  readonly wallMs: number;
  readonly values: Readonly<Record<Measure, number>>;
  readonly total: Seen['total'];
  readonly orders: number;
}

/** What all samples share. */
export interface Setup {
  readonly client: Child;
  readonly redis: RedisAdmin;
  /** Folder for the servers' CPU profiles. */
  readonly profileDir: string | undefined;
}

interface Process {
  readonly child: Child;
  readonly port: number;
}

/** During a paced row. */
const CUTS = 3;
const CUT_EVERY_MS = 700;

/** Starts fresh processes for each sample, so that earlier samples cannot affect it. */
export async function takeSample(
  contender: Contender,
  row: Row,
  round: number,
  setup: Setup,
): Promise<Sample> {
  await setup.redis.empty();
  const processes = await startAll(contender, row, setup);
  try {
    await run({ ...row, events: row.warmUp, pace: WARM_UP_PACE, cut: false }, processes, setup);
    const result = await run(row, processes, setup);
    return { row: row.name, contender: contender.name, round, ...result };
  } finally {
    await Promise.all(processes.map(({ child }) => child.stop()));
  }
}

function startAll({ name }: Contender, row: Row, { redis, profileDir }: Setup): Promise<Process[]> {
  const nodeArgs = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const indices = Array.from({ length: row.processes }, (_, index) => index);
  return Promise.all(
    indices.map(async (index) => {
      const args = [name, String(redis.port), String(index)];
      const { child, first: port } = await startServer<number>('redis/server.ts', args, nodeArgs);
      return { child, port };
    }),
  );
}

async function run(row: Row, processes: readonly Process[], { client, redis }: Setup) {
  const { streams, publishers, events } = row;
  const ports = processes.map(({ port }) => port);
  await client.ask({ ports, streams, publishers, events } satisfies ClientQuestion);
  await askAll<'started'>(processes, (index) => ({
    kind: 'start',
    subscribers: shareOf(streams, processes.length, index),
  }));
  const redisBefore = await redis.cpuMs();
  const seen = client.next<Seen>();
  const publishing = processes.slice(0, publishers);
  const answers = askAll<Published>(publishing, () => ({ kind: 'publish', events, pace: row.pace }));
  if (row.cut) await cut(redis);
  const published = await answers;
  const { latency, lastAt, total, orders } = await seen;
  const used = await askAll<Usage>(processes, () => ({ kind: 'stop' }));
  const redisMs = (await redis.cpuMs()) - redisBefore;
  const wallMs = (lastAt - Math.min(...published.map(({ startedAt }) => startedAt))) / 1e6;
  const cpuMs = used.reduce((sum, usage) => sum + usage.cpuMs, 0);
  const values: Sample['values'] = {
    'latency p50 µs': (latency?.p50 ?? Number.NaN) / 1_000,
    'latency p99 µs': (latency?.p99 ?? Number.NaN) / 1_000,
    'deliveries/s': total.received / (wallMs / 1_000),
    'CPU µs/delivery': (cpuMs * 1_000) / total.received,
    'Redis CPU µs/event': (redisMs * 1_000) / (events * publishers),
  };
  return { wallMs, values, total, orders };
}

async function cut(redis: RedisAdmin): Promise<void> {
  let cuts = 0;
  for await (const _ of setInterval(CUT_EVERY_MS)) {
    await redis.cutSubscribers();
    if (++cuts === CUTS) return;
  }
}

function askAll<Answer>(
  processes: readonly Process[],
  questionFor: (index: number) => ServerQuestion,
): Promise<Answer[]> {
  return Promise.all(processes.map(({ child }, index) => child.ask<Answer>(questionFor(index))));
}

/** How many of the streams this process gets, distributed round-robin. */
function shareOf(streams: number, processes: number, index: number): number {
  return Math.floor((streams - index + processes - 1) / processes);
}
