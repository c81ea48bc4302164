import type { QuoteHead } from './quote';

/** What one subscriber received, and the faults in it. */
export interface Account {
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Received after a later event of the same publisher. */
  readonly late: number;
  /** A hash: equal for two subscribers that received the same events in the same order. */
  readonly order: number;
}

/** Counts one subscriber's events: whether each arrived once, and in its publisher's order. */
export class Tally {
  readonly #expected: number;
  /** For each publisher, the next expected number. */
  readonly #next: number[];
  /** For each publisher, the skipped numbers. */
  readonly #missing: Array<Set<number>>;
  #received = 0;
  #duplicated = 0;
  #late = 0;
  #order = 0;

  /** @param expected how many events of each publisher */
  constructor(publishers: number, expected: number) {
    this.#expected = expected;
    this.#next = new Array(publishers).fill(0);
    this.#missing = Array.from({ length: publishers }, () => new Set());
  }

  /** Whether all events have arrived. */
  get full(): boolean {
    return this.#received === this.#expected * this.#next.length;
  }

  take({ by, seq }: QuoteHead): void {
    const next = this.#next[by] ?? Number.NaN;
    if (!(seq < this.#expected) || Number.isNaN(next)) throw new RangeError(`Got an event ${by}:${seq}.`);
    if (seq < next) {
      this.#takeEarlier(by, seq);
      return;
    }
    for (let missed = next; missed < seq; missed++) this.#missing[by]?.add(missed);
    this.#next[by] = seq + 1;
    this.#count(by, seq);
  }

  account(): Account {
    const lost = this.#expected * this.#next.length - this.#received;
    return {
      received: this.#received,
      lost,
      duplicated: this.#duplicated,
      late: this.#late,
      order: this.#order,
    };
  }

  #takeEarlier(by: number, seq: number): void {
    if (!this.#missing[by]?.delete(seq)) {
      this.#duplicated++;
      return;
    }
    this.#late++;
    this.#count(by, seq);
  }

  #count(by: number, seq: number): void {
    this.#received++;
    this.#order = (Math.imul(this.#order, 31) + by * 1_000_003 + seq) | 0;
  }
}
