import type { Mark } from './quote';

/** What one subscriber got, and what was wrong with it. */
export interface Account {
  readonly received: number;
  readonly lost: number;
  readonly doubled: number;
  /** Got behind one that was published after it by the same process. */
  readonly late: number;
  /** The same for two subscribers that got the same events in the same order. */
  readonly order: number;
}

/** Keeps count of one subscriber's events: whether each came once, and in the order of its publisher. */
export class Tally {
  readonly #expected: number;
  /** Of each publisher, the number that is to come next. */
  readonly #next: number[];
  /** Of each publisher, those that were passed over. */
  readonly #missing: Array<Set<number>>;
  #received = 0;
  #doubled = 0;
  #late = 0;
  #order = 0;

  /** @param expected how many events of each publisher */
  constructor(publishers: number, expected: number) {
    this.#expected = expected;
    this.#next = new Array(publishers).fill(0);
    this.#missing = Array.from({ length: publishers }, () => new Set());
  }

  /** Whether nothing is to come. */
  get full(): boolean {
    return this.#received === this.#expected * this.#next.length;
  }

  take({ by, seq }: Mark): void {
    const next = this.#next[by] ?? Number.NaN;
    if (!(seq < this.#expected) || Number.isNaN(next)) throw new RangeError(`Got an event ${by}:${seq}.`);
    if (seq < next) return this.#takeEarlier(by, seq);
    for (let missed = next; missed < seq; missed++) this.#missing[by]?.add(missed);
    this.#next[by] = seq + 1;
    this.#count(by, seq);
  }

  account(): Account {
    const lost = this.#expected * this.#next.length - this.#received;
    return {
      received: this.#received,
      lost,
      doubled: this.#doubled,
      late: this.#late,
      order: this.#order,
    };
  }

  #takeEarlier(by: number, seq: number): void {
    if (!this.#missing[by]?.delete(seq)) {
      this.#doubled++;
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
