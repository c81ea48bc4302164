import { Frames } from '../format/frames';
import type { LogEntry } from '../log/entry';
import { Entry } from '../log/entry';
import type { EventLog, LogHead, LogSubscriber, LogSubscription } from '../log/event-log';
import { Window } from '../log/window';
import { awaitTurn, noteEvent, type Served } from '../round-robin';
import { type Batch, gather, isOver } from './batch';
import { Link, ReadyQueue } from './ready-queue';

/** The part in memory of a log that is kept elsewhere is bounded by its number of events; this is a last resort. */
const MAX_BYTES = 64 * 2 ** 20;

/** After so many events, or a quarter of the log, a publisher that awaits waits for those who keep up. */
const MAX_LEAD = 100;

/** Stands in the queue of those behind; when its turn comes, all who were in front of it have been served. */
class Mark extends Link {
  readonly reached: Promise<void>;
  #onReached!: () => void;

  constructor() {
    super();
    this.reached = new Promise((resolve) => {
      this.#onReached = resolve;
    });
  }

  serve(): number {
    this.#onReached();
    return 0;
  }
}

/** One reader, as its hub sees it. */
export interface Member extends Link {
  /**
   * Called in a turn, when there may be something for it. It then joins one of the hub's queues, or none.
   *
   * @returns how much work that was: one for a write, and more for a filter that looked at much
   */
  serve(): number;
  /** The window has come into being. */
  seek(): void;
  /** Whether the log has gone past it, so that it is to be disconnected. */
  isTooSlow(first: number): boolean;
  /** It has been too slow, and is to come again. */
  overflow(): void;
  fail(error: unknown): void;
  close(): void;
}

/**
 * What a channel is while somebody reads it: the newest part of its log in memory, and the readers, each of whom is a
 * position in it. Appending only makes those at the head fall behind; turns of the event loop then serve them, each
 * with one write of everything between its position and the head.
 */
export class Hub implements LogSubscriber, Served {
  readonly log: EventLog;
  /** Whether the window is all that there is, so that what it has passed is gone. */
  readonly complete: boolean;
  readonly #onEmpty: () => void;
  readonly #following: LogSubscription;
  readonly #readers = new Set<Member>();
  /** Those with something to read. */
  readonly #behind = new ReadyQueue<Member | Mark>();
  /** Those who have read everything. */
  readonly #idle = new ReadyQueue<Member>();
  /** Those whose clients have not taken the last write yet. */
  readonly #stalled = new ReadyQueue<Member>();
  /** The runs that subscribers at the same place share, by position; of one slice. */
  readonly #batches = new Map<number, Batch>();
  readonly #singles = new Map<number, Frames>();
  /** Heard before the window had its beginning. */
  #heard: Array<{ readonly entries: readonly LogEntry[]; readonly missed: boolean }> = [];
  #window: Window | undefined;
  /** The newest id that was published here. */
  #publishedId = '';
  #over = false;
  #inTurn = false;
  /** How many events have come since the last mark. */
  #lead = 0;
  #mark: Mark | undefined;
  /** From which position of the window's beginning on the stalled ones are looked at again. */
  #nextLook = 0;

