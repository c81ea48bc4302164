import type { ServerSentEvent } from '../format/event';
import { Entry } from '../log/entry';
import type { Awaitable, EventLog } from '../log/event-log';
import type { Window } from '../log/window';
import { MAX_SCANNED } from './batch';
import type { Batch } from './frame-cache';
import type { Page, PagePosition, Pages } from './pages';
import type { ParsedEvents } from './parsed-events';
import { Link } from './ready-queue';
import type { ReplayLimit } from './replay-limit';
import { scanClock } from './scan-clock';
import type { View, ViewSteps } from './view';

/** The start position of a cursor, and the options of its subscription. */
export interface CursorStart {
  /** The id of the entry before the first that the cursor reads; `''` to begin with the oldest retained entry. */
  readonly after: Awaitable<string>;
  /** The last event ID of the client; `''` if it has none. */
  readonly clientLastEventId: string;
  /** The filters and map functions; `undefined` if there are none. */
  readonly view: ViewSteps | undefined;
  readonly overflow: 'disconnect' | 'skip';
}

/** The hub, as its cursors use it. */
export interface CursorHub {
  readonly log: EventLog;
  readonly window: Window | undefined;
  /** Whether the window is the whole log, so that an entry trimmed from it is lost. */
  readonly complete: boolean;
  readonly events: ParsedEvents;
  /** Older entries, if the window is not the whole log. */
  readonly pages: Pages;
  /** `undefined` without a limit. */
  readonly replayLimit: ReplayLimit | undefined;
  add(cursor: Cursor): void;
  delete(cursor: Cursor): void;
  /** Puts the cursor into the queue of its placement. */
  settle(cursor: Cursor): void;
  openView(steps: ViewSteps): View;
  /** What follows a position of the window. Cursors that receive the same share it. */
  batchAt(position: number, view: View | undefined): Batch;
  /** The same of a page, up to `end`. */
  pageBatchAt(page: Page, position: number, end: number, view: View | undefined): Batch;
  /** An entry of no log. */
  batchOf(entry: Entry): Batch;
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
  readonly #view: View | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.owner.abort(this.#signal?.reason);
  #state = CursorState.STARTING;
  #position = 0;
  /** Whether it was ever LIVE. On a gap, a subscriber that was live is too slow; any other was disconnected before. */
  #wasLive = false;
  /** The gap before the next entry. */
  #gap: Entry | undefined;
  /** The entries before the position that were read from the log. */
  #page: Page | undefined;
  #pagePosition = 0;
  #pageEnd = 0;
  #lastId = '';
  /** Whether the replay limit was applied to what it reads from the log. */
  #limited = false;
  /** Whether entries were skipped by the replay limit, until the gap is reported. */
  #owesGap = false;
  /** The last gap: the id that the client keeps over it, and the id after which the cursor continues. */
  #skipped: { readonly from: string; readonly to: string } | undefined;
  #scanned = 0;

