import type { Entry } from './entry';

/** The limits of a window; all apply together. */
export interface WindowLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
  /** Milliseconds. */
  readonly maxAgeMs: number | false;
}

type Compare = (a: string, b: string) => number;

/** The number of trimmed entries at the front of the array before the array is copied. */
const SLACK = 64;

/**
 * The newest entries of a log, in memory. Each entry has a position that never changes; the first entry ever pushed has
 * position 0. A cursor is the position of the entry that it reads next.
 */
export class Window {
  readonly #limits: WindowLimits;
  readonly #compare: Compare;
  #entries: Array<Entry | undefined> = [];
  /** The time of each push, on the clock of `performance.now()`; only with `maxAgeMs`. */
  #pushedAt: number[] = [];
  /** The number of trimmed entries at the front of the arrays. */
  #trimmed = 0;
  #head = 0;
  #bytes = 0;
  #before: string | undefined;

  /** @param before the id after which the window begins */
  constructor(limits: WindowLimits, compare: Compare, before: string) {
    this.#limits = limits;
    this.#compare = compare;
    this.#before = before;
  }

  /** The position of the oldest entry. */
  get first(): number {
    return this.#head - this.size;
  }

  /** The position after the newest entry. */
  get head(): number {
    return this.#head;
  }

  get maxEvents(): number {
    return this.#limits.maxEvents;
  }

  get size(): number {
    return this.#entries.length - this.#trimmed;
  }

  /** The id of the entry before the oldest one; `undefined` if that is not known. */
  get before(): string | undefined {
    return this.#before;
  }

  /** The newest entry. */
  get newest(): Entry | undefined {
    return this.#entries[this.#entries.length - 1];
  }

  /** The id of the newest entry, also if it was trimmed. */
  get headId(): string {
    return this.newest?.id ?? this.#before ?? '';
  }

  /** The id of the oldest entry that is not a gap; `null` if there is none. */
  get oldestId(): string | null {
    for (let position = this.first; position < this.#head; position++) {
      const entry = this.at(position);
      if (entry.kind !== 'gap') return entry.id;
    }
    return null;
  }

  /** @param position at least {@link Window.first}, below {@link Window.head} */
  at(position: number): Entry {
    return this.#entries[this.#entries.length - this.#head + position] as Entry;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    if (this.#limits.maxAgeMs !== false) this.#pushedAt.push(performance.now());
    this.#head++;
    this.#bytes += entry.bytes;
    this.trim();
  }

  /** Drops the oldest entries until all limits are met. */
  trim(): void {
    const { maxEvents, maxBytes, maxAgeMs } = this.#limits;
    while (this.size > 1 && (this.size > maxEvents || this.#bytes > maxBytes)) this.#shift();
    if (maxAgeMs === false) return;
    const oldest = performance.now() - maxAgeMs;
    while (this.size > 0 && (this.#pushedAt[this.#trimmed] as number) <= oldest) {
      // The closing entry is retained, so that late subscribers receive the end.
      if (this.size === 1 && this.newest?.kind !== 'event') return;
      this.#shift();
    }
  }

  /**
   * The position after the entry with this id.
   *
   * @returns `undefined` if no entry here has the id, and the entry before the oldest does not have it either
   */
  after(id: string): number | undefined {
    if (id === this.#before) return this.first;
    let low = this.first;
    let high = this.#head;
    // The first entry not before the id. A gap has the id of the entry before it, so that entry is found first.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.at(middle).id, id) < 0) low = middle + 1;
      else high = middle;
    }
    return low < this.#head && this.at(low).id === id ? low + 1 : undefined;
  }

  #shift(): void {
    const entry = this.#entries[this.#trimmed] as Entry;
    // The ids that are missing in a gap are unknown, so a cursor before the gap must read from the log.
    this.#before = entry.kind === 'gap' ? undefined : entry.id;
    this.#bytes -= entry.bytes;
    // Release the entry: the array keeps its slot until it is copied.
    this.#entries[this.#trimmed] = undefined;
    this.#trimmed++;
    if (this.#trimmed < SLACK || this.#trimmed < this.#entries.length / 2) return;
    this.#entries = this.#entries.slice(this.#trimmed);
    this.#pushedAt = this.#pushedAt.slice(this.#trimmed);
    this.#trimmed = 0;
  }
}
