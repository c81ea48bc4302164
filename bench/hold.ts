import type { Reading } from './read-stream';
import { subscribeAll } from './subscribe-all';

/** What the parent says while streams are held: how many comments have come since it last asked; and leave. */
export type HoldOrder = 'count' | 'leave';

export interface Counted {
  readonly comments: number;
  /** Of the stream that got the fewest. */
  readonly fewest: number;
}

/** Streams that stay open after their events, until they are told to leave. */
export class Hold {
  /** The number of events of each stream, once all have left. */
  readonly counts: Promise<number[]>;
  readonly #comments: number[];
  #leave: () => void = () => undefined;

  /** @param onReceived everybody has got all events */
  constructor(each: Reading, streams: number, onReceived: () => void) {
    this.#comments = new Array<number>(streams).fill(0);
    const held = new Promise<void>((resolve) => {
      this.#leave = resolve;
    });
    this.counts = subscribeAll({
      each: { ...each, leavesEarly: true, held },
      streams,
      filtered: false,
      onReceived,
      onComment: (stream) => {
        this.#comments[stream] = (this.#comments[stream] ?? 0) + 1;
      },
    });
  }

  count(): Counted {
    const comments = this.#comments.reduce((sum, count) => sum + count, 0);
    const fewest = Math.min(...this.#comments);
    this.#comments.fill(0);
    return { comments, fewest };
  }

  leave(): void {
    this.#leave();
  }
}
