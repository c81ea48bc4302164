import type { Adapter } from './adapter';
import { Child, CORES } from './child';
import type { ClientAnswer, ClientQuestion, Seen } from './client';
import type { Measure, Row } from './rows';
import type { ServerQuestion, Usage } from './server';

/** One adapter, one row, one round. */
export interface Sample {
  readonly row: string;
  readonly adapter: string;
  readonly round: number;
  readonly events: number;
  readonly wallMs: number;
  readonly usage: Usage;
  readonly values: Readonly<Record<Measure, number>>;
}

/** A server of its own for each sample, so that no adapter profits from what the one before has warmed or littered. */
export async function takeSample(
  adapter: Adapter,
  row: Row,
  round: number,
  client: Child,
  profileDir?: string,
): Promise<Sample> {
  const nodeArgs = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const { child: server, greeting: port } = await Child.start<number>(
    'server.ts',
    CORES.server,
    [adapter.name],
    nodeArgs,
  );
  try {
    await read(client, { port, row: row.name, ...row.warmUp });
    await server.ask<Usage>('start' satisfies ServerQuestion);
    const seen = await read(client, { port, row: row.name, streams: row.streams, events: row.events });
    const usage = await server.ask<Usage>('stop' satisfies ServerQuestion);
    const { events, wallMs } = seen;
    return {
      row: row.name,
      adapter: adapter.name,
      round,
      events,
      wallMs,
      usage,
      values: valuesOf(seen, usage),
    };
  } finally {
    await server.stop();
  }
}

async function read(client: Child, question: ClientQuestion): Promise<Seen> {
  const answer = await client.ask<ClientAnswer>(question);
  if ('error' in answer) throw new Error(`${question.row}: ${answer.error}`);
  const expected = question.streams * question.events;
  if (answer.events !== expected) throw new Error(`Expected ${expected} events, got ${answer.events}.`);
  return answer;
}

function valuesOf({ events, latencies }: Seen, { userMs, systemMs }: Usage): Sample['values'] {
  const cpu = ((userMs + systemMs) * 1_000) / events;
  return {
    'CPU µs/event': cpu,
    'CPU µs/visit': cpu,
    'latency p50 µs': quantile(latencies, 0.5) / 1_000,
    'latency p99 µs': quantile(latencies, 0.99) / 1_000,
  };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
