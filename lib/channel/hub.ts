import type { Serialize } from '../format/serialize';
import { Entry, type LogEntry, type Parse } from '../log/entry';
import type { EventLog, LogHead, LogSubscriber, LogSubscription } from '../log/event-log';
import { Window } from '../log/window';
import { collect, collectMapped, collectView, type Entries } from './batch';
import { type Cursor, type CursorHub, Placement } from './cursor';
import { type Deliverable, notePublish, scheduleDelivery } from './deliveries';
import { type Batch, BatchCache, SingleCache, type TurnCache } from './frame-cache';
import { type MapLane, MapLanes } from './lane';
import { type Page, Pages } from './pages';
import { ParsedEvents } from './parsed-events';
import { Link, ReadyQueue } from './ready-queue';
import { ReplayLimit } from './replay-limit';
import { scanClock } from './scan-clock';
import { View, type ViewSteps } from './view';

/** The limit of a cached window in bytes, for very large events. Usually its number of events is reached first. */
const MAX_BYTES = 64 * 2 ** 20;

/** After this many events, or a quarter of the window if that is fewer, `publish()` waits for the ready subscribers. */
const HIGH_WATER_MARK = 100;

/** The options of a channel that its hub needs. */
export interface HubOptions {
  readonly maxReplayEvents: number | false;
  readonly serialize: Serialize;
  readonly parse: Parse;
}

/** A barrier in the ready queue: it is reached when every subscriber queued before it has been served. */
class Barrier extends Link {
  readonly reached: Promise<void>;
  #resolve!: () => void;

  constructor() {
    super();
    this.reached = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  resolve(): void {
    this.#resolve();
  }
}

/**
 * The state of a channel while it has subscribers: the newest part of its log in memory, and a cursor for each subscriber.
 * Publishing only makes the idle cursors ready. Turns of the event loop then deliver to them, each with one write of
 * everything between its cursor and the head.
 *
 * Only the hub puts cursors into its queues and takes them out.
 */
export class Hub implements LogSubscriber, CursorHub, Deliverable {
  readonly log: EventLog;
  readonly complete: boolean;
  readonly events: ParsedEvents;
  readonly replayLimit: ReplayLimit | undefined;
  readonly #onEmpty: () => void;
  readonly #subscription: LogSubscription;
  readonly #cursors = new Set<Cursor>();
  readonly #ready = new ReadyQueue<Cursor | Barrier>();
  readonly #idle = new ReadyQueue<Cursor>();
  readonly #stalled = new ReadyQueue<Cursor>();
  /** The caches that are not empty. */
  #used: TurnCache[] = [];
  readonly #onUsed = (cache: TurnCache) => {
    this.#used.push(cache);
  };
  readonly #singles = new SingleCache(this.#onUsed);
  /** Of all subscribers without filters and map functions. */
  readonly #batches = new BatchCache(this.#onUsed);
  #lanes: MapLanes | undefined;
  readonly #serialize: Serialize;
  /** Received before the window had its beginning. */
  #early: Array<{ readonly entries: readonly LogEntry[]; readonly gapBefore: boolean }> = [];
  #window: Window | undefined;
  #pages: Pages | undefined;
  /** The newest id that was published in this process. */
  #publishedId = '';
  #ended = false;
  #delivering = false;
  /** The number of events since the last barrier. */
  #unread = 0;
  #barrier: Barrier | undefined;
  /** Stalled cursors are checked again when the window begins at this position. */
  #nextOverflowCheck = 0;