  constructor(hub: CursorHub, start: CursorStart, signal: AbortSignal | undefined, owner: CursorOwner) {
    super();
    this.owner = owner;
    this.#hub = hub;
    this.#start = start;
    this.#view = start.view && hub.openView(start.view);
    this.#signal = signal;
    hub.add(this);
    signal?.addEventListener('abort', this.#onAbort);
  }

  /** The id of the last entry read, whether the view drops it or not; `''` while that is not known. */
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

  /** Whether reading from it runs code of the user. */
  get hasView(): boolean {
    return this.#view !== undefined;
  }

  /** Starts looking for its position. With a log in memory the position is found immediately. */
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
    if (this.#hasBacklog) return Placement.READY;
    if (this.#state === CursorState.SEEKING && this.#seek()) return Placement.READY;
    if (this.#state === CursorState.AWAITING_WINDOW) return Placement.IDLE;
    return this.live ? this.#livePlacement() : Placement.NONE;
  }

  /** Whether its subscriber must be disconnected, because the log no longer retains its next entry. */
  hasOverflowed(first: number): boolean {
    const isTrimmed = this.live && !this.#hasBacklog && this.#position < first;
    return isTrimmed && this.#hub.complete && this.#start.overflow === 'disconnect';
  }

  /** The next entries, up to the size of one write; `undefined` if there are none at the moment. */
  nextBatch(): Batch | undefined {
    const gap = this.#takeGap();
    if (gap !== undefined) return this.#hub.batchOf(gap);
    const batch = this.#page === undefined ? this.#windowBatch() : this.#pageBatch(this.#page);
    if (batch !== undefined && batch.length > 0) this.#lastId = batch.lastId;
    return batch;
  }

  /** Calls {@link Cursor.nextEntry} in the context and the time that filters and map functions have. */
  scan(read: () => number): number {
    const view = this.#view;
    if (view === undefined) return read();
    scanClock.startScan(view);
    const count = view.context.runInAsyncScope(read);
    scanClock.endScan();
    return count;
  }

  /** The next entry that the subscriber receives; `undefined` if there is none at the moment, or none among those scanned. */
  nextEntry(): Entry | undefined {
    const view = this.#view;
    if (view === undefined) return this.#shift();
    for (let scanned = 0; scanned < MAX_SCANNED && !this.#mustStopScanning(); scanned++) {
      const entry = this.#shift();
      if (entry === undefined) return undefined;
      this.#scanned++;
      scanClock.count(entry.bytes);
      const shown = view.apply(entry);
      if (shown !== undefined) return shown;
    }
    return undefined;
  }

  /** The event of an entry from {@link Cursor.nextEntry}. */
  eventOf(entry: Entry): ServerSentEvent {
    return this.#view === undefined ? this.#hub.events.of(entry) : this.#view.eventOf(entry);
  }

  /** The number of entries that {@link Cursor.nextEntry} has scanned since the last call. */
  takeScanned(): number {
    const scanned = this.#scanned;
    this.#scanned = 0;
    return scanned;
  }

  /** May be called more than once. Advances state to CLOSED. */
  close(): void {
    this.#state = CursorState.CLOSED;
    this.#gap = undefined;
    this.#page = undefined;
    this.#view?.close();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#hub.delete(this);
  }

  get #hasBacklog(): boolean {
    return this.#page !== undefined || this.#gap !== undefined;
  }

  /** At least one entry is scanned, however late it is. */
  #mustStopScanning(): boolean {
    return this.#scanned > 0 && scanClock.expired;
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
    const position = complete && this.#lastId === '' ? window.first : window.after(this.#lastId);
    if (position !== undefined) this.#replayFrom(position, window);
    else if (complete) this.#skipTo(this.#firstIn(window), window);
    else if (this.#isBeforeLimit(window)) this.#replayFrom(window.first, window);
    else void this.#readBack(window);
    return this.live;
  }

  #livePlacement(): Placement {
    return this.#position < (this.#hub.window?.head ?? 0) ? Placement.READY : Placement.IDLE;
  }

  #takeGap(): Entry | undefined {
    const gap = this.#gap;
    this.#gap = undefined;
    return gap;
  }

