import { setTimeout } from 'node:timers/promises';
import type { Child } from '../tools/child';
import type { ClientAnswer, ClientQuestion, Failed, Seen } from './client';
import type { Counted, HoldOrder } from './hold';
import type { Memory } from './memory';
import { probe } from './probe';
import { RECEIVED } from './received';
import type { Row } from './rows';
import type { ServerQuestion, Usage } from './server';
import type { Resumed, StallOrder } from './stall';

/** One run on one server, measured or as a warm-up. */
export interface RunOfRow {
  readonly row: Row;
  readonly client: Child;
  readonly server: Child;
  readonly port: number;
  readonly streams: number;
  readonly events: number;
  /** How long streams are held after all have received their events. */
  readonly holdMs?: number;
}

export interface Outcome {
  readonly seen: Seen;
  readonly usage: Usage;
  /** In probed rows: how long each additional connection waited for its first event, in milliseconds. */
  readonly waits?: readonly number[];
  /** In rows with held streams. */
  readonly held?: Held;
  /** In rows with stalled streams: how many of them received a `gap`; the others received every event. */
  readonly gaps?: number;
}

export interface Held {
  readonly comments: number;
  /** The growth of the server's memory when all streams are open. */
  readonly growth: Memory;
}

/** Runs a row in its own way. */
export function runRow(run: RunOfRow): Promise<Outcome> {
  if (run.row.reads === 'held') return holdStreams(run);
  return run.row.stalled === undefined ? readStreams(run) : stallStreams(run);
}

async function readStreams(run: RunOfRow): Promise<Outcome> {
  const { row, client, server, port } = run;
  await ask(server, 'start');
  const answering = client.ask<ClientAnswer>(questionOf(run));
  const waits = row.probed ? await probe({ port, path: row.route.path }, answering) : undefined;
  const answer = await answering;
  // A shared run ends its streams only on 'stop', so that closing them is not measured.
  const end = answer === RECEIVED ? client.next<ClientAnswer>() : answer;
  const [seen, usage] = await Promise.all([end, ask<Usage>(server, 'stop')]);
  return { seen: checked(seen, run), usage, waits };
}

/** Measures the memory at rest before and after, then the CPU time of a period in which no events are sent. */
async function holdStreams(run: RunOfRow): Promise<Outcome> {
  const { client, server, holdMs } = run;
  const before = await ask<Memory>(server, 'memory');
  await client.ask<ClientAnswer>(questionOf(run));
  const after = await ask<Memory>(server, 'memory');
  await ask(server, 'start');
  await order(client, 'count');
  await setTimeout(holdMs);
  const usage = await ask<Usage>(server, 'stop');
  const counted = await order(client, 'count');
  checkKept(run, counted);
  const seen = await client.ask<ClientAnswer>('leave' satisfies HoldOrder);
  return {
    seen: checked(seen, run),
    usage,
    held: { comments: counted.comments, growth: growthOf(before, after) },
  };
}

/** Measures until the reading clients have received everything; then the stalled ones resume and check for a gap. */
async function stallStreams(run: RunOfRow): Promise<Outcome> {
  const { client, server } = run;
  await ask(server, 'start');
  const received = await client.ask<ClientAnswer>(questionOf(run));
  if (received !== RECEIVED) return { seen: checked(received, run), usage: await ask<Usage>(server, 'stop') };
  const usage = await ask<Usage>(server, 'usage');
  const resumed = await client.ask<Resumed | Failed>('resume' satisfies StallOrder);
  if ('error' in resumed) throw new Error(`${run.row.name}: ${resumed.error}`);
  const end = client.next<ClientAnswer>();
  await ask<Usage>(server, 'stop');
  return { seen: checked(await end, run), usage, gaps: resumed.gaps };
}

/** A comment may be late by a part of the interval, and the first is due one interval after an event. */
function checkKept({ row, holdMs = 0 }: RunOfRow, { fewest }: Counted): void {
  const { keepAliveMs } = row.route;
  if (keepAliveMs === false) return;
  const due = Math.floor(holdMs / (keepAliveMs * 1.25)) - 1;
  if (fewest < due) throw new Error(`${row.name}: Expected ${due} comments on each stream, got ${fewest}.`);
}

function growthOf(before: Memory, after: Memory): Memory {
  return { heapBytes: after.heapBytes - before.heapBytes, rssBytes: after.rssBytes - before.rssBytes };
}

function ask<Answer = unknown>(server: Child, question: ServerQuestion): Promise<Answer> {
  return server.ask<Answer>(question);
}

function order(client: Child, order: HoldOrder): Promise<Counted> {
  return client.ask<Counted>(order);
}

function questionOf({ row, port, streams, events }: RunOfRow): ClientQuestion {
  return { port, row: row.name, streams, events };
}

function checked(answer: ClientAnswer, { row, streams, events }: RunOfRow): Seen {
  if (answer === RECEIVED) throw new Error(`${row.name}: Expected the end, got '${RECEIVED}' twice.`);
  if ('error' in answer) throw new Error(`${row.name}: ${answer.error}`);
  const expected = (streams - (row.stalled ?? 0)) * events;
  if (answer.events !== expected) throw new Error(`Expected ${expected} events, got ${answer.events}.`);
  return answer;
}
