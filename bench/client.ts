import { type Counted, Hold, type HoldOrder } from './hold';
import { createLatencies, type Latencies, type Latency, latencyOf } from './latency';
import { readHttp2 } from './read-http2';
import { readStream } from './read-stream';
import { RECEIVED } from './received';
import { requestAll } from './request-all';
import { ROWS, type Row } from './rows';
import { Stall, type StallOrder } from './stall';
import { subscribeAll } from './subscribe-all';

/** A request of the parent process: one run of a row. If that is shared or held, the first answer is `'received'`. */
export interface ClientQuestion {
  readonly port: number;
  readonly row: string;
  readonly streams: number;
  readonly events: number;
}

/** The result, after the client has checked that every event arrived once and in order. */
export interface Seen {
  readonly events: number;
  /** From `yield` to the client; `undefined` where the events carry no time. */
  readonly latency?: Latency;
}

export interface Failed {
  readonly error: string;
}

export type ClientAnswer = Seen | typeof RECEIVED | Failed;

let hold: Hold | undefined;
let stall: Stall | undefined;

async function run(question: ClientQuestion): Promise<Seen> {
  const latencies = createLatencies();
  const counts = await readEach(question, latencies);
  const events = counts.reduce((sum, count) => sum + count, 0);
  return { events, latency: latencyOf(latencies) };
}

function readEach(question: ClientQuestion, latencies: Latencies): Promise<number[]> {
  const { route, reads, filtered, stalled, protocol } = rowOf(question);
  if (reads === 'first') return visitEach(question);
  if (reads === 'answers') return requestEach(question);
  if (protocol === 'http2') return readHttp2({ ...question, path: route.path });
  if (reads === 'all' && route.run === 'own') return readAll(question, latencies);
  const { port, streams, events } = question;
  const each = { port, path: route.path, events, gzip: false, leavesEarly: false, latencies };
  const onReceived = () => process.send?.(RECEIVED);
  if (stalled !== undefined) {
    stall = new Stall(each, streams, stalled, onReceived);
    return stall.counts;
  }
  if (reads === 'all') return subscribeAll({ each, streams, filtered, onReceived });
  hold = new Hold(each, streams, onReceived);
  return hold.counts;
}

function readAll(question: ClientQuestion, latencies: Latencies): Promise<number[]> {
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
    counts.push(
      await readStream({ port, path, events, gzip: false, leavesEarly: true, latencies: createLatencies() }),
    );
  }
  return counts;
}

function requestEach(question: ClientQuestion): Promise<number[]> {
  const { port, streams, events: requests } = question;
  const { path } = rowOf(question).route;
  return Promise.all(Array.from({ length: streams }, () => requestAll({ port, path, requests })));
}

function rowOf({ row: name }: ClientQuestion): Row {
  const row = ROWS.find((known) => known.name === name);
  if (row === undefined) throw new RangeError(`Expected the name of a row, got '${name}'.`);
  return row;
}

async function answer<Answer>(work: () => Promise<Answer> | undefined): Promise<Answer | Failed | undefined> {
  try {
    return await work();
  } catch (error) {
    return { error: String(error) };
  }
}

async function obey(order: HoldOrder | StallOrder): Promise<void> {
  if (order === 'leave') hold?.leave();
  else if (order === 'count') process.send?.(hold?.count() satisfies Counted | undefined);
  else process.send?.(await answer(() => stall?.resume()));
}

process.on('message', async (message: ClientQuestion | HoldOrder | StallOrder) => {
  if (typeof message === 'string') await obey(message);
  else process.send?.(await answer(() => run(message)));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