  #pageBatch(page: Page): Batch {
    const batch = this.#hub.pageBatchAt(page, this.#pagePosition, this.#pageEnd, this.#view);
    this.#advanceInPage(batch.length);
    return batch;
  }

  #windowBatch(): Batch | undefined {
    if (!this.#isReadable()) return undefined;
    const batch = this.#hub.batchAt(this.#position, this.#view);
    this.#position += batch.length;
    return batch;
  }

  #shift(): Entry | undefined {
    const gap = this.#takeGap();
    if (gap !== undefined) return gap;
    const entry = this.#page === undefined ? this.#shiftWindow() : this.#shiftPage(this.#page);
    if (entry !== undefined) this.#lastId = entry.id;
    return entry;
  }

  #shiftPage(page: Page): Entry {
    this.#hub.events.startRead(Number.POSITIVE_INFINITY);
    const entry = page.at(this.#pagePosition);
    this.#advanceInPage(1);
    return entry;
  }

  #shiftWindow(): Entry | undefined {
    const { window, events } = this.#hub;
    if (!this.#isReadable() || window === undefined) return undefined;
    events.startRead(window.head - this.#position);
    return window.at(this.#position++);
  }

  #advanceInPage(entries: number): void {
    this.#pagePosition += entries;
    if (this.#pagePosition >= this.#pageEnd) this.#page = undefined;
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
    else this.#skipTo(window.first, window);
  }

  /** Continues at a position of the window, or at the oldest one within the replay limit. */
  #replayFrom(position: number, window: Window): void {
    const first = this.#firstIn(window);
    if (position >= first || this.#wasLive) this.#goLive(position);
    else if (this.#lastId !== '') this.#skipTo(first, window);
    else this.#goLive(first);
    // A subscriber without a last event ID is after the entry before its first one.
    if (this.#lastId === '') this.#lastId = window.idBefore(this.#position) ?? '';
  }

  /** Advances state to LIVE. */
  #goLive(position: number): void {
    this.#state = CursorState.LIVE;
    this.#wasLive = true;
    this.#position = position;
  }

  /** Continues after a gap: its last id is unknown, no longer retained, or before the replay limit. */
  #skipTo(position: number, window: Window): void {
    this.#addGap(window.idFrom(position));
    this.#skip(window.idBefore(position) || this.#lastId);
    this.#goLive(position);
  }

  #firstIn(window: Window): number {
    return this.#hub.replayLimit?.firstIn(window) ?? window.first;
  }

  /** Whether what follows its last id is older than the window, and more than the replay limit. */
  #isBeforeLimit(window: Window): boolean {
    if (this.#wasLive || this.#firstIn(window) === window.first) return false;
    return this.#lastId === '' || this.#isBefore(this.#lastId, window.at(window.first).id);
  }

  async #readBack(window: Window): Promise<void> {
    this.#state = CursorState.READING;
    try {
      const position = await this.#readPage();
      if (this.closed) return;
      this.#onPage(position, window);
      this.#hub.settle(this);
    } catch (error) {
      if (!this.closed) this.owner.fail(error);
    }
  }

  async #readPage(): Promise<PagePosition> {
    const { pages } = this.#hub;
    const limit = await this.#takeLimit();
    if (limit === undefined) return pages.after(this.#lastId);
    if (this.#lastId === '' || this.#isBefore(this.#lastId, limit)) this.#skipToLimit(limit);
    const read = await pages.after(this.#lastId);
    const first = read.page.entries[0];
    if (!read.gap || first === undefined || !this.#isBefore(first.id, limit)) return read;
    // An unknown id, for which the log would replay everything.
    this.#skipToLimit(limit);
    return pages.after(limit);
  }

  #isBefore(id: string, other: string): boolean {
    return this.#hub.log.compare(id, other) < 0;
  }

  /** Only a subscriber that was never live asks for a replay. */
  async #takeLimit(): Promise<string | undefined> {
    if (this.#limited || this.#wasLive) return undefined;
    this.#limited = true;
    return this.#hub.replayLimit?.idBefore();
  }

  #skipToLimit(limit: string): void {
    this.#owesGap = this.#clientLastId !== '';
    this.#skip(limit);
  }

  /** If the entry after `to` is dropped before the cursor reads it, the cursor continues after `to` and not before the gap. */
  #skip(to: string): void {
    this.#skipped = { from: this.#clientLastId, to };
    this.#lastId = to;
  }

  /** The last id that the client has, or that the view dropped: a gap has none. */
  get #clientLastId(): string {
    const skipped = this.#skipped;
    return skipped !== undefined && skipped.to === this.#lastId ? skipped.from : this.#lastId;
  }

  #onPage({ page, position, gap }: PagePosition, window: Window): void {
    this.#state = CursorState.SEEKING;
    if (gap && this.#wasLive && this.#start.overflow === 'disconnect') {
      this.owner.overflow();
      return;
    }
    // The window receives whatever is appended to an empty log.
    if (gap && page.length === 0) {
      this.#skipTo(window.first, window);
      return;
    }
    if (gap || this.#owesGap) this.#addGap(page.entries[position]?.id ?? null);
    if (this.#startPage(page, position, window)) return;
    // The window may have grown while the page was on its way; then the log is read again.
    const isCaughtUp = page.length === position && !(this.#hub.log.compare(window.headId, this.#lastId) > 0);
    if (isCaughtUp) this.#state = CursorState.AWAITING_WINDOW;
  }

  #addGap(oldest: string | null): void {
    this.#gap = Entry.gap({ lastEventId: this.#clientLastId, oldest });
    this.#owesGap = false;
  }

  /** Reads a page, up to the window if it reaches that. @returns whether it does */
  #startPage(page: Page, position: number, window: Window): boolean {
    this.#page = position < page.length ? page : undefined;
    this.#pagePosition = position;
    this.#pageEnd = page.length;
    for (let next = position; next < page.length; next++) {
      const inWindow = window.after(page.at(next).id);
      if (inWindow === undefined) continue;
      this.#pageEnd = next + 1;
      this.#goLive(inWindow);
      return true;
    }
    return false;
  }
}
