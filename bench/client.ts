import { type Counted, Hold, type HoldOrder } from './hold';
import { readStream } from './read-stream';
import { RECEIVED } from './received';
import { ROWS, type Row } from './rows';
import { subscribeAll } from './subscribe-all';

/** What the parent asks for: one run of a row. If that is shared or held, the first answer is `'received'`. */
export interface ClientQuestion {
  readonly port: number;
  readonly row: string;
  readonly streams: number;
  readonly events: number;
}

/** What the client saw, once it has checked that every event came once and in order. */
export interface Seen {
  readonly events: number;
  /** Sorted, in nanoseconds; empty where the events carry no time. */
  readonly latencies: readonly number[];
}

export interface Failed {
  readonly error: string;
}

export type ClientAnswer = Seen | typeof RECEIVED | Failed;

let hold: Hold | undefined;

async function run(question: ClientQuestion): Promise<Seen> {
  const latencies: number[] = [];
  const counts = await readEach(question, latencies);
  const events = counts.reduce((sum, count) => sum + count, 0);
  return { events, latencies: latencies.sort((a, b) => a - b) };
}

function readEach(question: ClientQuestion, latencies: number[]): Promise<number[]> {
  const { route, reads, filtered } = rowOf(question);
  if (reads === 'first') return visitEach(question);
  if (reads === 'all' && route.run === 'own') return readAll(question, latencies);
  const { port, streams, events } = question;
  const each = { port, path: route.path, events, gzip: false, leavesEarly: false, latencies };
  const onReceived = () => process.send?.(RECEIVED);
  if (reads === 'all') return subscribeAll({ each, streams, filtered, onReceived });
  hold = new Hold(each, streams, onReceived);
  return hold.counts;
}

function readAll(question: ClientQuestion, latencies: number[]): Promise<number[]> {
  const { port, streams, events } = question;
  const { route } = rowOf(question);
  const each = { port, path: route.path, events, gzip: route.compression === 'used', leavesEarly: false };
  return Promise.all(Array.from({ length: streams }, () => readStream({ ...each, latencies })));
}

async function visitEach(question: ClientQuestion): Promise<number[]> {
  const { port, streams, events } = question;
  const { path } = rowOf(question).route;
  const counts: number[] = [];
  while (counts.length < streams) {
    counts.push(await readStream({ port, path, events, gzip: false, leavesEarly: true, latencies: [] }));
  }
  return counts;
}

function rowOf({ row: name }: ClientQuestion): Row {
  const row = ROWS.find((known) => known.name === name);
  if (row === undefined) throw new RangeError(`Expected the name of a row, got '${name}'.`);
  return row;
}

async function answer(question: ClientQuestion): Promise<ClientAnswer> {
  try {
    return await run(question);
  } catch (error) {
    return { error: String(error) };
  }
}

function obey(order: HoldOrder): void {
  if (order === 'leave') hold?.leave();
  else process.send?.(hold?.count() satisfies Counted | undefined);
}

process.on('message', async (message: ClientQuestion | HoldOrder) => {
  if (typeof message === 'string') obey(message);
  else process.send?.(await answer(message));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
