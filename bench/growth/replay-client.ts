import { EventCounter } from '../count-events';
import { OpenBody } from '../open-body';

/** What is to be replayed. Answered when those who are there all along are subscribed. */
export interface ReplayQuestion {
  readonly port: number;
  /** The id behind which everything is wanted. */
  readonly before: string;
  readonly retained: number;
  /** How many want that at once. */
  readonly clients: number;
  /** How many get only what is published meanwhile. */
  readonly live: number;
}

/** What was seen, once it is certain that everybody got everything once and in order. */
export interface Seen {
  readonly wallMs: number;
  /** From publishing to the live clients, sorted; in nanoseconds. */
  readonly latencies: readonly number[];
}

export type Replayed = Seen | { readonly error: string };

const PATH = '/replay';

let question: ReplayQuestion | undefined;
let live: readonly OpenBody[] = [];
let latencies: number[] = [];

/** Subscribes those who are there all along. */
async function prepare(asked: ReplayQuestion): Promise<'ready'> {
  question = asked;
  latencies = [];
  const opened = Array.from({ length: asked.live }, () => subscribe(asked));
  live = await Promise.all(opened);
  return 'ready';
}

/** Resolves with the first bytes, an id that says where in the log it begins. */
function subscribe({ port, retained }: ReplayQuestion): Promise<OpenBody> {
  const counter = new EventCounter(latencies);
  counter.events = retained;
  return new Promise((resolve, reject) => {
    const body = new OpenBody({ port, path: PATH }, (text) => {
      counter.take(text);
      resolve(body);
    });
    body.socket.on('error', reject);
  });
}

async function replay(): Promise<Replayed> {
  if (question === undefined) return { error: 'Expected to be told what to replay.' };
  const { clients } = question;
  const startedAt = performance.now();
  const asked = question;
  try {
    await Promise.all(Array.from({ length: clients }, () => readAll(asked)));
    return { wallMs: performance.now() - startedAt, latencies: latencies.sort((a, b) => a - b) };
  } catch (error) {
    return { error: String(error) };
  } finally {
    for (const { socket } of live) socket.destroy();
  }
}

/** Reads until everything that was retained has come, and whatever was published in the same moment. */
function readAll({ port, before, retained }: ReplayQuestion): Promise<void> {
  const counter = new EventCounter([]);
  return new Promise((resolve, reject) => {
    const { socket } = new OpenBody({ port, path: PATH, lastEventId: before }, (text) => {
      counter.take(text);
      if (counter.events >= retained) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (counter.events >= retained) return resolve();
      reject(new Error(`Expected ${retained} events, got ${counter.events}.`));
    });
  });
}

process.on('message', async (message: ReplayQuestion | 'replay') => {
  process.send?.(message === 'replay' ? await replay() : await prepare(message));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
