import { Entry } from '../log/entry';
import type { Awaitable, EventLog, LogPage } from '../log/event-log';
import type { Window } from '../log/window';
import { type Batch, collect, type EntryFilter, MAX_SCANNED } from './batch';
import { Link } from './ready-queue';

/** The number of entries read from the log at a time. */
const PAGE = 200;

/** The start position of a cursor, and the options of its subscription. */
export interface CursorStart {
  /** The id of the entry before the first that the cursor reads; `''` to begin with the oldest retained entry. */
  readonly after: Awaitable<string>;
  /** The last event ID of the client; `''` if it has none. */
  readonly clientLastEventId: string;
  readonly filter: EntryFilter | undefined;
  readonly overflow: 'disconnect' | 'skip';
}

/** The hub, as its cursors use it. */
export interface CursorHub {
  readonly log: EventLog;
  readonly window: Window | undefined;
  /** Whether the window is the whole log, so that an entry trimmed from it is lost. */
  readonly complete: boolean;
  add(cursor: Cursor): void;
  delete(cursor: Cursor): void;
  /** Puts the cursor into the queue of its placement. */
  settle(cursor: Cursor): void;
  /** The entries from a position on, collected once for all cursors at this position. */
  batchAt(position: number): Batch;
  /** The entries from a position on that the filter passes. */
  filteredBatchAt(position: number, filter: EntryFilter): Batch;
}

/** The subscriber to which a cursor belongs. */
export interface CursorOwner {
  /** Whether the subscriber accepts entries now and, if not, why. */
  readonly demand: Demand;
  /**
   * Reads entries from the cursor and delivers them. The hub calls it in a turn of the event loop when there may be entries
   * to read, and afterwards puts the cursor into the queue of its placement.
   *
   * @returns the cost, counted in writes: at least 1, and more for many entries
   */
  deliver(): number;
  /** The log no longer retains the cursor's next entry, and `overflow` is `'disconnect'`. */
  overflow(): void;
  fail(error: unknown): void;
  /** The channel was closed. */
  close(): void;
  /** The subscriber's signal was aborted. */
  abort(reason: unknown): void;
}

export enum Demand {
  MORE,
  /** The client has not accepted the last write yet. */
  STALLED,
  /** No reader waits for an event. */
  NONE,
}

/** The queue of the hub in which a cursor belongs. */
export enum Placement {
  /** There may be something to deliver. */
  READY,
  /** The cursor is at the head of the log; the next entry makes it ready. */
  IDLE,
  /** Its client has not accepted the last write yet. */
  STALLED,
  /** Its position is not known yet, it reads from the log, no reader waits, or it is closed. */
  NONE,
}

/**
 * The states only advance, with one exception: when a window that is not the whole log has dropped the position of a LIVE
 * cursor, it is SEEKING again.
 */
enum CursorState {
  /** The id after which the cursor begins is not known yet. */
  STARTING,
  /** Its position in the window has to be found. */
  SEEKING,
  /** It reads older entries from the log. */
  READING,
  /** It has read the log to its end, but the window has not received the last entries yet. */
  AWAITING_WINDOW,
  /** It has a position in the window. */
  LIVE,
  CLOSED,
}

/**
 * A position in a channel's log. A cursor first looks for its position in the window. If the window begins after it, the
 * cursor reads older entries from the log until it reaches the window. Then it continues in the window, so no event is lost
 * between replay and live events.
 */
export class Cursor extends Link {
  readonly owner: CursorOwner;
  readonly #hub: CursorHub;
  readonly #start: CursorStart;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.owner.abort(this.#signal?.reason);
  #state = CursorState.STARTING;
  #position = 0;
  /** Whether it was ever LIVE. On a gap, a subscriber that was live is too slow; any other was disconnected before. */
  #wasLive = false;
  /** The entries before the position: read from the log, or a gap. */
  #backlog: Entry[] = [];
  #lastId = '';
  #scanned = 0;

