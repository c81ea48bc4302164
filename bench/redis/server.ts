import { strictEqual } from 'node:assert';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setInterval } from 'node:timers/promises';
import { now } from '../clock';
import type { Member } from './contender';
import { contenderNamed } from './contenders';
import { quote } from './quote';

/** A request of the parent process. */
export type ServerQuestion =
  /** Start measuring; this many clients must have subscribed here. */
  | { readonly kind: 'start'; readonly subscribers: number }
  /** Publish events, at a fixed interval or as fast as Redis acknowledges them. */
  | { readonly kind: 'publish'; readonly events: number; readonly pace: Pace }
  /** Stop measuring. */
  | { readonly kind: 'stop' };

/** The interval between two events, or how many unacknowledged events may be in flight. */
export type Pace = { readonly everyMs: number } | { readonly window: number };

/** When publishing began, by `now()`. */
export interface Published {
  readonly startedAt: number;
}

/** CPU time of this process since the start, in user mode and in the kernel. */
export interface Usage {
  readonly cpuMs: number;
}

type Publish = (timed: boolean) => Promise<unknown>;

const BACKLOG = 4_096;

// The TypeScript loader turns source maps on, and with them each error's stack costs more than in production.
process.setSourceMapsEnabled(false);

let before = process.cpuUsage();

function start(member: Member, subscribers: number): void {
  strictEqual(member.size(), subscribers, 'Expected all clients to have subscribed.');
  before = process.cpuUsage();
}

function usage(): Usage {
  const { user, system } = process.cpuUsage(before);
  return { cpuMs: (user + system) / 1_000 };
}

async function publishAll(member: Member, by: number, events: number, pace: Pace): Promise<Published> {
  let seq = 0;
  const publish: Publish = (timed) => member.publish(quote(seq++, by, timed ? now() : 0));
  const isDone = () => seq === events;
  const startedAt = now();
  if ('everyMs' in pace) await atInterval(publish, isDone, pace.everyMs);
  else await inWindow(publish, isDone, pace.window);
  return { startedAt };
}

/** Publishes whether or not the previous event is acknowledged, so that a slow moment delays every event in it. */
async function atInterval(publish: Publish, isDone: () => boolean, everyMs: number): Promise<void> {
  const publishing: Array<Promise<unknown>> = [];
  for await (const _ of setInterval(everyMs)) {
    publishing.push(publish(true));
    if (isDone()) break;
  }
  await Promise.all(publishing);
}

async function inWindow(publish: Publish, isDone: () => boolean, window: number): Promise<void> {
  const lane = async () => {
    while (!isDone()) await publish(false);
  };
  await Promise.all(Array.from({ length: window }, lane));
}

async function main(): Promise<void> {
  const [, , name, redisPort, index] = process.argv;
  const member = await contenderNamed(name).join(Number(redisPort));
  const answer = (question: ServerQuestion): unknown => {
    if (question.kind === 'publish') return publishAll(member, Number(index), question.events, question.pace);
    if (question.kind === 'stop') return usage();
    start(member, question.subscribers);
    return 'started';
  };
  const server = createServer(member.listener);
  process.on('message', async (question: ServerQuestion) => process.send?.(await answer(question)));
  process.on('disconnect', () => process.exit());
  server.listen(0, '127.0.0.1', BACKLOG, () => process.send?.((server.address() as AddressInfo).port));
}

void main();
