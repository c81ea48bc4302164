import { Frames } from '../event-stream/frames';
import { type Batch, gather, isOver } from './batch';
import { Entry } from './entry';
import type { EventLog, Following, LogEntry, LogFollower, LogTip } from './event-log';
import { MemoryLog } from './memory-log';
import { type Link, Queue } from './queue';
import { awaitTurn, type Served } from './turns';
import { Window } from './window';

/** The part in memory of a log that is kept elsewhere is bounded by its number of events; this is a last resort. */
const MAX_BYTES = 64 * 2 ** 20;

/** So many events ahead of those who keep up, or a quarter of the log, a publisher that awaits waits for them. */
const MAX_LEAD = 100;

/** One reader, as its hub sees it. */
export interface Member extends Link {
  /** Called in a turn, when there may be something for it. It then joins one of the hub's queues, or none. */
  serve(): void;
  /** The window has come into being. */
  seek(): void;
  /** Whether the window no longer holds what comes next. */
  isPassed(first: number): boolean;
  onPassed(): void;
  fail(error: unknown): void;
  close(): void;
}

/**
 * What a channel is while somebody reads it: the newest part of its log in memory, and the readers, each of whom is a
 * position in it. Appending only makes those at the head fall behind; turns of the event loop then serve them, each
 * with one write of everything between its position and the head.
 */
export class Hub implements LogFollower, Served {
  readonly log: EventLog;
  /** Whether the window is all that there is, so that what it has passed is gone. */
  readonly complete: boolean;
  readonly #onEmpty: () => void;
  readonly #following: Following;
  readonly #readers = new Set<Member>();
  /** Those with something to read. */
  readonly #behind = new Queue<Member>();
  /** Those who have read everything. */
  readonly #idle = new Queue<Member>();
  /** Those whose clients have not taken the last write yet; the first to be passed by the log first. */
  readonly #stalled = new Queue<Member>();
  /** The runs that subscribers at the same place share, by position; of one slice. */
  readonly #batches = new Map<number, Batch>();
  readonly #singles = new Map<number, Frames>();
  /** Heard before the window had its beginning. */
  #heard: Array<{ readonly entries: readonly LogEntry[]; readonly missed: boolean }> = [];
  #window: Window | undefined;
  #lead = 0;
  #served: Promise<void> | undefined;
  #onServed: (() => void) | undefined;

  constructor(log: EventLog, onEmpty: () => void) {
    this.log = log;
    this.#onEmpty = onEmpty;
    this.complete = log instanceof MemoryLog;
    if (log instanceof MemoryLog) this.#window = log.window;
    this.#following = log.follow(this);
    if (this.#window === undefined) void this.#join();
  }

  /** The newest entries; `undefined` until the log has told where they begin. */
  get window(): Window | undefined {
    return this.#window;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** Where the log ends, as far as it was heard; `undefined` while that is not known. */
  tip(): LogTip | undefined {
    const window = this.#window;
    if (window === undefined) return undefined;
    const { last, lastId } = window;
    return { id: lastId, over: last !== undefined && isOver(last) };
  }

  /** Whether publishers are far ahead of readers who keep up. */
  get crowded(): boolean {
    const quarter = Math.ceil((this.#window?.maxEvents ?? 0) / 4);
    return this.#lead >= Math.min(MAX_LEAD, quarter);
  }

  /** Resolves when all who keep up have what was published so far. */
  served(): Promise<void> {
    this.#served ??= new Promise((resolve) => {
      this.#onServed = resolve;
    });
    return this.#served;
  }

  add(reader: Member): void {
    this.#readers.add(reader);
  }

  delete(reader: Member): void {
    reader.unlink();
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    this.#following.stop();
    this.#rest();
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

  onEntries(entries: readonly LogEntry[], missed: boolean): void | Promise<void> {
    const window = this.#window;
    if (window === undefined) {
      this.#heard.push({ entries, missed });
      return;
    }
    if (!this.complete) append(window, entries, missed);
    this.#lead += entries.length;
    this.#behind.pushAll(this.#idle);
    if (this.#behind.first === undefined) return this.#rest();
    awaitTurn(this);
    if (this.crowded) return this.served();
  }

  serve(most: number): number {
    this.#batches.clear();
    this.#singles.clear();
    this.#dropPassed();
    for (let served = 0; served < most; served++) {
      const reader = this.#behind.first;
      if (reader === undefined) {
        this.#rest();
        return served;
      }
      reader.unlink();
      reader.serve();
    }
    return most;
  }

  /** Everything from a position on, made once for all who stand there. */
  batchAt(position: number): Batch {
    const known = this.#batches.get(position);
    if (known !== undefined) return known;
    const made = gather((offset) => this.#entryAt(position + offset), undefined);
    this.#batches.set(position, made);
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
    const made = new Frames(this.#entryAt(position)?.frame ?? '');
    this.#singles.set(position, made);
    return made;
  }

  async #join(): Promise<void> {
    const { log } = this;
    try {
      const before = await this.#following.from;
      const bounds = { maxEvents: log.memoryEvents ?? 1_000, maxBytes: MAX_BYTES, maxAgeMs: false } as const;
      this.#window = new Window(bounds, (a, b) => log.compare(a, b), before);
      for (const { entries, missed } of this.#heard.splice(0)) void this.onEntries(entries, missed);
      for (const reader of this.#readers) reader.seek();
    } catch (error) {
      this.deleteAll((reader) => reader.fail(error));
    }
  }

  /** Nobody who keeps up is behind any more. */
  #rest(): void {
    this.#lead = 0;
    this.#batches.clear();
    this.#singles.clear();
    this.#onServed?.();
    this.#onServed = undefined;
    this.#served = undefined;
  }

  /** Readers that take nothing hear nothing, so somebody must see that the log has passed them. */
  #dropPassed(): void {
    const first = this.#window?.first ?? 0;
    for (let reader = this.#stalled.first; reader?.isPassed(first); reader = this.#stalled.first) {
      reader.unlink();
      reader.onPassed();
    }
  }
}

function append(window: Window, entries: readonly LogEntry[], missed: boolean): void {
  if (missed) window.push(Entry.gap({ lastEventId: window.lastId, oldest: entries[0]?.id ?? null }));
  for (const entry of entries) window.push(Entry.of(entry));
}
