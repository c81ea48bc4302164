import { setTimeout } from 'node:timers/promises';
import type { Child } from './child';
import type { ClientAnswer, ClientQuestion, Seen } from './client';
import type { Counted, HoldOrder } from './hold';
import type { Memory } from './memory';
import { RECEIVED } from './received';
import type { Row } from './rows';
import type { ServerQuestion, Usage } from './server';

/** One server, measured or warming up. */
export interface RunOfRow {
  readonly row: Row;
  readonly client: Child;
  readonly server: Child;
  readonly port: number;
  readonly streams: number;
  readonly events: number;
}

export interface Outcome {
  readonly seen: Seen;
  readonly usage: Usage;
  /** Where streams were held. */
  readonly held?: Held;
}

export interface Held {
  readonly comments: number;
  /** What the server holds more than before, when all streams are open. */
  readonly growth: Memory;
}

/** Takes the row's own way through a run. */
export function runRow(run: RunOfRow): Promise<Outcome> {
  return run.row.reads === 'held' ? holdStreams(run) : readStreams(run);
}

async function readStreams(run: RunOfRow): Promise<Outcome> {
  const { client, server } = run;
  await ask<Usage>(server, 'start');
  const answer = await client.ask<ClientAnswer>(questionOf(run));
  // A shared run ends its streams only when it is told to stop, so that closing them is not measured.
  const end = answer === RECEIVED ? client.hear<ClientAnswer>() : answer;
  const usage = ask<Usage>(server, 'stop');
  return { seen: checked(await end, run), usage: await usage };
}

/** Memory at rest before and after, then the CPU time of a while in which nothing happens by itself. */
async function holdStreams(run: RunOfRow): Promise<Outcome> {
  const { row, client, server } = run;
  const before = await ask<Memory>(server, 'memory');
  await client.ask<ClientAnswer>(questionOf(run));
  const after = await ask<Memory>(server, 'memory');
  await ask<Usage>(server, 'start');
  await order(client, 'count');
  await setTimeout(row.holdMs);
  const usage = await ask<Usage>(server, 'stop');
  const { comments } = await order(client, 'count');
  const seen = await client.ask<ClientAnswer>('leave' satisfies HoldOrder);
  return { seen: checked(seen, run), usage, held: { comments, growth: growthOf(before, after) } };
}

function growthOf(before: Memory, after: Memory): Memory {
  return { heapBytes: after.heapBytes - before.heapBytes, rssBytes: after.rssBytes - before.rssBytes };
}

function ask<Answer>(server: Child, question: ServerQuestion): Promise<Answer> {
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
  const expected = streams * events;
  if (answer.events !== expected) throw new Error(`Expected ${expected} events, got ${answer.events}.`);
  return answer;
}
