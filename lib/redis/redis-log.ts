import { describe, emitWarning, endedError, messageOf, wrongType } from '../errors';
import type { EventRecord } from '../format/record';
import type { EventLog, LogHead, LogPage, LogSubscriber, LogSubscription } from '../log/event-log';
import type { LogLease } from '../log/log-lease';
import { withUniqueIds } from '../log/unique-ids';
import { addressOf, type RedisAddress, type RedisClient } from './address';
import { StreamFollower } from './follower';
import { RedisLeases } from './leases';
import {
  type RedisLogOptions,
  type RedisLogsOptions,
  resolveRedisLogOptions,
  resolveRedisLogsOptions,
} from './options';
import { RedisConnection } from './redis-connection';
import { RedisLease } from './redis-lease';
import { compareIds, FIRST, isId, RedisStream } from './redis-stream';
import { RedisSubscriptions } from './subscriptions';

/**
 * Creates the logs of one Redis.
 *
 * @example
 * const logs: RedisLogs = redisLogs(client);
 * const prices = new Channel({ log: logs('prices') });
 * const news = new Channel({ log: logs('news', { maxAgeMs: 24 * 60 * 60_000 }) });
 */
export interface RedisLogs {
  /**
   * Returns the log that Redis stores under a key. All processes that use the same key share one log.
   *
   * @param key a string that is not empty; the prefix is prepended to it
   * @param options `maxEvents`: the number of events that Redis retains, possibly up to a hundred more · `maxAgeMs`:
   *   milliseconds for which Redis retains an event · `cacheSize`: the number of newest events that each process caches
   *   while it has subscribers · `uniqueIds`: whether no other log of this Redis has an equal id
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
   * @default `{ maxEvents: 1_000, maxAgeMs: false, cacheSize: 1_000, uniqueIds: false }`
   * @example
   * const prices = new Channel<Price>({ log: logs('prices', { maxEvents: 10_000 }) });
   */
  (key: string, options?: RedisLogOptions): EventLog;
  /**
   * Closes both connections of these logs; the client stays open. Close the channels first: afterwards, their
   * subscribers receive nothing. May be called more than once.
   *
   * @returns a promise, always the same, that resolves when both connections are closed
   * @example
   * await prices.close();
   * await logs.close();
   */
  close(): Promise<void>;
}

/** Milliseconds to wait before a read that Redis has refused is sent again. */
const REFUSED_RETRY_MS = 1_000;

/** The largest difference in speed between the clock of Redis and that of this process, as a fraction of elapsed time. */
const MAX_DRIFT = 0.001;

/**
 * Creates logs on Redis Streams, for channels that span several processes: subscribers in every process receive each
 * event once and in order, and a client can resume from any process. Requires Redis 6.2 or later, with a clock that never
 * goes backwards.
 *
 * It opens two connections, for any number of logs. While Redis is disconnected, `publish` rejects and subscribers stay
 * connected; after it has reconnected, they receive the events that they missed.
 *
 * An acknowledged event is as durable as Redis makes it. With `appendfsync always`, no acknowledged event is lost when
 * Redis is killed. With weaker settings, a subscriber that had not received a lost event receives a `gap`.
 *
 * @param client a client of `redis` (4 or later) or `ioredis` (5 or later), or a cluster client of either. No command is
 *   sent on it
 * @param options `prefix`: prepended to each key
 * @throws `TypeError` `ERR_SSE_INVALID_OPTION` immediately
 * @default `{ prefix: 'sse:' }`
 * @example
 * const client = await createClient({ url: process.env.REDIS_URL }).connect();
 * const logs = redisLogs(client);
 * const prices = new Channel<Price>({ log: logs('prices', { maxEvents: 10_000 }) });
 */
export function redisLogs(client: RedisClient, options?: RedisLogsOptions): RedisLogs {
  const { prefix } = resolveRedisLogsOptions(options);
  const link = new RedisLink(addressOf(client), prefix);
  const logs = (key: string, logOptions?: RedisLogOptions) => {
    const resolved = resolveRedisLogOptions(logOptions);
    const log = new RedisLog(link, prefix + checkedKey(key), resolved);
    return resolved.uniqueIds ? withUniqueIds(log, link.address.keyPrefix + prefix + key) : log;
  };
  return Object.assign(logs, { close: () => link.close() });
}

/** Shared by the logs of one `redisLogs()`: a connection for commands, one for messages, and one warning for each outage. */
class RedisLink {
  readonly address: RedisAddress;
  readonly commands: RedisConnection;
  readonly subscriptions: RedisSubscriptions;
  readonly leases: RedisLeases;
  /** Whether the warning of this outage was emitted. */
  #warned = false;
  #closed: Promise<void> | undefined;

