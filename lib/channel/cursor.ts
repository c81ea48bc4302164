import { Entry } from '../log/entry';
import type { Awaitable, LogPage } from '../log/event-log';
import type { Window } from '../log/window';
import type { Accepts, Batch } from './batch';
import { gather, MAX_LOOKS } from './batch';
import type { Hub, Member } from './hub';
import { Link } from './ready-queue';

/** How many entries are read back from a log at a time. */
const PAGE = 200;

/** Each state only ever gives way to a later one, but for a reader that the window has passed and that seeks again. */
enum State {
  /** It has yet to learn what it has seen last. */
  WAITING,
  /** Its place in the window is not known, or not in the window. */
  SEEKING,
  /** It stands at a position of the window. */
  JOINED,
  OVER,
}

/** How a reader begins. */
export interface Start {
  /** The id of the last entry that it has seen, or `''` for everything from the oldest retained. */
  readonly after: Awaitable<string>;
  /** What the client knows to be its last event ID; `''` if it has none. */
  readonly knownId: string;
  readonly accepts: Accepts | undefined;
  readonly overflow: 'disconnect' | 'skip';
}

/**
 * One subscriber's place in a channel. It seeks the window first, reading back from the log if the window does not
 * reach so far, and is a position in it from then on; so there is no seam between replay and live.
 */
export abstract class Reader extends Link implements Member {
  readonly hub: Hub;
  readonly #start: Start;
  #state = State.WAITING;
  #position = 0;
  /** Whether it was ever joined: only then has it been too slow, and not just away. */
  #wasJoined = false;
  /** What comes before the position: read back, or a gap. */
  #backlog: Entry[] = [];
  /** Whether a page is on its way. */
  #reading = false;
  #lastId = '';
  #looks = 0;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.abort(this.#signal?.reason);

  constructor(hub: Hub, start: Start, signal: AbortSignal | undefined) {
    super();
    this.hub = hub;
    this.#start = start;
    this.#signal = signal;
    hub.add(this);
    signal?.addEventListener('abort', this.#onAbort);
  }

  /** The id of the last entry that is behind it, whether it was accepted or not; `''` while that is not known. */
  get lastId(): string {
    return this.#lastId;
  }

  protected get over(): boolean {
    return this.#state === State.OVER;
  }

  /** Whether its place in the window has been found, so that an error before its first entry is unlikely. */
  get joined(): boolean {
    return this.#state === State.JOINED;
  }

  isTooSlow(first: number): boolean {
    const isPassed = this.#state === State.JOINED && this.#backlog.length === 0 && this.#position < first;
    return isPassed && this.hub.complete && this.#start.overflow === 'disconnect';
  }

  abstract serve(): number;

  abstract overflow(): void;

  /** The channel was closed. */
  abstract close(): void;

  abstract fail(error: unknown): void;

  /** The subscriber's signal has aborted. */
  protected abstract abort(reason: unknown): void;

  /** Begins. With a log in memory its place is found at once. */
  begin(): void {
    const { after } = this.#start;
    if (typeof after === 'string') return this.#beginAfter(after);
    after.then(
      (id) => this.#beginAfter(id),
      (error: unknown) => this.fail(error),
    );
  }

  #beginAfter(id: string): void {
    if (this.over) return;
    this.#state = State.SEEKING;
    this.#lastId = id;
    this.seek();
  }

