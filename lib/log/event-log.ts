import type { EventRecord } from '../format/record';

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
 * One record with the id that its log gave it.
 *
 * @example
 * const { id, record }: LogEntry = { id: '42', record: { kind: 'event', data: 'hello', serialized: false } };
 */
export interface LogEntry {
  /** Becomes the event's id, and so a client's last event ID. */
  readonly id: string;
  /** As it was appended. */
  readonly record: EventRecord;
}

/**
 * What {@link EventLog.read} has found.
 *
 * @example
 * const { entries, gap }: LogPage = await log.read(lastEventId, 100);
 */
export interface LogPage {
  /** Oldest first; empty if nothing follows. */
  readonly entries: readonly LogEntry[];
  /**
   * Whether something is missing in front of them: the log no longer reaches back to the id, or has never given it.
   * `entries` then begin with the oldest retained one.
   */
  readonly gap: boolean;
}

/**
 * What {@link EventLog.tip} says.
 *
 * @example
 * const { id, over }: LogTip = await log.tip();
 */
export interface LogTip {
  /** Whatever is appended after the call comes after this id. Of a log without entries: one that comes before all. */
  readonly id: string;
  /** Whether the last entry is an `'end'` or an `'error'`, so that none follows. */
  readonly over: boolean;
}

/**
 * Who hears what is appended.
 *
 * @example
 * const follower: LogFollower = {
 *   onEntries: (entries, missed) => console.log(entries.length, missed ? 'and some are lost' : ''),
 * };
 * const following = log.follow(follower);
 */
export interface LogFollower {
  /**
   * Entries that follow those heard before, in order, each once.
   *
   * @param missed whether entries in front of these were lost to this follower, because they were trimmed while the
   *   log was out of reach
   * @returns a log that reads back much at once waits for this promise, if there is one, before the next call
   */
  onEntries(entries: readonly LogEntry[], missed: boolean): Awaitable<void>;
}

/**
 * One follower's place with a log.
 *
 * @example
 * const following: Following = log.follow({ onEntries: (entries) => console.log(entries.length) });
 * await following.from; // from now on it hears all
 * following.stop();
 */
export interface Following {
  /**
   * The id behind which the follower hears every entry; it hears none before this is known. Rejects only if the log is
   * closed for good.
   */
  readonly from: Awaitable<string>;
  /** Ends it; nothing is heard afterwards. Can be called more than once. */
  stop(): void;
}

/**
 * What keeps a channel's events: in memory (`memoryLog()`), on Redis (`redisLogs()`), or wherever you write one for.
 * A contract suite that tests any such log is exported from `express-yield/testing`.
 *
 * A log gives each entry an id, one line of visible ASCII of at most 128 characters that does not begin with `~`. Ids
 * ascend in the order of the entries, over all processes, and are never given twice, also not after a restart that
 * has lost entries.
 *
 * Ids that are passed in may come from a client: a log looks at their form before it uses them for anything.
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
 *     tip: () => log.tip(),
 *     follow: (follower) => log.follow(follower),
 *     compare: (a, b) => log.compare(a, b),
 *     followed: () => log.followed?.() ?? false,
 *     memoryEvents: log.memoryEvents,
 *   };
 * }
 * const prices = new Channel({ log: measured(memoryLog(), (ms) => console.log(ms)) });
 */
export interface EventLog {
  /**
   * Appends an entry.
   *
   * @returns its id, as soon as the entry is kept as safely as this log keeps anything. Appends of one process are
   *   kept in the order of the calls.
   * @throws (or rejects with) `SseError` `ERR_SSE_CHANNEL_CLOSED` if the last entry is an `'end'` or an `'error'`, and
   *   `ERR_SSE_LOG_UNAVAILABLE` if the log is out of reach
   */
  append(record: EventRecord): Awaitable<string>;

  /**
   * The retained entries after an id.
   *
   * @param after an id of this log, or `''` for all from the oldest retained one; an unknown one is a `gap`
   * @param limit how many at the most
   * @returns may wait while the log is out of reach
   */
  read(after: string, limit: number): Awaitable<LogPage>;

  /** Where the log ends now. May wait while the log is out of reach, and is right all the same. */
  tip(): Awaitable<LogTip>;

  /** Begins to tell `follower` of every entry that is appended, in whichever process. */
  follow(follower: LogFollower): Following;

  /**
   * Orders two ids: negative if `a` comes first, positive if `b` does, 0 if they are the same. `NaN` if one of them
   * cannot be an id of this log. Never throws, whatever a client has made up.
   */
  compare(a: string, b: string): number;

  /**
   * Whether anybody, in whichever process, follows at this moment. May be left out, which means: nobody elsewhere.
   */
  followed?(): Awaitable<boolean>;

  /**
   * How many of the newest entries each process holds in memory for its subscribers.
   * @default 1_000
   */
  readonly memoryEvents?: number;
}