  constructor(log: EventLog, onEmpty: () => void) {
    this.log = log;
    this.#onEmpty = onEmpty;
    this.complete = log.window !== undefined;
    this.#window = log.window;
    this.#following = log.subscribe(this);
    if (this.#window === undefined) void this.#join();
  }

  /** The newest entries; `undefined` until the log has told where they begin. */
  get window(): Window | undefined {
    return this.#window;
  }

  get size(): number {
    return this.#readers.size;
  }

  /**
   * Where the log ends, as far as it was heard; `undefined` while that is not known. What was published here may not have
   * been heard here yet, and is no news to who subscribes now.
   */
  tip(): LogHead | undefined {
    const window = this.#window;
    if (window === undefined) return undefined;
    const { newest: last, headId: lastId } = window;
    const isAhead = this.log.compare(this.#publishedId, lastId) > 0;
    return {
      id: isAhead ? this.#publishedId : lastId,
      ended: this.#over || (last !== undefined && isOver(last)),
    };
  }

  /** An event was published here. The answers of a log that takes its time may come in another order. */
  notePublished(id: string): void {
    if (this.complete || !(this.log.compare(id, this.#publishedId) < 0)) this.#publishedId = id;
  }

  /** The log was ended here. */
  noteOver(): void {
    this.#over = true;
  }

  /** Resolves when all who keep up have what was published so far; `undefined` if publishers are not far ahead. */
  get crowded(): Promise<void> | undefined {
    return this.#mark?.reached;
  }

  add(reader: Member): void {
    this.#readers.add(reader);
  }

  delete(reader: Member): void {
    reader.unlink();
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    this.#following.close();
    this.#reachMark();
    this.#onEmpty();
  }

  /** Ends all readers; `end` is called with each. */
  deleteAll(end: (reader: Member) => void): void {
    for (const reader of this.#readers) end(reader);
  }

  /** This reader has something to read, or may have. */
  wake(reader: Member): void {
    this.#behind.push(reader);
    awaitTurn(this);
  }

  /** This reader waits for what will be appended. */
  idle(reader: Member): void {
    this.#idle.push(reader);
  }

  /** This reader takes nothing for now. */
  stall(reader: Member): void {
    this.#stalled.push(reader);
  }

  onEntries(entries: readonly LogEntry[], missed: boolean): Promise<void> | undefined {
    const window = this.#window;
    if (window === undefined) {
      this.#heard.push({ entries, missed });
      return undefined;
    }
    if (!this.complete) append(window, entries, missed);
    noteEvent();
    this.#behind.pushAll(this.#idle);
    const isBehind = this.#behind.first !== undefined;
    if (isBehind || window.first >= this.#nextLook) awaitTurn(this);
    if (isBehind) this.#count(entries.length, window);
    return this.crowded;
  }

  serve(most: number): number {
    this.#inTurn = true;
    try {
      this.#dropSlow();
      const served = this.#serveBehind(most);
      return this.#behind.first === undefined ? Math.min(served, most) : most;
    } finally {
      this.#inTurn = false;
      this.#batches.clear();
      this.#singles.clear();
    }
  }

  #serveBehind(most: number): number {
    let served = 0;
    for (let next = this.#behind.first; next !== undefined && served < most; next = this.#behind.first) {
      next.unlink();
      if (next === this.#mark) this.#reachMark();
      else served += next.serve();
    }
    return served;
  }

  /** Everything from a position on, made once for all who stand there. */
  batchAt(position: number): Batch {
    const known = this.#batches.get(position);
    if (known !== undefined) return known;
    const made = gather((offset) => this.#entryAt(position + offset), undefined);
    if (this.#inTurn) this.#batches.set(position, made);
    return made;
  }

  /** The same as far as a reader's filter lets it through. */
  filteredAt(position: number, accepts: (entry: Entry) => boolean): Batch {
    return gather(
      (offset) => this.#entryAt(position + offset),
      accepts,
      (offset) => this.#singleAt(position + offset),
    );
  }

  #entryAt(position: number): Entry | undefined {
    const window = this.#window;
    return window !== undefined && position < window.head ? window.at(position) : undefined;
  }

  #singleAt(position: number): Frames {
    const known = this.#singles.get(position);
    if (known !== undefined) return known;
    const made = new Frames(this.#entryAt(position)?.frame ?? '', 1);
    if (this.#inTurn) this.#singles.set(position, made);
    return made;
  }

  async #join(): Promise<void> {
    const { log } = this;
    try {
      const before = await this.#following.from;
      const bounds = { maxEvents: log.cacheSize ?? 1_000, maxBytes: MAX_BYTES, maxAgeMs: false } as const;
      this.#window = new Window(bounds, (a, b) => log.compare(a, b), before);
      for (const { entries, missed } of this.#heard.splice(0)) void this.onEntries(entries, missed);
      for (const reader of this.#readers) reader.seek();
    } catch (error) {
      this.deleteAll((reader) => reader.fail(error));
    }
  }

  #count(events: number, { maxEvents }: Window): void {
    this.#lead += events;
    if (this.#mark !== undefined || this.#lead < Math.min(MAX_LEAD, maxEvents / 4)) return;
    this.#mark = new Mark();
    this.#behind.push(this.#mark);
  }

  #reachMark(): void {
    this.#lead = 0;
    this.#mark?.unlink();
    this.#mark?.serve();
    this.#mark = undefined;
  }

  /** Readers that take nothing hear nothing, so somebody must see that the log has gone past them; now and then. */
  #dropSlow(): void {
    const window = this.#window;
    if (window === undefined || window.first < this.#nextLook) return;
    this.#nextLook = window.first + Math.max(1, Math.floor(window.maxEvents / 4));
    for (const reader of this.#stalled.items()) {
      if (reader.isTooSlow(window.first)) reader.overflow();
    }
  }
}

function append(window: Window, entries: readonly LogEntry[], missed: boolean): void {
  if (missed) window.push(Entry.gap({ lastEventId: window.headId, oldest: entries[0]?.id ?? null }));
  for (const entry of entries) window.push(Entry.of(entry));
}
