import { SseError } from '../errors';
import type { EventRecord } from '../format/record';
import { type MemoryLogOptions, resolveMemoryLogOptions } from '../options';
import { Entry } from './entry';
import type { EventLog, Following, LogFollower, LogPage, LogTip } from './event-log';
import { Window, type WindowBounds } from './window';

/**
 * A log in the memory of this process. It is gone when the process ends; its ids, `<epoch>-<sequence>`, then tell a
 * client that comes back with one that it has missed something.
 *
 * The bounds hold together, and the newest event is kept whatever its size. A log without events costs a few bytes.
 *
 * @param options `maxEvents`: how many events are retained · `maxBytes`: of their frames · `maxAgeMs`: milliseconds
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` at once
 * @default `{ maxEvents: 1_000, maxBytes: 16 MiB, maxAgeMs: false }`
 * @example
 * const prices = new Channel({ log: memoryLog({ maxEvents: 10_000 }) });
 */
export function memoryLog(options?: MemoryLogOptions): EventLog {
  return new MemoryLog(resolveMemoryLogOptions(options));
}

const SEQUENCE = /^\d{1,15}$/;

/** A {@link Window} that is the whole log. What most channels never need is made when it is needed. */
export class MemoryLog implements EventLog {
  readonly #bounds: WindowBounds;
  /** Tells this log from one before a restart, or from one that had the same name. */
  #epoch = '';
  #window: Window | undefined;
  #followers: Set<LogFollower> | undefined;
  #ageTimer: NodeJS.Timeout | undefined;

  constructor(bounds: WindowBounds) {
    this.#bounds = bounds;
  }

  /** All of it. */
  get window(): Window {
    if (this.#window !== undefined) return this.#window;
    this.#epoch = Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
    this.#window = new Window(this.#bounds, (a, b) => this.compare(a, b), `${this.#epoch}-0`);
    return this.#window;
  }

  append(record: EventRecord): string {
    const { window } = this;
    if (this.#over) throw closedLog();
    const id = `${this.#epoch}-${window.head + 1}`;
    const entry = new Entry(id, record);
    window.push(entry);
    if (this.#bounds.maxAgeMs !== false) this.#ageTimer ??= this.#startAging(this.#bounds.maxAgeMs);
    for (const follower of this.#followers ?? []) void follower.onEntries([entry], false);
    return id;
  }

  read(after: string, limit: number): LogPage {
    const { window } = this;
    window.trim();
    const position = after === '' ? window.first : window.after(after);
    const start = position ?? window.first;
    const count = Math.min(limit, window.head - start);
    const entries = Array.from({ length: count }, (_, index) => window.at(start + index));
    return { entries, gap: position === undefined };
  }

  tip(): LogTip {
    return { id: this.window.lastId, over: this.#over };
  }

  follow(follower: LogFollower): Following {
    this.#followers ??= new Set();
    this.#followers.add(follower);
    return { from: this.window.lastId, stop: () => this.#unfollow(follower) };
  }

  compare(a: string, b: string): number {
    return this.#sequenceOf(a) - this.#sequenceOf(b);
  }

  get #over(): boolean {
    const last = this.#window?.last;
    return last !== undefined && last.kind !== 'event';
  }

  #sequenceOf(id: string): number {
    const dash = this.#epoch.length;
    if (dash === 0 || id[dash] !== '-' || !id.startsWith(this.#epoch)) return Number.NaN;
    const sequence = id.slice(dash + 1);
    return SEQUENCE.test(sequence) ? Number(sequence) : Number.NaN;
  }

  #unfollow(follower: LogFollower): void {
    this.#followers?.delete(follower);
    if (this.#followers?.size === 0) this.#followers = undefined;
  }

  /** One timer while there are events, whatever their number: reading looks at their age, too. */
  #startAging(maxAgeMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.window.trim();
      // The end stays.
      const isDone = this.window.size === (this.#over ? 1 : 0);
      this.#ageTimer = isDone ? undefined : this.#startAging(maxAgeMs);
    }, maxAgeMs).unref();
  }
}

/** What every log answers to an append behind its end. */
export function closedLog(): SseError {
  return new SseError('ERR_SSE_CHANNEL_CLOSED', 'Cannot publish: the channel has ENDED. Make a new channel.');
}
