import type { Adapter } from './adapter';
import { Child, CORES } from './child';
import type { ClientAnswer, ClientQuestion, Seen } from './client';
import { RECEIVED } from './received';
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
    await run(row, { client, server, port, ...row.warmUp });
    const { seen, usage } = await run(row, {
      client,
      server,
      port,
      streams: row.streams,
      events: row.events,
    });
    const { wallMs } = usage;
    return {
      row: row.name,
      adapter: adapter.name,
      round,
      events: seen.events,
      wallMs,
      usage,
      values: valuesOf(seen, usage),
    };
  } finally {
    await server.stop();
  }
}

interface RunOfRow {
  readonly client: Child;
  readonly server: Child;
  readonly port: number;
  readonly streams: number;
  readonly events: number;
}

async function run(row: Row, { client, server, port, streams, events }: RunOfRow) {
  const question: ClientQuestion = { port, row: row.name, streams, events };
  await server.ask<Usage>('start' satisfies ServerQuestion);
  const answer = await client.ask<ClientAnswer>(question);
  // A shared run ends its streams only when it is told to stop, so that closing them is not measured.
  const end = answer === RECEIVED ? client.hear<ClientAnswer>() : answer;
  const usage = server.ask<Usage>('stop' satisfies ServerQuestion);
  return { seen: checked(await end, question), usage: await usage };
}

function checked(answer: ClientAnswer, { row, streams, events }: ClientQuestion): Seen {
  if (answer === RECEIVED) throw new Error(`${row}: Expected the end, got '${RECEIVED}' twice.`);
  if ('error' in answer) throw new Error(`${row}: ${answer.error}`);
  const expected = streams * events;
  if (answer.events !== expected) throw new Error(`Expected ${expected} events, got ${answer.events}.`);
  return answer;
}

function valuesOf({ events, latencies }: Seen, { userMs, systemMs }: Usage): Sample['values'] {
  const cpu = ((userMs + systemMs) * 1_000) / events;
  return {
    'CPU µs/event': cpu,
    'CPU µs/visit': cpu,
    'CPU µs/delivery': cpu,
    'latency p50 µs': quantile(latencies, 0.5) / 1_000,
    'latency p99 µs': quantile(latencies, 0.99) / 1_000,
  };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
