import { latencyOf } from '../latency';
import { startClient, startServer } from '../processes';
import { LiveSubscribers } from './live';
import type { Replayed, ReplayQuestion } from './replay-client';
import type { Filled, ReplayServerQuestion } from './replay-server';
import type { Point, Series } from './series';

const PATH = '/replay';
const RETAINED = [1_000, 10_000, 100_000];

/** How many clients reconnect at the same time and request everything. */
const CLIENTS = 100;

/** How many other clients stay connected and receive live events. */
const LIVE = 10;

/** The cost of replaying all retained events to 100 clients at the same time, while new events are published. */
export async function replays(): Promise<Series> {
  const points: Point[] = [];
  const notes: string[] = [];
  for (const retained of RETAINED) {
    const { cpuMs, wallMs, latency } = await replay(retained);
    const events = retained * CLIENTS;
    points.push({ work: events, cost: cpuMs });
    const { count = 0, p50 = Number.NaN, p99 = Number.NaN } = latency ?? {};
    notes.push(
      `${events.toLocaleString('en')} replayed: ${((cpuMs * 1_000) / events).toFixed(2)} µs each, ` +
        `${(events / wallMs / 1_000).toFixed(2)} million/s; live at the same time p50 ${msOf(p50)} ms, p99 ${msOf(p99)} ms of ${count}`,
    );
  }
  return { name: 'replays', work: 'events replayed', cost: 'CPU ms for all of them', points, notes };
}

async function replay(retained: number) {
  const { child: server, first: port } = await startServer<number>('growth/replay-server.ts');
  const client = await startClient('growth/replay-client.ts');
  const run = async (clients: number, events: number) => {
    const { before } = await server.ask<Filled>({ fill: events } satisfies ReplayServerQuestion);
    const live = new LiveSubscribers(LIVE, { port, path: PATH, from: events });
    await live.subscribed;
    await server.ask('start' satisfies ReplayServerQuestion);
    const question: ReplayQuestion = { port, path: PATH, before, retained: events, clients };
    const replayed = await client.ask<Replayed>(question);
    const cpuMs = await server.ask<number>('stop' satisfies ReplayServerQuestion);
    live.leave();
    if ('error' in replayed) throw new Error(`replays: ${replayed.error}`);
    return { ...replayed, cpuMs, latency: latencyOf(live.latencies) };
  };
  // Compilation must not be measured.
  await run(10, 5_000);
  const measured = await run(CLIENTS, retained);
  await client.stop();
  await server.stop();
  return measured;
}

function msOf(ns: number): string {
  return (ns / 1e6).toFixed(2);
}
