import { outsideRequests } from '../async-context';
import { endedError } from '../errors';
import type { EventRecord } from '../format/record';
import { Entry } from './entry';
import type { EventLog, LogHead, LogPage, LogSubscriber, LogSubscription } from './event-log';
import { type MemoryLogOptions, resolveMemoryLogOptions } from './options';
import { RecentKeys } from './recent-keys';
import { Window, type WindowLimits } from './window';

/**
 * A log in the memory of this process. It is lost when the process ends. A client that reconnects to a new process with an
 * id of the old one receives a `gap`, because each log has its own ids: `<epoch>-<sequence>`.
 *
 * The limits apply together, and the newest event is retained whatever its size. The event that ends a channel counts in
 * none of them, so it evicts no other. A log without events costs a few bytes.
 *
 * @param options `maxEvents`: the number of retained events · `maxBytes`: the bytes of their frames · `maxAgeMs`:
 *   milliseconds for which an event is retained
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
 * @default `{ maxEvents: 1_000, maxBytes: 16 MiB, maxAgeMs: false }`
 * @example
 * const prices = new Channel({ log: memoryLog({ maxEvents: 10_000 }) });
 */
export function memoryLog(options?: MemoryLogOptions): EventLog {
  return new MemoryLog(resolveMemoryLogOptions(options));
}

const SEQUENCE = /^\d{1,15}$/;

/** A {@link Window} that is the whole log. The members that an unused channel does not need are created on first use. */
class MemoryLog implements EventLog {
  /** Of the logs that have idempotency keys. A member would cost every other log 8 bytes. */
  static readonly #recentKeys = new WeakMap<MemoryLog, RecentKeys>();

  readonly #limits: WindowLimits;
  /** Distinguishes this log from one before a restart. */
  #epoch = '';
  #window: Window | undefined;
  #subscribers: Set<LogSubscriber> | undefined;
  #ageTimer: NodeJS.Timeout | undefined;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get window(): Window {
    if (this.#window !== undefined) return this.#window;
    this.#epoch = Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
    this.#window = new Window(this.#limits, (a, b) => this.compare(a, b), `${this.#epoch}-0`);
    return this.#window;
  }

  append(record: EventRecord): string {
    const { window } = this;
    if (this.#ended) throw endedError();
    const id = `${this.#epoch}-${window.head + 1}`;
    const entry = new Entry(id, record);
    window.push(entry);
    if (this.#limits.maxAgeMs !== false) this.#ageTimer ??= this.#startAging(this.#limits.maxAgeMs);
    for (const subscriber of this.#subscribers ?? []) void subscriber.onEntries([entry], false);
    return id;
  }

  appendOnce(record: EventRecord, idempotencyKey: string): string {
    const keys = this.#keys();
    const first = keys.idOf(idempotencyKey);
    if (first !== undefined) return first;
    const id = this.append(record);
    keys.add(idempotencyKey, id);
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

  head(): LogHead {
    return { id: this.window.headId, ended: this.#ended };
  }

  subscribe(subscriber: LogSubscriber): LogSubscription {
    this.#subscribers ??= new Set();
    this.#subscribers.add(subscriber);
    return { from: this.window.headId, close: () => this.#unsubscribe(subscriber) };
  }

  compare(a: string, b: string): number {
    return this.#sequenceOf(a) - this.#sequenceOf(b);
  }

  get #ended(): boolean {
    return this.#window?.ended === true;
  }

  #keys(): RecentKeys {
    const known = MemoryLog.#recentKeys.get(this);
    if (known !== undefined) return known;
    const created = new RecentKeys(this.#limits.maxEvents);
    MemoryLog.#recentKeys.set(this, created);
    return created;
  }

  #sequenceOf(id: string): number {
    const dash = this.#epoch.length;
    if (dash === 0 || id[dash] !== '-' || !id.startsWith(this.#epoch)) return Number.NaN;
    const sequence = id.slice(dash + 1);
    return SEQUENCE.test(sequence) ? Number(sequence) : Number.NaN;
  }

  #unsubscribe(subscriber: LogSubscriber): void {
    this.#subscribers?.delete(subscriber);
    if (this.#subscribers?.size === 0) this.#subscribers = undefined;
  }

  /** One timer for all events, while there are any. It need not be exact, because reading also trims by age. */
  #startAging(maxAgeMs: number): NodeJS.Timeout {
    return outsideRequests(() => setTimeout(() => this.#onAged(maxAgeMs), maxAgeMs).unref());
  }

  /** The closing entry is retained. */
  #onAged(maxAgeMs: number): void {
    this.window.trim();
    this.#ageTimer = this.window.events === 0 ? undefined : this.#startAging(maxAgeMs);
  }
}
