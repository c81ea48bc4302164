import { outsideRequests } from '../async-context';
import { Entry } from '../log/entry';
import type { EventLog } from '../log/event-log';
import type { Entries } from './batch';
import { BatchCache, type OnUsed } from './frame-cache';

/** The number of entries read from the log at a time. */
const PAGE = 200;

/** Older entries, read from a log that this process does not hold in memory. */
export class Page implements Entries {
  /** The id that it follows. */
  readonly after: string;
  readonly entries: readonly Entry[];
  /** Whether entries are missing before these. */
  readonly gap: boolean;
  readonly batches: BatchCache;

  constructor(after: string, entries: readonly Entry[], gap: boolean, onUsed: OnUsed) {
    this.after = after;
    this.entries = entries;
    this.gap = gap;
    this.batches = new BatchCache(onUsed);
  }

  get length(): number {
    return this.entries.length;
  }

  get lastId(): string {
    return this.entries[this.entries.length - 1]?.id ?? this.after;
  }

  at(position: number): Entry {
    return this.entries[position] as Entry;
  }

  /** The position after an entry; `undefined` if the id is not in the page. */
  positionAfter(id: string, compare: (a: string, b: string) => number): number | undefined {
    if (id === this.after && !this.gap) return 0;
    if (compare(id, this.at(0).id) < 0 || !(compare(id, this.lastId) < 0)) return undefined;
    const index = this.entries.findIndex((entry) => entry.id === id);
    return index < 0 ? undefined : index + 1;
  }
}

/** Where a cursor continues in a page. */
export interface PagePosition {
  readonly page: Page;
  readonly position: number;
  /** Whether entries are missing before this position. */
  readonly gap: boolean;
}

/**
 * Reads pages of a log for all cursors: those that ask for the same page at a time share it, and a cursor joins a page that
 * another one still reads.
 */
export class Pages {
  readonly #log: EventLog;
  readonly #onUsed: OnUsed;
  /** The pages that are being read, by the id that they follow. */
  readonly #reading = new Map<string, Promise<Page>>();
  /** Those that were read, for as long as a cursor has them. */
  #inUse: Array<WeakRef<Page>> = [];

  constructor(log: EventLog, onUsed: OnUsed) {
    this.#log = log;
    this.#onUsed = onUsed;
  }

  /** @param after the id of an entry; `''` for everything from the oldest retained one */
  async after(after: string): Promise<PagePosition> {
    const joined = this.#inUseAfter(after);
    if (joined !== undefined) return joined;
    const page = await this.#read(after);
    return { page, position: 0, gap: page.gap };
  }

  #inUseAfter(id: string): PagePosition | undefined {
    const compare = (a: string, b: string) => this.#log.compare(a, b);
    for (const reference of this.#inUse) {
      const page = reference.deref();
      const position = page?.positionAfter(id, compare);
      if (page !== undefined && position !== undefined) return { page, position, gap: false };
    }
    return undefined;
  }

  #read(after: string): Promise<Page> {
    const known = this.#reading.get(after);
    if (known !== undefined) return known;
    const reading = outsideRequests(() => this.#readNew(after)).finally(() => this.#reading.delete(after));
    this.#reading.set(after, reading);
    return reading;
  }

  async #readNew(after: string): Promise<Page> {
    const { entries, gap } = await this.#log.read(after, PAGE);
    const page = new Page(after, entries.map(Entry.of), gap, this.#onUsed);
    this.#inUse = this.#inUse.filter((reference) => reference.deref() !== undefined);
    if (entries.length > 0) this.#inUse.push(new WeakRef(page));
    return page;
  }
}