  constructor(address: RedisAddress, prefix: string) {
    const onReady = () => this.#onReady();
    const onLost = (error: unknown) => this.#warnOnce(error);
    this.address = address;
    this.subscriptions = new RedisSubscriptions(address.connectForMessages, { onReady, onLost });
    this.commands = new RedisConnection(address.connectForCommands, {
      onReady,
      onLost,
      onMessage: () => undefined,
    });
    this.leases = new RedisLeases(this.commands, this.subscriptions, {
      prefix: address.keyPrefix + prefix,
      isCluster: address.isCluster,
    });
  }

  close(): Promise<void> {
    this.leases.close();
    this.#closed ??= Promise.all([this.commands.close(), this.subscriptions.close()]).then(() => undefined);
    return this.#closed;
  }

  #onReady(): void {
    if (this.commands.driver !== undefined && this.subscriptions.ready) this.#warned = false;
  }

  #warnOnce(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    emitWarning(
      'SSE_REDIS_LOST',
      `Lost the connection to Redis (${messageOf(error)}). Until it is restored, publishing rejects and subscribers receive ` +
        'nothing; afterwards they receive the events that they missed.',
    );
  }
}

/** A log that is stored in a Redis stream. The ids of the stream's entries are the ids of the events. */
class RedisLog implements EventLog {
  readonly cacheSize: number;
  readonly #link: RedisLink;
  readonly #stream: RedisStream;
  readonly #options: Required<RedisLogOptions>;
  /** The greatest id that was appended or received in this process. */
  #newest = FIRST;
  #lease: RedisLease | undefined;

  constructor(link: RedisLink, key: string, options: Required<RedisLogOptions>) {
    const { keyPrefix, database } = link.address;
    this.cacheSize = options.cacheSize;
    this.#link = link;
    this.#stream = new RedisStream(link.commands, keyPrefix + key, database);
    this.#options = options;
  }

  get lease(): LogLease {
    this.#lease ??= new RedisLease({
      stream: this.#stream,
      bounds: this.#options,
      connection: this.#link.commands,
      leases: this.#link.leases,
      onAppended: (id) => this.#updateNewest(id),
    });
    return this.#lease;
  }

  append(record: EventRecord): Promise<string> {
    return this.#append(record);
  }

  appendOnce(record: EventRecord, idempotencyKey: string): Promise<string> {
    return this.#append(record, idempotencyKey);
  }

  async #append(record: EventRecord, idempotencyKey?: string): Promise<string> {
    const id = await this.#stream.append(record, this.#options, idempotencyKey);
    if (id === undefined) throw endedError();
    this.#updateNewest(id);
    return id;
  }

  async read(after: string, limit: number): Promise<LogPage> {
    if (after === '' || isId(after)) {
      const { entries, contiguous } = await this.#stream.page(after, limit);
      if (contiguous) return { entries, gap: false };
    }
    const { entries } = await this.#stream.page('', limit);
    return { entries, gap: true };
  }

  /**
   * Redis replies after the call, and every entry that is appended in between must have a greater id than the head. So this
   * finds the last entry at the time of the call, by the clock of Redis. An earlier entry is acceptable, a later one is not.
   */
  async head(): Promise<LogHead> {
    const calledAt = performance.now();
    const newest = this.#newest;
    const { id: last, ended, now } = await this.#stream.head();
    const elapsed = performance.now() - calledAt;
    const moment = Math.floor(now - elapsed * (1 + MAX_DRIFT));
    const id = compareIds(last, `${moment}-0`) < 0 ? last : await this.#stream.idBefore(moment, last);
    return { id: compareIds(newest, id) > 0 ? newest : id, ended };
  }

  subscribe(subscriber: LogSubscriber): LogSubscription {
    const { subscriptions, commands } = this.#link;
    const { channel } = this.#stream;
    const follower = new StreamFollower({
      stream: this.#stream,
      subscriber,
      onReceived: (id) => this.#updateNewest(id),
      onStop: (stopped) => subscriptions.unsubscribe(channel, stopped),
      pause: () => commands.pause(REFUSED_RETRY_MS),
    });
    subscriptions.subscribe(channel, follower);
    return follower;
  }

  compare(a: string, b: string): number {
    return compareIds(a, b);
  }

  idBeforeNewest(count: number): Promise<string | undefined> {
    return this.#stream.idBeforeNewest(count);
  }

  async hasSubscribers(): Promise<boolean> {
    return (await this.#stream.subscriberCount()) > 0;
  }

  #updateNewest(id: string): void {
    if (compareIds(id, this.#newest) > 0) this.#newest = id;
  }
}

function checkedKey(key: unknown): string {
  if (typeof key === 'string' && key !== '') return key;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected the key of a log to be a non-empty string, got ${describe(key)}. ` +
      "Use one key for each channel, as in logs('prices').",
  );
}
