import type { Reading } from './read-stream';
import { subscribeAll } from './subscribe-all';

/** The parent's orders while streams are held: count the comments since the last count; or disconnect. */
export type HoldOrder = 'count' | 'leave';

export interface Counted {
  readonly comments: number;
  /** On the stream with the fewest. */
  readonly fewest: number;
}

/** Streams that stay open after their events, until {@link Hold.leave} closes them. */
export class Hold {
  /** The number of events of each stream, once all are closed. */
  readonly counts: Promise<number[]>;
  readonly #comments: number[];
  #leave: () => void = () => undefined;

  /** @param onReceived called when all streams have received all events */
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
