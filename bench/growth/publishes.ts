import { startServer } from '../processes';
import type { PublishQuestion } from './publish-server';
import type { Point, Series } from './series';

const CHANNELS = [1, 100, 10_000];

/** The total at each size, so that each takes long enough to be measured. */
const PUBLISHES = 400_000;

/** The cost of an event on each of a growing number of channels, which all have a subscriber in the same process. */
export async function publishes(): Promise<Series> {
  const points: Point[] = [];
  for (const channels of CHANNELS) points.push(await pointAt(channels));
  const each = points.map(({ work, cost }) => `${((cost * 1_000) / work).toFixed(2)} µs at ${work}`);
  return {
    name: 'publishes',
    work: 'channels',
    cost: 'CPU ms for an event on each',
    points,
    notes: [`a publish, with its delivery in the process: ${each.join(', ')}`],
  };
}

async function pointAt(channels: number): Promise<Point> {
  const { child } = await startServer('growth/publish-server.ts');
  const rounds = PUBLISHES / channels;
  const question: PublishQuestion = { channels, rounds };
  const cpuMs = await child.ask<number>(question);
  await child.stop();
  return { work: channels, cost: cpuMs / rounds };
}
