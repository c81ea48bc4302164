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

/** The largest block: the approximate size of one write to a subscriber, before other subscribers have their turn. */
export const BLOCK_BYTES = 64 * 1024;

/**
 * The newest entries of a log, in memory. Each entry has a position that never changes; the first entry ever pushed has
 * position 0. A cursor is the position of the entry that it reads next.
 *
 * The entries form blocks of at most {@link BLOCK_BYTES}, or of one larger entry. Cursors that read to the end of a block
 * meet there, so that they share what they read next.
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
  /** The positions after the complete blocks. */
  #blockEnds: number[] = [];
  /** The bytes of the block that is not complete. */
  #blockBytes = 0;
  /** The positions at which the ids begin again lower, which a log does only after a gap. */
  #restarts: number[] = [];
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

  /** Whether no entry can follow. */
  get ended(): boolean {
    return this.newest?.isLast === true;
  }

  /** The number of events: without the closing entry, which no limit counts. */
  get events(): number {
    return this.ended ? this.size - 1 : this.size;
  }

  /** The newest entry. */
  get newest(): Entry | undefined {
    return this.#entries[this.#entries.length - 1];
  }

  /** The id of the newest entry, also if it was trimmed. */
  get headId(): string {
    return this.newest?.id ?? this.#before ?? '';
  }

  /** The id of the first entry from a position on that has an id at the client; a gap has none. */
  idFrom(position: number): string | null {
    for (let next = position; next < this.#head; next++) {
      const entry = this.at(next);
      if (entry.kind !== 'gap') return entry.id;
    }
    return null;
  }

  /** The id of the entry before a position; `undefined` if that is not known. */
  idBefore(position: number): string | undefined {
    return position > this.first ? this.at(position - 1).id : this.#before;
  }

  /** @param position at least {@link Window.first}, below {@link Window.head} */
  at(position: number): Entry {
    return this.#entries[this.#entries.length - this.#head + position] as Entry;
  }

  push(entry: Entry): void {
    const { newest } = this;
    if (newest?.kind === 'gap' && this.#compare(entry.id, newest.id) < 0) this.#restarts.push(this.#head);
    this.#entries.push(entry);
    if (this.#limits.maxAgeMs !== false) this.#pushedAt.push(performance.now());
    this.#addToBlock(entry.bytes);
    this.#head++;
    if (!entry.isLast) this.#bytes += entry.bytes;
    this.trim();
  }

  /** Drops the oldest entries until all limits are met. The newest event is retained whatever its size. */
  trim(): void {
    const { maxEvents, maxBytes, maxAgeMs } = this.#limits;
    if (this.#entries.length - this.#trimmed > maxEvents || this.#bytes > maxBytes) this.#trimToSize();
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
    let end = this.#head;
    for (let n = this.#restarts.length; n >= 0; n--) {
      const begin = n === 0 ? this.first : (this.#restarts[n - 1] as number);
      const position = this.#afterBetween(begin, end, id);
      if (position !== undefined) return position;
      end = begin;
    }
    return undefined;
  }

  /** The end of the block that contains a position; `undefined` in the block that is not complete. */
  blockEnd(position: number): number | undefined {
    const ends = this.#blockEnds;
    // Most cursors are at the head.
    if (position >= (ends[ends.length - 1] ?? 0)) return undefined;
    let low = 0;
    let high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ends[middle] as number) <= position) low = middle + 1;
      else high = middle;
    }
    return ends[low];
  }

  /** As {@link Window.after}, among entries whose ids ascend. */
  #afterBetween(begin: number, end: number, id: string): number | undefined {
    let low = begin;
    let high = end;
    // The first entry not before the id. A gap has the id of the entry before it, so that entry is found first.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.at(middle).id, id) < 0) low = middle + 1;
      else high = middle;
    }
    return low < end && this.at(low).id === id ? low + 1 : undefined;
  }

  /** Before the head advances to include an entry of this size. */
  #addToBlock(bytes: number): void {
    if (this.#blockBytes > 0 && this.#blockBytes + bytes > BLOCK_BYTES) this.#completeBlock(this.#head);
    this.#blockBytes += bytes;
    if (this.#blockBytes >= BLOCK_BYTES) this.#completeBlock(this.#head + 1);
  }

  #completeBlock(end: number): void {
    this.#blockEnds.push(end);
    this.#blockBytes = 0;
  }

  #trimToSize(): void {
    const { maxEvents, maxBytes } = this.#limits;
    while (this.events > 1 && (this.events > maxEvents || this.#bytes > maxBytes)) this.#shift();
  }

  #shift(): void {
    const entry = this.#entries[this.#trimmed] as Entry;
    // The ids that are missing in a gap are unknown, so a cursor before the gap must read from the log.
    this.#before = entry.kind === 'gap' ? undefined : entry.id;
    if (!entry.isLast) this.#bytes -= entry.bytes;
    // Release the entry: the array keeps its slot until it is copied.
    this.#entries[this.#trimmed] = undefined;
    this.#trimmed++;
    if ((this.#blockEnds[0] ?? this.#head) <= this.first) this.#blockEnds.shift();
    if ((this.#restarts[0] ?? this.#head) <= this.first) this.#restarts.shift();
    if (this.#trimmed < SLACK || this.#trimmed < this.#entries.length / 2) return;
    this.#entries = this.#entries.slice(this.#trimmed);
    this.#pushedAt = this.#pushedAt.slice(this.#trimmed);
    this.#trimmed = 0;
  }
}
