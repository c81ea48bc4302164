import { Child, CORES } from '../child';
import { quantile } from '../quantile';
import { LiveSubscribers } from './live';
import type { Replayed, ReplayQuestion } from './replay-client';
import type { Filled, ReplayServerQuestion } from './replay-server';
import type { Point, Series } from './series';

const PATH = '/replay';
const RETAINED = [1_000, 10_000, 100_000];

/** How many come back at once, and want everything. */
const CLIENTS = 100;

/** How many have been there all along, and go on getting what is published. */
const LIVE = 10;

/** What it costs to give 100 clients at once all that is retained, while events go on being published. */
export async function replays(): Promise<Series> {
  const points: Point[] = [];
  const notes: string[] = [];
  for (const retained of RETAINED) {
    const { cpuMs, wallMs, latencies } = await replay(retained);
    const events = retained * CLIENTS;
    points.push({ work: events, cost: cpuMs });
    const [p50, p99] = [0.5, 0.99].map((share) => (quantile(latencies, share) / 1e6).toFixed(2));
    notes.push(
      `${events.toLocaleString('en')} replayed: ${((cpuMs * 1_000) / events).toFixed(2)} µs each, ` +
        `${(events / wallMs / 1_000).toFixed(2)} million/s; live meanwhile p50 ${p50} ms, p99 ${p99} ms of ${latencies.length}`,
    );
  }
  return { name: 'replays', work: 'events replayed', cost: 'CPU ms for all of them', points, notes };
}

async function replay(retained: number) {
  const { child: server, greeting: port } = await Child.start<number>(
    'growth/replay-server.ts',
    CORES.server,
  );
  const { child: client } = await Child.start('growth/replay-client.ts', CORES.client);
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
    return { ...replayed, cpuMs, latencies: live.latencies.sort((a, b) => a - b) };
  };
  // What is compiled meanwhile is not measured.
  await run(10, 5_000);
  const measured = await run(CLIENTS, retained);
  await client.stop();
  await server.stop();
  return measured;
}
