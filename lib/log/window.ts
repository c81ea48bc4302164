import type { Entry } from './entry';
import type { EventLog } from './event-log';

/** How much a window holds; whatever comes first counts. */
export interface WindowBounds {
  readonly maxEvents: number;
  readonly maxBytes: number;
  /** Milliseconds. */
  readonly maxAgeMs: number | false;
}

/** Room for so many trimmed entries is left in front before the array is moved up. */
const SLACK = 64;

/**
 * The newest entries of a log, in memory, each at a position that never changes: the first that was ever pushed at 0.
 * A cursor is the position of the entry that comes next.
 */
export class Window {
  readonly #bounds: WindowBounds;
  readonly #compare: EventLog['compare'];
  #entries: Array<Entry | undefined> = [];
  /** When each was pushed, on the clock of `performance.now()`; only with `maxAgeMs`. */
  #pushedAt: number[] = [];
  /** How many at the front of the arrays have been trimmed. */
  #trimmed = 0;
  #head = 0;
  #bytes = 0;
  #before: string | undefined;

  /** @param before the id behind which the window begins */
  constructor(bounds: WindowBounds, compare: EventLog['compare'], before: string) {
    this.#bounds = bounds;
    this.#compare = compare;
    this.#before = before;
  }

  /** The position of the oldest entry. */
  get first(): number {
    return this.#head - this.size;
  }

  /** The position behind the newest entry. */
  get head(): number {
    return this.#head;
  }

  get maxEvents(): number {
    return this.#bounds.maxEvents;
  }

  get size(): number {
    return this.#entries.length - this.#trimmed;
  }

  /** The id of the entry in front of the oldest one; `undefined` if that is not known. */
  get before(): string | undefined {
    return this.#before;
  }

  /** The newest entry. */
  get last(): Entry | undefined {
    return this.#entries[this.#entries.length - 1];
  }

  /** The id of the newest entry, also if it was trimmed. */
  get lastId(): string {
    return this.last?.id ?? this.#before ?? '';
  }

  /** The oldest entry with an id that the client will see; a gap has none. */
  get oldestId(): string | null {
    for (let position = this.first; position < this.#head; position++) {
      const entry = this.at(position);
      if (entry.kind !== 'gap') return entry.id;
    }
    return null;
  }

  /** @param position from {@link Window.first} to before {@link Window.head} */
  at(position: number): Entry {
    return this.#entries[this.#entries.length - this.#head + position] as Entry;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    if (this.#bounds.maxAgeMs !== false) this.#pushedAt.push(performance.now());
    this.#head++;
    this.#bytes += entry.bytes;
    this.trim();
  }

  /** Drops the oldest entries until the bounds hold. */
  trim(): void {
    const { maxEvents, maxBytes, maxAgeMs } = this.#bounds;
    while (this.size > 1 && (this.size > maxEvents || this.#bytes > maxBytes)) this.#shift();
    if (maxAgeMs === false) return;
    const oldest = performance.now() - maxAgeMs;
    while (this.size > 0 && (this.#pushedAt[this.#trimmed] as number) <= oldest) {
      // Those who come after the end are to learn of it however late they are.
      if (this.size === 1 && this.last?.kind !== 'event') return;
      this.#shift();
    }
  }

  /**
   * Where a reader goes on that has seen the entry with this id last.
   *
   * @returns `undefined` if it is neither the id of an entry here nor that of the one in front
   */
  after(id: string): number | undefined {
    if (id === this.#before) return this.first;
    let low = this.first;
    let high = this.#head;
    // The first entry that does not come before the id. A gap has the id of the entry in front of it, so that comes first.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.at(middle).id, id) < 0) low = middle + 1;
      else high = middle;
    }
    return low < this.#head && this.at(low).id === id ? low + 1 : undefined;
  }

  #shift(): void {
    const entry = this.#entries[this.#trimmed] as Entry;
    // What was lost in a gap cannot be told, so who comes from there asks the log.
    this.#before = entry.kind === 'gap' ? undefined : entry.id;
    this.#bytes -= entry.bytes;
    // The array must not keep it alive.
    this.#entries[this.#trimmed] = undefined;
    this.#trimmed++;
    if (this.#trimmed < SLACK || this.#trimmed < this.#entries.length / 2) return;
    this.#entries = this.#entries.slice(this.#trimmed);
    this.#pushedAt = this.#pushedAt.slice(this.#trimmed);
    this.#trimmed = 0;
  }
}
