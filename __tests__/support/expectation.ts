import type { Gap } from '../../lib';

/** An event that a client received. */
export interface Received {
  readonly type: string | undefined;
  readonly id: string | undefined;
  readonly data: unknown;
}

/**
 * Checks what one browser receives from a channel of the numbers 0, 1, 2 …, across all of its connections: each number
 * once and in order, or a `gap` before a jump. Keeps the last event ID, as a browser does.
 */
export class Expectation {
  lastEventId = '';
  /** The number that must come next. */
  next = 0;
  readonly #accepts: (number: number) => boolean;
  /** The gap received directly before `next`. */
  #gap: Gap | undefined;

  /** @param accepts the filter of the client's route */
  constructor(accepts: (number: number) => boolean = () => true) {
    this.#accepts = accepts;
    this.startAt(0);
  }

  /** The position of a new subscriber: it must not receive an earlier number. */
  startAt(number: number): void {
    this.next = number;
    while (!this.#accepts(this.next)) this.next++;
  }

  /** Call when a connection ends. Discards a gap that no event has followed. */
  onDisconnect(): void {
    this.#gap = undefined;
  }

  /** @throws if the event is not the expected one */
  take({ type, id, data }: Received): void {
    if (type === 'gap') {
      this.#onGap(data as Gap);
      return;
    }
    const number = data as number;
    if (this.#gap === undefined && number !== this.next)
      throw new Error(`Expected ${this.next}, got ${number}.`);
    if (this.#gap !== undefined) this.#checkGap(this.#gap, number, id);
    this.#gap = undefined;
    this.startAt(number + 1);
    this.lastEventId = id ?? '';
  }

  #onGap(gap: Gap): void {
    if (this.lastEventId !== '' && gap.lastEventId !== this.lastEventId) {
      throw new Error(`Expected a gap after '${this.lastEventId}', got one after '${gap.lastEventId}'.`);
    }
    this.#gap = gap;
  }

  /** The gap names the next event, unless the filter rejects that event. */
  #checkGap({ oldest }: Gap, number: number, id: string | undefined): void {
    if (number < this.next) throw new Error(`Expected ${this.next} or later, got ${number} again.`);
    if (this.#accepts(number - 1) && oldest !== null && oldest !== id) {
      throw new Error(`Expected '${oldest}' after the gap, got '${id}'.`);
    }
  }
}
