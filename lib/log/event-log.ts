import type { EventRecord } from '../format/record';
import type { LogEntry } from './entry';
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
   * Whether entries are missing before these: the log no longer retains what follows the id, or never gave the id.
   * `entries` then begin with the oldest retained one.
   */
  readonly gap: boolean;
}

/**
 * The end of a log, from {@link EventLog.head}.
 *
 * @example
 * const { id, ended }: LogHead = await log.head();
 */
export interface LogHead {
  /** Every entry that is appended after the call has a greater id. An empty log has an id before all others. */
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
   *   unavailable
   * @returns a log that catches up on many entries waits for this promise, if there is one, before the next call
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
 * The entries that a log holds in this process, from {@link EventLog.window}. A decorator passes it on unchanged; its
 * members are for the package.
 *
 * @example
 * const window: LogWindow | undefined = memoryLog().window;
 */
export type LogWindow = Window;

/**
 * The contract of a log, which retains a channel's events: in memory (`memoryLog()`), on Redis (`redisLogs()`), or
 * in your own store. `express-yield/testing` exports a contract suite that tests any log.
 *
 * A log must give each entry an id: one line of visible ASCII, at most 128 characters, not beginning with `~`. Ids must
 * ascend in the order of the entries, over all processes, and must never be given twice, also not after a restart that
 * has lost entries.
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
 *     hasSubscribers: log.hasSubscribers && (() => log.hasSubscribers?.() ?? false),
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
   * @returns its id, as soon as the entry is stored as safely as this log stores anything. The appends of one process
   *   must be stored in the order of the calls.
   * @throws (or rejects with) `SseError` `ERR_SSE_CHANNEL_CLOSED` if the last entry is an `'end'` or an `'error'`, and
   *   `ERR_SSE_LOG_UNAVAILABLE` if the log is unavailable
   */
  append(record: EventRecord): Awaitable<string>;

  /**
   * Reads the retained entries after an id.
   *
   * @param after an id of this log, or `''` for all from the oldest retained one; an unknown id is a `gap`
   * @param limit the largest number of entries
   * @returns may wait while the log is unavailable
   */
  read(after: string, limit: number): Awaitable<LogPage>;

  /** The end of the log at the time of the call, also if the answer waits while the log is unavailable. */
  head(): Awaitable<LogHead>;

  /** Passes every entry that is appended in any process to `subscriber`, until the subscription is closed. */
  subscribe(subscriber: LogSubscriber): LogSubscription;

  /**
   * Orders two ids: negative if `a` is before `b`, positive if it is after, 0 if they are equal. `NaN` if one of them
   * cannot be an id of this log. Must not throw for any string.
   */
  compare(a: string, b: string): number;

  /**
   * Whether the log has a subscriber in any process at this moment. Without this member, only the subscribers of this process
   * count.
   */
  readonly hasSubscribers?: (() => Awaitable<boolean>) | undefined;

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
