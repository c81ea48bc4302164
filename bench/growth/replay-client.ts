import { EventCounter } from '../count-events';
import { OpenBody } from '../open-body';

/** A replay. */
export interface ReplayQuestion {
  readonly port: number;
  readonly path: string;
  /** The last event ID: the clients request everything after it. */
  readonly before: string;
  readonly retained: number;
  /** How many clients request it in parallel. */
  readonly clients: number;
}

/** How long it took until all clients had received everything, once and in order. */
export type Replayed = { readonly wallMs: number } | { readonly error: string };

async function replay(question: ReplayQuestion): Promise<Replayed> {
  const startedAt = performance.now();
  try {
    await Promise.all(Array.from({ length: question.clients }, () => readAll(question)));
    return { wallMs: performance.now() - startedAt };
  } catch (error) {
    return { error: String(error) };
  }
}

/** Reads until all retained events have arrived; live events may follow them. */
function readAll({ port, path, before, retained }: ReplayQuestion): Promise<void> {
  const counter = new EventCounter();
  return new Promise((resolve, reject) => {
    const { socket } = new OpenBody({ port, path, lastEventId: before }, (text) => {
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

process.on('message', async (question: ReplayQuestion) => process.send?.(await replay(question)));
process.on('disconnect', () => process.exit());
process.send?.('ready');
