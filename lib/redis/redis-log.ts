import { describe, emitWarning, messageOf, wrongType } from '../errors';
import type { EventRecord } from '../format/record';
import type { EventLog, LogHead, LogPage, LogSubscriber, LogSubscription } from '../log/event-log';
import type { LogLease } from '../log/log-lease';
import { withUniqueIds } from '../log/unique-ids';
import { addressOf, type RedisAddress, type RedisClient } from './address';
import { AppendQueue } from './append-queue';
import { FIRST } from './append-script';
import { channelOf } from './channel-name';
import { StreamFollower } from './follower';
import { RedisLeases } from './leases';
import {
  type RedisLogOptions,
  type RedisLogsOptions,
  resolveRedisLogOptions,
  resolveRedisLogsOptions,
} from './options';
import type { RedisConnection } from './redis-connection';
import { RedisLease } from './redis-lease';
import { compareIds, isId, RedisStream } from './redis-stream';
import type { RedisSubscriptions } from './subscriptions';

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
   * Closes the connections of these logs; the client stays open. Close the channels first: afterwards, their
   * subscribers receive nothing. May be called more than once.
   *
   * @returns a promise, always the same, that resolves when the connections are closed
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
 * event once and in order, and a client can resume from any process. Requires Redis 6.2 or later.
 *
 * It opens two connections, on a cluster two to each master, for any number of logs. While Redis is disconnected, `publish`
 * rejects and subscribers stay connected; after it has reconnected, they receive the events that they missed.
 *
 * An acknowledged event is as durable as Redis makes it. With `appendfsync always`, no acknowledged event is lost when
 * Redis is killed. With weaker settings, or after a failover, a subscriber that had not received a lost event receives a `gap`,
 * if a process publishes that knows of the event. No id is assigned twice while a process lives that knows it.
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
  /** The number of reads that Redis refuses at the moment. */
  #refusedReads = 0;
  /** The errors of commands that were refused after an append, each warned of once. */
  readonly #refusedSteps = new Set<string>();
  readonly #closeConnections: () => Promise<void>;
  #closed: Promise<void> | undefined;

  constructor(address: RedisAddress, prefix: string) {
    const onReady = () => this.#onReady();
    const onLost = (error: unknown) => this.#warnOnce(error);
    this.address = address;
    const { commands, subscriptions, close } = address.open({ onReady, onLost });
    this.commands = commands;
    this.subscriptions = subscriptions;
    this.#closeConnections = close;
    this.leases = new RedisLeases(this.commands, this.subscriptions, {
      prefix: address.keyPrefix + prefix,
      isCluster: address.isCluster,
    });
  }

  close(): Promise<void> {
    this.leases.close();
    this.#closed ??= this.#closeConnections();
    return this.#closed;
  }

  /** Warns once for all reads that are refused at a time. @returns a function to call when this one has succeeded or ended */
  onRefusedRead(error: unknown): () => void {
    // What these logs refuse themselves is no fault of Redis.
    if (this.#refusedReads++ === 0 && this.#closed === undefined) {
      emitWarning(
        'SSE_REDIS_LOST',
        `Redis refuses to read a log (${messageOf(error)}). Until it allows that, subscribers receive nothing; afterwards they ` +
          'receive the events that they missed.',
      );
    }
    return () => {
      this.#refusedReads--;
    };
  }

  /** An event was appended, but a command that had to follow was refused. */
  onRefusedStep(error: string): void {
    if (this.#refusedSteps.has(error)) return;
    this.#refusedSteps.add(error);
    emitWarning(
      'SSE_REDIS_LOST',
      `Redis has stored an event, but refused a command that had to follow (${error}). If that is PUBLISH, subscribers receive ` +
        'the event late; if it is HSET, the idempotency key of the event is not known.',
    );
  }

  #onReady(): void {
    if (this.commands.ready && this.subscriptions.ready) this.#warned = false;
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
  readonly #appends: AppendQueue;
  /** The greatest id that was appended or received in this process. */
  #newest = FIRST;
  /** An id that was received in this process and that the stream has lost, until an entry says so. */
  #lost: string | undefined;
  #lease: RedisLease | undefined;

  constructor(link: RedisLink, key: string, options: Required<RedisLogOptions>) {
    const { keyPrefix, database } = link.address;
    const fullKey = keyPrefix + key;
    this.cacheSize = options.cacheSize;
    this.#link = link;
    this.#stream = new RedisStream(link.commands, fullKey, channelOf(fullKey, database));
    this.#options = options;
    this.#appends = new AppendQueue({
      stream: this.#stream,
      bounds: options,
      known: () => ({ newest: this.#newest, floor: this.#newest, lost: this.#lost }),
      onAppended: (id, { lost }) => {
        if (this.#lost === lost) this.#lost = undefined;
        this.#updateNewest(id);
      },
      onRefused: (error) => link.onRefusedStep(error),
    });
  }

  get lease(): LogLease {
    this.#lease ??= new RedisLease({
      stream: this.#stream,
      bounds: this.#options,
      connection: this.#link.commands,
      leases: this.#link.leases,
      newest: () => this.#newest,
      onAppended: (id) => this.#updateNewest(id),
      onRefused: (error) => this.#link.onRefusedStep(error),
    });
    return this.#lease;
  }

  append(record: EventRecord): Promise<string> {
    return this.#appends.append(record);
  }

  appendOnce(record: EventRecord, idempotencyKey: string): Promise<string> {
    return this.#appends.append(record, idempotencyKey);
  }

  async read(after: string, limit: number): Promise<LogPage> {
    if (after === '' || isId(after)) {
      const { entries, contiguous, head } = await this.#stream.page(after, limit);
      if (head === undefined) return { entries, gap: !contiguous };
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
    // The stream has lost what this process knows.
    if (compareIds(last, newest) < 0) return { id: last, ended };
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
      onLost: (id) => {
        this.#lost = id;
      },
      onLossReported: (id) => {
        if (this.#lost === id) this.#lost = undefined;
      },
      onRefused: (error) => this.#link.onRefusedRead(error),
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
