import { type Reading, readStream } from './read-stream';
import { symbolAt } from './sources';

export interface Subscriptions {
  readonly each: Reading;
  readonly streams: number;
  /** How many subscribers the run has altogether, if there are others; `streams` by default. */
  readonly expected?: number;
  /** Whether each requests one symbol only. */
  readonly filtered: boolean;
  /** Called when all streams have received all events. */
  onReceived(): void;
  /** Called for each comment, with the stream's number. */
  readonly onComment?: (stream: number) => void;
}

/** How many connect at a time: 10,000 in parallel would overflow the accept queue of the server's socket. */
const CONNECTING = 100;

/**
 * Reads the same run over many connections.
 *
 * @returns the number of events of each, once all are closed
 */
export function subscribeAll({
  each,
  streams,
  expected = streams,
  filtered,
  onReceived,
  onComment,
}: Subscriptions): Promise<number[]> {
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
      const onOwnComment = onComment === undefined ? undefined : () => onComment(stream);
      readStream({ ...each, shared: { ...shared, symbol }, onComment: onOwnComment }).then(onClosed, reject);
    }
    for (let connecting = 0; connecting < CONNECTING; connecting++) start();
  });
}