  constructor(log: EventLog, options: HubOptions, onEmpty: () => void) {
    const { maxReplayEvents, parse, serialize } = options;
    this.log = log;
    this.events = new ParsedEvents(parse, this.#onUsed);
    this.replayLimit = maxReplayEvents === false ? undefined : new ReplayLimit(log, maxReplayEvents);
    this.#serialize = serialize;
    this.#onEmpty = onEmpty;
    // Another copy of this package may have another kind of window; its log is then read by the contract.
    this.#window = log.window instanceof Window ? log.window : undefined;
    this.complete = this.#window !== undefined;
    this.#subscription = log.subscribe(this);
    if (!this.complete) void this.#openWindow();
  }

  /** The newest entries; `undefined` until the log has reported where they begin. */
  get window(): Window | undefined {
    return this.#window;
  }

  get pages(): Pages {
    this.#pages ??= new Pages(this.log, this.#onUsed);
    return this.#pages;
  }

  get size(): number {
    return this.#cursors.size;
  }

  /**
   * The head of the log as far as it was received; `undefined` while that is not known. Includes local publishes that the
   * log has not echoed yet, so that a new subscriber does not receive them as new.
   */
  head(): LogHead | undefined {
    const window = this.#window;
    if (window === undefined) return undefined;
    const { ended, headId } = window;
    const isAhead = this.log.compare(this.#publishedId, headId) > 0;
    return {
      id: isAhead ? this.#publishedId : headId,
      ended: this.#ended || ended,
    };
  }

  /** An event was published in this process. The replies of an asynchronous log may arrive in another order. */
  notePublished(id: string): void {
    if (this.complete || !(this.log.compare(id, this.#publishedId) < 0)) this.#publishedId = id;
  }

  /** The log was ended in this process. */
  noteEnded(): void {
    this.#ended = true;
  }

  /** Resolves when the ready subscribers have received all events so far; `undefined` below {@link HIGH_WATER_MARK}. */
  get backpressure(): Promise<void> | undefined {
    return this.#barrier?.reached;
  }

  add(cursor: Cursor): void {
    this.#cursors.add(cursor);
  }

  delete(cursor: Cursor): void {
    cursor.unlink();
    if (!this.#cursors.delete(cursor) || this.#cursors.size > 0) return;
    this.#subscription.close();
    this.events.clear();
    this.#reachBarrier();
    this.#onEmpty();
  }

  /** Calls `end` with each cursor; `end` must close the cursor. */
  closeAll(end: (cursor: Cursor) => void): void {
    for (const cursor of this.#cursors) end(cursor);
  }

  settle(cursor: Cursor): void {
    const placement = cursor.settle();
    if (placement === Placement.READY) this.wake(cursor);
    else if (placement === Placement.IDLE) this.#idle.push(cursor);
    else if (placement === Placement.STALLED) this.#stalled.push(cursor);
    else cursor.unlink();
  }

  /** Delivers to the cursor in a later turn. */
  wake(cursor: Cursor): void {
    this.#ready.push(cursor);
    scheduleDelivery(this);
  }

  /**
   * Delivers to one cursor immediately, or in a later turn if filters have used up the time of this one.
   *
   * @returns whether it was immediately
   */
  deliverNow(cursor: Cursor): boolean {
    if (cursor.hasView && scanClock.expired) {
      this.wake(cursor);
      return false;
    }
    this.#deliverTo(cursor);
    if (!this.#delivering) this.#endTurn();
    return true;
  }

  onEntries(entries: readonly LogEntry[], gapBefore: boolean): Promise<void> | undefined {
    const window = this.#window;
    if (window === undefined) {
      this.#early.push({ entries, gapBefore });
      return undefined;
    }
    if (!this.complete) append(window, entries, gapBefore);
    // After a loss, ids may be lower than those that were published here before.
    if (gapBefore) this.#publishedId = '';
    notePublish();
    this.#ready.pushAll(this.#idle);
    const hasReady = this.#ready.first !== undefined;
    if (hasReady || window.first >= this.#nextOverflowCheck) scheduleDelivery(this);
    if (hasReady) this.#countUnread(entries.length, window);
    return this.backpressure;
  }

  deliver(budget: number): number {
    this.#delivering = true;
    try {
      this.#closeOverflowed();
      return this.#deliverReady(budget);
    } finally {
      this.#delivering = false;
      this.#endTurn();
      if (this.#ready.first !== undefined) scheduleDelivery(this);
    }
  }

  openView(steps: ViewSteps): View {
    this.#lanes ??= new MapLanes({ events: this.events, serialize: this.#serialize, onUsed: this.#onUsed });
    return new View(steps, this.#lanes, this.events);
  }

  batchAt(position: number, view: View | undefined): Batch {
    const window = this.#window as Window;
    const { head } = window;
    if (view === undefined) {
      const end = window.blockEnd(position) ?? head;
      return this.#sharedBatch(this.#batches, window, position, end);
    }
    this.events.startRead(head - position);
    const lane = view.sharedLane;
    if (lane === undefined) return collectView(window, position, head, this.#singles, view);
    return this.#mappedBatch(lane, window, position, window.blockEnd(position) ?? head);
  }

  pageBatchAt(page: Page, position: number, end: number, view: View | undefined): Batch {
    if (view === undefined) return this.#sharedBatch(page.batches, page, position, end);
    this.events.startRead(Number.POSITIVE_INFINITY);
    return collectView(page, position, end, this.#singles, view);
  }

  batchOf(entry: Entry): Batch {
    return collect({ at: () => entry }, 0, 1, this.#singles);
  }

  #sharedBatch(batches: BatchCache, entries: Entries, position: number, end: number): Batch {
    return (
      batches.get(position, end) ?? batches.add(position, end, collect(entries, position, end, this.#singles))
    );
  }

  #mappedBatch(lane: MapLane, window: Window, position: number, end: number): Batch {
    const { batches } = lane;
    return (
      batches.get(position, end) ??
      batches.add(position, end, collectMapped(window, position, end, this.#singles, lane))
    );
  }

  #deliverTo(cursor: Cursor): number {
    cursor.unlink();
    const writes = cursor.owner.deliver();
    this.settle(cursor);
    return writes;
  }

  /** @returns the number of writes; the whole budget if filters have used up the time of the turn */
  #deliverReady(budget: number): number {
    let writes = 0;
    for (let next = this.#ready.first; next !== undefined && writes < budget; next = this.#ready.first) {
      if (next instanceof Barrier) this.#reachBarrier();
      else writes += this.#deliverTo(next);
      if (scanClock.expired) return budget;
    }
    return writes;
  }

  /** Releases what the subscribers of one turn share. */
  #endTurn(): void {
    if (this.#used.length === 0) return;
    for (const cache of this.#used) cache.endTurn();
    this.#used = [];
  }

  async #openWindow(): Promise<void> {
    const { log } = this;
    try {
      const before = await this.#subscription.from;
      const limits = { maxEvents: log.cacheSize ?? 1_000, maxBytes: MAX_BYTES, maxAgeMs: false } as const;
      this.#window = new Window(limits, (a, b) => log.compare(a, b), before);
      for (const { entries, gapBefore } of this.#early.splice(0)) void this.onEntries(entries, gapBefore);
      for (const cursor of this.#cursors) this.settle(cursor);
    } catch (error) {
      this.closeAll(({ owner }) => owner.fail(error));
    }
  }

  #countUnread(events: number, { maxEvents }: Window): void {
    this.#unread += events;
    if (this.#barrier !== undefined || this.#unread < Math.min(HIGH_WATER_MARK, maxEvents / 4)) return;
    this.#barrier = new Barrier();
    this.#ready.push(this.#barrier);
  }

  #reachBarrier(): void {
    this.#unread = 0;
    this.#barrier?.unlink();
    this.#barrier?.resolve();
    this.#barrier = undefined;
  }

  /** Stalled subscribers are never served, so this checks periodically whether the log still retains their next entry. */
  #closeOverflowed(): void {
    const window = this.#window;
    if (window === undefined || window.first < this.#nextOverflowCheck) return;
    this.#nextOverflowCheck = window.first + Math.max(1, Math.floor(window.maxEvents / 4));
    for (const cursor of this.#stalled.items()) {
      if (cursor.hasOverflowed(window.first)) cursor.owner.overflow();
    }
  }
}

function append(window: Window, entries: readonly LogEntry[], gapBefore: boolean): void {
  if (gapBefore) window.push(Entry.gap({ lastEventId: window.headId, oldest: entries[0]?.id ?? null }));
  for (const entry of entries) window.push(Entry.of(entry));
}
