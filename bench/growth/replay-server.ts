import { createServer } from 'node:http';
import express from 'express';
import { now } from '../clock';
import { cpuTimeOf } from '../cpu-time';
import { Channel, memoryLog, sse } from '../express-yield';
import { listen } from '../listen';
import type { Quote } from '../sources';

/** Publish this many events on a new channel; or start or stop measuring. */
export type ReplayServerQuestion = { readonly fill: number } | 'start' | 'stop';

export interface Filled {
  /** The id before the first of them. */
  readonly before: string;
}

/** The interval of live events during the measurement. */
const LIVE_EVERY_MS = 5;

let channel = new Channel<Quote>();
let next = 0;
let live: NodeJS.Timeout | undefined;
let before = cpuTimeOf();

async function fill(events: number): Promise<Filled> {
  channel = new Channel({ log: memoryLog({ maxEvents: 2 * events, maxBytes: 2 ** 30 }) });
  const id = await channel.publish(quote(0));
  for (next = 0; next < events; next++) await channel.publish(quote(next));
  return { before: id };
}

function start(): true {
  live = setInterval(() => void channel.publish(quote(next++, now())), LIVE_EVERY_MS);
  before = cpuTimeOf();
  return true;
}

function stop(): number {
  clearInterval(live);
  const { userMs, systemMs } = cpuTimeOf();
  return userMs - before.userMs + systemMs - before.systemMs;
}

function quote(seq: number, at = 0): Quote {
  return { seq, at, symbol: 'ACME', price: 10_150 + (seq % 100), size: 300, side: 'buy', venue: 'XNAS' };
}

async function answer(question: ReplayServerQuestion): Promise<unknown> {
  if (question === 'stop') return stop();
  if (question === 'start') return start();
  return fill(question.fill);
}

async function main(): Promise<void> {
  const app = express();
  app.use(sse());
  app.get('/replay', () => channel);
  const { port } = await listen(createServer(app));
  process.send?.(port);
}

process.setSourceMapsEnabled(false);
process.on('message', async (question: ReplayServerQuestion) => process.send?.(await answer(question)));
process.on('disconnect', () => process.exit());
void main();
