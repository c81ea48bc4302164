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

/** One server, measured or warming up. */
export interface RunOfRow {
  readonly row: Row;
  readonly client: Child;
  readonly server: Child;
  readonly port: number;
  readonly streams: number;
  readonly events: number;
  /** Where streams are held: how long, once all have their events. */
  readonly holdMs?: number;
}

export interface Outcome {
  readonly seen: Seen;
  readonly usage: Usage;
  /** Where newcomers were measured: how long each waited for its first event, sorted, in milliseconds. */
  readonly waits?: readonly number[];
  /** Where streams were held. */
  readonly held?: Held;
  /** Where streams were stalled: how many were told that they had missed something; to the others all had been kept. */
  readonly told?: number;
}

export interface Held {
  readonly comments: number;
  /** What the server holds more than before, when all streams are open. */
  readonly growth: Memory;
}

/** Takes the row's own way through a run. */
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
  // A shared run ends its streams only when it is told to stop, so that closing them is not measured.
  const end = answer === RECEIVED ? client.next<ClientAnswer>() : answer;
  const [seen, usage] = await Promise.all([end, ask<Usage>(server, 'stop')]);
  return { seen: checked(seen, run), usage, waits };
}

/** Memory at rest before and after, then the CPU time of a while in which nothing happens by itself. */
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

/** The figures are those at which the readers have everything; then the others may learn what became of theirs. */
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
  return { seen: checked(await end, run), usage, told: resumed.told };
}

/** A comment may be late by a part of the idle time, and the first is due a whole one after an event. */
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
