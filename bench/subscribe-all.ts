import { type Reading, readStream } from './read-stream';
import { symbolAt } from './sources';

export interface Subscribing {
  readonly each: Reading;
  readonly streams: number;
  /** How many there are with those that somebody else connects; without it, these alone. */
  readonly expected?: number;
  /** Whether each asks for one symbol alone. */
  readonly filtered: boolean;
  /** Everybody has got all events. */
  onReceived(): void;
  /** A comment has come to this one of them. */
  readonly onComment?: (stream: number) => void;
}

/** So many connect at a time: all of 10,000 at once would overflow the queue of the server's socket. */
const CONNECTING = 100;

/**
 * Reads the same run over many connections.
 *
 * @returns the number of events of each, when all are closed
 */
export function subscribeAll({
  each,
  streams,
  expected = streams,
  filtered,
  onReceived,
  onComment,
}: Subscribing): Promise<number[]> {
  const counts: number[] = [];
  let started = 0;
  let receiving = streams;
  return new Promise((resolve, reject) => {
    const shared = {
      streams: expected,
      onOpen: start,
      onReceived: () => {
        if (--receiving === 0) onReceived();
      },
    };
    const onClosed = (count: number) => {
      if (counts.push(count) === streams) resolve(counts);
    };
    function start(): void {
      if (started === streams) return;
      const stream = started++;
      const symbol = filtered ? symbolAt(stream) : undefined;
      const heard = onComment === undefined ? undefined : () => onComment(stream);
      readStream({ ...each, shared: { ...shared, symbol }, onComment: heard }).then(onClosed, reject);
    }
    for (let connecting = 0; connecting < CONNECTING; connecting++) start();
  });
}
