import { median } from 'simple-statistics';
import type { Child } from '../tools/child';
import type { Adapter } from './adapter';
import { startServer } from './processes';
import type { Measure, Row } from './rows';
import { type Outcome, runRow } from './run-row';
import type { Usage } from './server';

const MB = 1_000_000;

/** One adapter, one row, one round. */
export interface Sample {
  readonly row: string;
  readonly adapter: string;
  readonly round: number;
  readonly events: number;
  readonly wallMs: number;
  readonly usage: Usage;
  /** The measures that this row has. */
  readonly values: Readonly<Partial<Record<Measure, number>>>;
}

/** Starts a fresh server for each sample, so that earlier samples cannot affect it. */
export async function takeSample(
  adapter: Adapter,
  row: Row,
  round: number,
  client: Child,
  profileDir?: string,
): Promise<Sample> {
  const profiling = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const nodeArgs = ['--expose-gc', ...profiling];
  const args = [adapter.name, row.protocol ?? 'http1'];
  const { child: server, first: port } = await startServer<number>('server.ts', args, nodeArgs);
  try {
    const run = { row, client, server, port };
    await runRow({ ...run, ...row.warmUp });
    const { streams, events, holdMs } = row;
    const outcome = await runRow({ ...run, streams, events, holdMs });
    return sampleOf(outcome, { row: row.name, adapter: adapter.name, round });
  } finally {
    await server.stop();
  }
}

function sampleOf(outcome: Outcome, names: Pick<Sample, 'row' | 'adapter' | 'round'>): Sample {
  const { seen, usage } = outcome;
  return { ...names, events: seen.events, wallMs: usage.wallMs, usage, values: valuesOf(outcome) };
}

function valuesOf({ seen, usage, held, waits }: Outcome): Sample['values'] {
  const { events, latency } = seen;
  const cpuUs = (usage.userMs + usage.systemMs) * 1_000;
  return {
    'CPU µs/event': cpuUs / events,
    'CPU µs/visit': cpuUs / events,
    'CPU µs/delivery': cpuUs / events,
    'CPU µs/request': cpuUs / events,
    ...(latency && { 'latency p50 µs': latency.p50 / 1_000, 'latency p99 µs': latency.p99 / 1_000 }),
    ...(waits && { 'first event ms': median([...waits]) }),
    ...(usage.growth && {
      'memory growth MB': usage.growth.keptBytes / MB,
      'RSS growth MB': usage.growth.rssBytes / MB,
    }),
    ...(held && {
      'CPU µs/keep-alive': cpuUs / held.comments,
      'heap bytes/stream': held.growth.heapBytes / events,
      'RSS bytes/stream': held.growth.rssBytes / events,
    }),
  };
}