  /** Looks for its place in the window; called again when the window comes into being or has grown. */
  seek(): void {
    const { window } = this.hub;
    if (this.#state !== State.SEEKING || window === undefined || this.#reading) return;
    window.trim();
    if (this.#lastId === '' && this.hub.complete) this.#lastId = window.before ?? '';
    const position = window.after(this.#lastId);
    if (position !== undefined) return this.#join(position);
    if (this.hub.complete) return this.#skip(window);
    this.#reading = true;
    void this.#readBack(window);
  }

  /** Ends it. Advances state to OVER. */
  stop(): void {
    this.#state = State.OVER;
    this.#backlog = [];
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.hub.delete(this);
  }

  /** The next entries, as far as one write should carry; `undefined` if there are none for now. */
  protected takeBatch(): Batch | undefined {
    const { accepts } = this.#start;
    if (this.#backlog.length > 0) {
      const batch = gather((offset) => this.#backlog[offset], accepts);
      this.#backlog.splice(0, batch.length);
      return this.#passed(batch);
    }
    if (!this.#isReadable()) return undefined;
    const position = this.#position;
    const batch = accepts === undefined ? this.hub.batchAt(position) : this.hub.filteredAt(position, accepts);
    this.#position += batch.length;
    return this.#passed(batch);
  }

  /** The next entry that is accepted; `undefined` if there is none for now, or none among the many looked at. */
  protected takeEntry(): Entry | undefined {
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const entry = this.#nextEntry();
      if (entry === undefined) return undefined;
      this.#lastId = entry.id;
      if (entry.kind !== 'event' || this.#start.accepts === undefined) return entry;
      this.#looks++;
      if (this.#start.accepts(entry)) return entry;
    }
    return undefined;
  }

  /** At how many entries a filter has looked since this was asked. */
  protected takeLooks(): number {
    const looks = this.#looks;
    this.#looks = 0;
    return looks;
  }

  /** Joins the queue that its place asks for. */
  protected queue(): void {
    const { window } = this.hub;
    if (this.over || window === undefined) return;
    if (this.#backlog.length > 0) return this.hub.wake(this);
    if (this.#state !== State.JOINED) return this.seek();
    if (this.#position < window.head) this.hub.wake(this);
    else this.hub.idle(this);
  }

  #onPassed(): void {
    const { window } = this.hub;
    if (this.over || window === undefined) return;
    if (this.hub.complete) return this.#overflow(window);
    this.#state = State.SEEKING;
    this.seek();
  }

  #nextEntry(): Entry | undefined {
    if (this.#backlog.length > 0) return this.#backlog.shift();
    return this.#isReadable() ? this.hub.window?.at(this.#position++) : undefined;
  }

  /** Whether it stands before the head of the window. If the window has passed it, that is seen to first. */
  #isReadable(): boolean {
    const { window } = this.hub;
    if (this.#state !== State.JOINED || window === undefined) return false;
    if (this.#position < window.first) {
      this.#onPassed();
      return false;
    }
    return this.#position < window.head;
  }

  #passed(batch: Batch): Batch {
    if (batch.length > 0) this.#lastId = batch.lastId;
    return batch;
  }

  #join(position: number): void {
    this.#state = State.JOINED;
    this.#wasJoined = true;
    this.#position = position;
    // Also one that has nothing to read may have something to say.
    this.hub.wake(this);
  }

  /** What it has seen last is unknown, or no longer retained. */
  #skip(window: Window): void {
    this.#backlog.push(Entry.gap({ lastEventId: this.#lastId, oldest: window.oldestId }));
    this.#join(window.first);
  }

  #overflow(window: Window): void {
    if (this.#start.overflow === 'disconnect') this.overflow();
    else this.#skip(window);
  }

  async #readBack(window: Window): Promise<void> {
    try {
      const page = await this.hub.log.read(this.#lastId, PAGE);
      this.#reading = false;
      if (!this.over) this.#onPage(page, window);
    } catch (error) {
      this.#reading = false;
      if (!this.over) this.fail(error);
    }
  }

  #onPage({ entries, gap }: LogPage, window: Window): void {
    if (gap) {
      if (this.#wasJoined && this.#start.overflow === 'disconnect') return this.overflow();
      // Whatever is appended to an empty log is heard by the window.
      if (entries.length === 0) return this.#skip(window);
      this.#backlog.push(Entry.gap({ lastEventId: this.#lastId, oldest: entries[0]?.id ?? null }));
    }
    for (const entry of entries) {
      this.#backlog.push(Entry.of(entry));
      const position = window.after(entry.id);
      if (position !== undefined) return this.#join(position);
    }
    // At the end of a log of which the window has not heard all yet, it waits for the window to grow; unless that has
    // happened while the page was on its way.
    if (entries.length > 0 || this.hub.log.compare(window.headId, this.#lastId) > 0) this.queue();
    else this.hub.idle(this);
  }
}