  constructor(hub: CursorHub, start: CursorStart, signal: AbortSignal | undefined, owner: CursorOwner) {
    super();
    this.owner = owner;
    this.#hub = hub;
    this.#start = start;
    this.#signal = signal;
    hub.add(this);
    signal?.addEventListener('abort', this.#onAbort);
  }

  /** The id of the last entry read, even if the filter dropped it; `''` while it is not known. */
  get lastId(): string {
    return this.#lastId;
  }

  get closed(): boolean {
    return this.#state === CursorState.CLOSED;
  }

  /** Whether its position in the window is known, so that an error before its first entry is unlikely. */
  get live(): boolean {
    return this.#state === CursorState.LIVE;
  }

  /** Starts to look for the position. With a log in memory it is found immediately. */
  begin(): void {
    const { after } = this.#start;
    if (typeof after === 'string') {
      this.#seekAfter(after);
      return;
    }
    after.then(
      (id) => this.#seekAfter(id),
      (error: unknown) => this.owner.fail(error),
    );
  }

  /** Advances the state as far as possible without reading entries. @returns the queue in which the cursor belongs now */
  settle(): Placement {
    if (this.closed) return Placement.NONE;
    const { demand } = this.owner;
    if (demand !== Demand.MORE) return demand === Demand.STALLED ? Placement.STALLED : Placement.NONE;
    if (this.#backlog.length > 0) return Placement.READY;
    if (this.#state === CursorState.SEEKING && this.#seek()) return Placement.READY;
    if (this.#state === CursorState.AWAITING_WINDOW) return Placement.IDLE;
    return this.live ? this.#livePlacement() : Placement.NONE;
  }

  /** Whether its subscriber must be disconnected, because the log no longer retains its next entry. */
  hasOverflowed(first: number): boolean {
    const isTrimmed = this.live && this.#backlog.length === 0 && this.#position < first;
    return isTrimmed && this.#hub.complete && this.#start.overflow === 'disconnect';
  }

  /** The next entries, up to the size of one write; `undefined` if there are none at the moment. */
  nextBatch(): Batch | undefined {
    const batch = this.#collectBatch();
    if (batch !== undefined && batch.length > 0) this.#lastId = batch.lastId;
    return batch;
  }

  /** The next entry that the filter passes; `undefined` if there is none at the moment, or none among those scanned. */
  nextEntry(): Entry | undefined {
    const { filter } = this.#start;
    for (let scanned = 0; scanned < MAX_SCANNED; scanned++) {
      const entry = this.#shift();
      if (entry === undefined) return undefined;
      this.#lastId = entry.id;
      if (entry.kind !== 'event' || filter === undefined) return entry;
      this.#scanned++;
      if (filter(entry)) return entry;
    }
    return undefined;
  }

  /** The number of entries that {@link Cursor.nextEntry} has passed to the filter since the last call. */
  takeScanned(): number {
    const scanned = this.#scanned;
    this.#scanned = 0;
    return scanned;
  }

  /** May be called more than once. Advances state to CLOSED. */
  close(): void {
    this.#state = CursorState.CLOSED;
    this.#backlog = [];
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#hub.delete(this);
  }

  #seekAfter(id: string): void {
    if (this.closed) return;
    this.#state = CursorState.SEEKING;
    this.#lastId = id;
    this.#hub.settle(this);
  }

  /** Looks for the position in the window, if the window is open. @returns whether the position is known */
  #seek(): boolean {
    const { window, complete } = this.#hub;
    if (window === undefined) return false;
    window.trim();
    if (this.#lastId === '' && complete) this.#lastId = window.before ?? '';
    const position = window.after(this.#lastId);
    if (position !== undefined) this.#goLive(position);
    else if (complete) this.#skipTo(window);
    else void this.#readBack(window);
    return this.live;
  }

  #livePlacement(): Placement {
    return this.#position < (this.#hub.window?.head ?? 0) ? Placement.READY : Placement.IDLE;
  }

  #collectBatch(): Batch | undefined {
    const { filter } = this.#start;
    if (this.#backlog.length > 0) {
      const batch = collect((offset) => this.#backlog[offset], filter);
      this.#backlog.splice(0, batch.length);
      return batch;
    }
    if (!this.#isReadable()) return undefined;
    const position = this.#position;
    const batch =
      filter === undefined ? this.#hub.batchAt(position) : this.#hub.filteredBatchAt(position, filter);
    this.#position += batch.length;
    return batch;
  }

  #shift(): Entry | undefined {
    if (this.#backlog.length > 0) return this.#backlog.shift();
    return this.#isReadable() ? this.#hub.window?.at(this.#position++) : undefined;
  }

  /** Whether its next entry is in the window. A cursor whose position was trimmed is moved or closed first. */
  #isReadable(): boolean {
    const { window } = this.#hub;
    // The window may have received the awaited entries.
    if (this.#state === CursorState.AWAITING_WINDOW) this.#state = CursorState.SEEKING;
    if (!this.live || window === undefined) return false;
    if (this.#position < window.first) {
      this.#onTrimmed(window);
      return false;
    }
    return this.#position < window.head;
  }

  /** The window has dropped the entry at the position. */
  #onTrimmed(window: Window): void {
    if (!this.#hub.complete) this.#state = CursorState.SEEKING;
    else if (this.#start.overflow === 'disconnect') this.owner.overflow();
    else this.#skipTo(window);
  }

  /** Advances state to LIVE. */
  #goLive(position: number): void {
    this.#state = CursorState.LIVE;
    this.#wasLive = true;
    this.#position = position;
  }

  /** Continues after a gap, with the oldest retained entry: the log does not know the last id, or no longer retains it. */
  #skipTo(window: Window): void {
    this.#backlog.push(Entry.gap({ lastEventId: this.#lastId, oldest: window.oldestId }));
    this.#goLive(window.first);
  }

  async #readBack(window: Window): Promise<void> {
    this.#state = CursorState.READING;
    try {
      const page = await this.#hub.log.read(this.#lastId, PAGE);
      if (this.closed) return;
      this.#onPage(page, window);
      this.#hub.settle(this);
    } catch (error) {
      if (!this.closed) this.owner.fail(error);
    }
  }

  #onPage({ entries, gap }: LogPage, window: Window): void {
    this.#state = CursorState.SEEKING;
    if (gap) {
      if (this.#wasLive && this.#start.overflow === 'disconnect') {
        this.owner.overflow();
        return;
      }
      // The log is empty. Every entry that is appended from now on arrives in the window.
      if (entries.length === 0) {
        this.#skipTo(window);
        return;
      }
      this.#backlog.push(Entry.gap({ lastEventId: this.#lastId, oldest: entries[0]?.id ?? null }));
    }
    if (this.#replay(entries, window)) return;
    // The window may have received entries while the page was read; then the log is read again.
    const isCaughtUp = entries.length === 0 && !(this.#hub.log.compare(window.headId, this.#lastId) > 0);
    if (isCaughtUp) this.#state = CursorState.AWAITING_WINDOW;
  }

  /** Adds entries to the backlog. @returns whether they reach the window */
  #replay(entries: LogPage['entries'], window: Window): boolean {
    for (const entry of entries) {
      this.#backlog.push(Entry.of(entry));
      const position = window.after(entry.id);
      if (position === undefined) continue;
      this.#goLive(position);
      return true;
    }
    return false;
  }
}
