import type { EventRecord } from '../format/record';
import type { LogEntry } from './entry';
import type { LogLease } from './log-lease';
import type { Window } from './window';

/**
 * A value, or a promise of one.
 *
 * @example
 * async function idOf(appended: Awaitable<string>) {
 *   return await appended;
 * }
 */
export type Awaitable<Value> = Value | Promise<Value>;

/**
 * The result of {@link EventLog.read}.
 *
 * @example
 * const { entries, gap }: LogPage = await log.read(lastEventId, 100);
 */
export interface LogPage {
  /** Oldest first; empty if no entry follows. */
  readonly entries: readonly LogEntry[];
  /**
   * Whether entries are missing before these: the log no longer retains the entries after the id, or never assigned the id.
   * `entries` then begin with the oldest retained one, or with the first after the id if the log can order it.
   */
  readonly gap: boolean;
}

/**
 * The newest position of a log, from {@link EventLog.head}.
 *
 * @example
 * const { id, ended }: LogHead = await log.head();
 */
export interface LogHead {
  /** Every entry that is appended after the call has a greater id. The head of an empty log is an id before all others. */
  readonly id: string;
  /** Whether the last entry is an `'end'` or an `'error'`, so that none can follow. */
  readonly ended: boolean;
}

/**
 * Receives the entries of a log.
 *
 * @example
 * const subscriber: LogSubscriber = {
 *   onEntries: (entries, gapBefore) => console.log(entries.length, gapBefore ? 'after a gap' : ''),
 * };
 * const subscription = log.subscribe(subscriber);
 */
export interface LogSubscriber {
  /**
   * Called with the entries that follow those received before, in order, each once. It must not throw.
   *
   * @param gapBefore whether this subscriber has lost entries before these, because they were trimmed while the log was
   *   unavailable, or because the log itself has lost them. Only after a gap may ids be lower than those before
   * @returns nothing, or a promise. A log that delivers many older entries waits for the promise before the next call
   */
  onEntries(entries: readonly LogEntry[], gapBefore: boolean): Awaitable<void>;
}

/**
 * One subscriber's subscription to a log.
 *
 * @example
 * const subscription: LogSubscription = log.subscribe({ onEntries: (entries) => console.log(entries.length) });
 * await subscription.from; // from now on it receives every entry
 * subscription.close();
 */
export interface LogSubscription {
  /**
   * The id after which the subscriber receives every entry. It receives none before this is known. Rejects only if the log
   * is closed for good.
   */
  readonly from: Awaitable<string>;
  /** Ends the subscription; the subscriber receives nothing afterwards. May be called more than once. */
  close(): void;
}

/**
 * The entries that a log retains in this process, from {@link EventLog.window}. A log that wraps another passes it on
 * unchanged. Do not use its members: they may change in any version.
 *
 * @example
 * const window: LogWindow | undefined = memoryLog().window;
 */
export type LogWindow = Window;

/**
 * The contract of a log, which retains a channel's events: in memory (`memoryLog()`), on Redis (`redisLogs()`), or
 * in your own store. `express-yield/testing` exports a contract suite that tests any log.
 *
 * A log must assign an id to each entry: one line of visible ASCII, at most 128 characters, not beginning with `~`. Ids must
 * ascend in the order of the entries, over all processes. A log must never assign an id twice, even after a restart that has
 * lost entries.
 *
 * An id that is passed in may come from a client: a log must check its form before it uses it.
 *
 * @example
 * // Any log, with every append measured.
 * function measured(log: EventLog, onAppend: (ms: number) => void): EventLog {
 *   return {
 *     append: async (record) => {
 *       const since = performance.now();
 *       const id = await log.append(record);
 *       onAppend(performance.now() - since);
 *       return id;
 *     },
 *     read: (after, limit) => log.read(after, limit),
 *     head: () => log.head(),
 *     subscribe: (subscriber) => log.subscribe(subscriber),
 *     compare: (a, b) => log.compare(a, b),
 *     idBeforeNewest: log.idBeforeNewest && ((count) => log.idBeforeNewest?.(count)),
 *     hasSubscribers: log.hasSubscribers && (() => log.hasSubscribers?.() ?? false),
 *     appendOnce: log.appendOnce?.bind(log),
 *     lease: log.lease,
 *     cacheSize: log.cacheSize,
 *     window: log.window,
 *   };
 * }
 * const prices = new Channel({ log: measured(memoryLog(), (ms) => console.log(ms)) });
 */
export interface EventLog {
  /**
   * Appends an entry.
   *
   * @returns its id, once the entry is as durable as this log makes its entries. The log must store the appends of one
   *   process in the order of the calls.
   * @throws (or rejects with) `SseError` `ERR_SSE_CHANNEL_CLOSED` if the last entry is an `'end'` or an `'error'`, and
   *   `ERR_SSE_LOG_UNAVAILABLE` if the log is unavailable
   */
  append(record: EventRecord): Awaitable<string>;

  /**
   * Reads the retained entries after an id.
   *
   * @param after an id of this log, or `''` for all from the oldest retained one; an unknown id is a `gap`
   * @param limit the largest number of entries
   * @returns the entries, or a promise that may stay pending while the log is unavailable
   */
  read(after: string, limit: number): Awaitable<LogPage>;

  /**
   * Returns the head of the log at the time of the call. A promise may stay pending while the log is unavailable; entries that
   * are appended meanwhile must not count.
   */
  head(): Awaitable<LogHead>;

  /** Passes every entry that is appended in any process to `subscriber`, until the subscription is closed. */
  subscribe(subscriber: LogSubscriber): LogSubscription;

  /**
   * Orders two ids: negative if `a` is before `b`, positive if it is after, 0 if they are equal. `NaN` if one of them
   * cannot be an id of this log. Must not throw for any string.
   */
  compare(a: string, b: string): number;

  /**
   * The id after which the newest `count` events follow; `undefined` if the log retains no more than these. A channel with
   * `maxReplayEvents` needs it for a client that resumes from before the events in memory. Without this member, it reads
   * the whole log for it.
   */
  idBeforeNewest?(count: number): Awaitable<string | undefined>;

  /**
   * Whether the log has a subscriber in any process at this moment. Without this member, only the subscribers of this process
   * count.
   */
  readonly hasSubscribers?: (() => Awaitable<boolean>) | undefined;

  /**
   * Appends an entry, unless one was appended with the same idempotency key in any process; then it returns the id of that
   * entry. Two calls with the same key at the same moment must append one entry. The log must remember at least the keys of
   * the entries that it retains, and must limit how many it remembers. It accepts a known key also after an `'end'`.
   *
   * Without this member, `publish(value, { idempotencyKey })` rejects.
   *
   * @throws (or rejects with) the errors of {@link EventLog.append}
   */
  readonly appendOnce?: ((record: EventRecord, idempotencyKey: string) => Awaitable<string>) | undefined;

  /**
   * The lease of the run that this log stores, if several processes share the log. Without this member, `createRuns()`
   * takes the log for one of this process.
   */
  readonly lease?: LogLease | undefined;

  /**
   * The number of newest entries that each process caches in memory for its subscribers.
   * @default 1_000
   */
  readonly cacheSize?: number | undefined;

  /**
   * All retained entries, if this log keeps them in this process and nowhere else. Subscribers then read them without a
   * copy, and {@link EventLog.read} is not called for them.
   * @default none: each process caches the newest `cacheSize` entries and reads older ones
   */
  readonly window?: LogWindow | undefined;
}
