import type { Child } from '../../tools/child';
import type { Adapter } from '../adapter';
import { adapterNamed } from '../adapters';
import { ROWS, type Row } from '../rows';
import { takeSample } from '../sample';
import type { Point, Series } from './series';

const SUBSCRIBERS = [100, 1_000, 10_000];

/** The total at each size, so that each takes long enough to be measured. */
const DELIVERIES = 600_000;

/** The cost of one published event with a growing number of subscribers, which all receive it. */
export async function deliveries(client: Child): Promise<Series> {
  const adapter = adapterNamed('express-yield-app');
  const points: Point[] = [];
  for (const subscribers of SUBSCRIBERS) points.push(await pointAt(subscribers, adapter, client));
  const perDelivery = points.map(({ work, cost }) => `${((cost * 1_000) / work).toFixed(2)} µs at ${work}`);
  return {
    name: 'deliveries',
    work: 'subscribers',
    cost: 'CPU ms for an event to all',
    points,
    notes: [`a delivery: ${perDelivery.join(', ')}`],
  };
}

async function pointAt(subscribers: number, adapter: Adapter, client: Child): Promise<Point> {
  const events = DELIVERIES / subscribers;
  const row: Row = { ...rowNamed('broadcast'), streams: subscribers, events };
  const { values } = await takeSample(adapter, row, 1, client);
  return { work: subscribers, cost: ((values['CPU µs/delivery'] ?? Number.NaN) * subscribers) / 1_000 };
}

function rowNamed(name: string): Row {
  const row = ROWS.find((known) => known.name === name);
  if (row === undefined) throw new RangeError(`Expected the name of a row, got '${name}'.`);
  return row;
}
