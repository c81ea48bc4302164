import { describe, emitWarning, endedError, wrongType } from '../errors';
import type { EventRecord } from '../format/record';
import type { EventLog, LogHead, LogPage, LogSubscriber, LogSubscription } from '../log/event-log';
import { addressOf, type RedisAddress, type RedisClient } from './address';
import { Hearing } from './follower';
import {
  type RedisLogOptions,
  type RedisLogsOptions,
  resolveRedisLogOptions,
  resolveRedisLogsOptions,
} from './options';
import { RedisConnection } from './redis-connection';
import { compareIds, FIRST, isId, RedisStream } from './redis-stream';
import { RedisSubscriptions } from './subscriptions';

/**
 * Makes the logs of one Redis.
 *
 * @example
 * const logs: RedisLogs = redisLogs(client);
 * const prices = new Channel({ log: logs('prices') });
 * const news = new Channel({ log: logs('news', { maxAgeMs: 24 * 60 * 60_000 }) });
 */
export interface RedisLogs {
  /**
   * The log that Redis keeps under a key. Every process that asks for the same key has the same log.
   *
   * @param key not empty; the prefix goes in front of it
   * @param options `maxEvents`: how many events Redis retains, perhaps a hundred more · `maxAgeMs`: for how long ·
   *   `cacheSize`: how many of the newest each process holds while it has subscribers
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` at once
   * @default `{ maxEvents: 1_000, maxAgeMs: false, cacheSize: 1_000 }`
   * @example
   * const prices = new Channel<Price>({ log: logs('prices', { maxEvents: 10_000 }) });
   */
  (key: string, options?: RedisLogOptions): EventLog;
  /**
   * Closes the connections of all its logs; the client stays as it is. Close the channels first: their subscribers hear
   * nothing afterwards.
   *
   * @returns a promise, always the same, that resolves when both connections are gone
   * @example
   * await prices.close();
   * await logs.close();
   */
  close(): Promise<void>;
}

/** How long Redis is left alone after it has refused what a follower needs, milliseconds. */
const REFUSED_MS = 1_000;

/** Two clocks that run side by side differ by less than this part of the time. */
const MAX_DRIFT = 0.001;

/**
 * Logs on Redis Streams, for one channel in many processes: what one publishes, the subscribers of all get, each event
 * once and in order; and a client can come back to any of them. Needs Redis 6.2 or later, whose clock does not go back.
 *
 * What was acknowledged is as safe as Redis keeps it: with `appendfsync always`, nothing is lost when Redis is killed;
 * with less, what it has lost is a gap to those who had not got it.
 *
 * It makes two connections of its own, however many logs there are. While Redis is away, publishing rejects and
 * subscribers stay; when it is back, they get what they have missed.
 *
 * @param client a client of `redis` (4 or later) or `ioredis` (5 or later), also a cluster's. Nothing is sent on it
 * @param options `prefix`: goes in front of each key
 * @throws `TypeError` `ERR_SSE_INVALID_OPTION` at once
 * @default `{ prefix: 'sse:' }`
 * @example
 * const client = await createClient({ url: process.env.REDIS_URL }).connect();
 * const logs = redisLogs(client);
 * const prices = new Channel<Price>({ log: logs('prices', { maxEvents: 10_000 }) });
 */
export function redisLogs(client: RedisClient, options?: RedisLogsOptions): RedisLogs {
  const { prefix } = resolveRedisLogsOptions(options);
  const link = new RedisLink(addressOf(client));
  const logs = (key: string, logOptions?: RedisLogOptions) => {
    const resolved = resolveRedisLogOptions(logOptions);
    return new RedisLog(link, prefix + checkedKey(key), resolved);
  };
  return Object.assign(logs, { close: () => link.close() });
}

/** What all logs of one Redis share: a connection for commands, one for messages, and what is told of an outage. */
class RedisLink {
  readonly address: RedisAddress;
  readonly commands: RedisConnection;
  readonly subscriptions: RedisSubscriptions;
  /** Whether this outage has been told of. */
  #warned = false;
  #closing: Promise<void> | undefined;

  constructor(address: RedisAddress) {
    const onReady = () => this.#onReady();
    const onLost = (error: unknown) => this.#warn(error);
    this.address = address;
    this.subscriptions = new RedisSubscriptions(address.dialForMessages, { onReady, onLost });
    this.commands = new RedisConnection(address.dialForCommands, {
      onReady,
      onLost,
      onMessage: () => undefined,
    });
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([this.commands.close(), this.subscriptions.close()]).then(() => undefined);
    return this.#closing;
  }

  #onReady(): void {
    if (this.commands.line !== undefined && this.subscriptions.ready) this.#warned = false;
  }

  #warn(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    const reason = error instanceof Error ? error.message : String(error);
    emitWarning(
      'SSE_REDIS_LOST',
      `Lost the connection to Redis (${reason}). Until it is back, publishing rejects and subscribers hear nothing; ` +
        'then they get what they have missed.',
    );
  }
}

/** A stream of Redis as a log. Its entries' ids are the events' ids. */
class RedisLog implements EventLog {
  readonly cacheSize: number;
  readonly #link: RedisLink;
  readonly #stream: RedisStream;
  readonly #options: Required<RedisLogOptions>;
  /** The newest id that was appended or heard here. */
  #newest = FIRST;

  constructor(link: RedisLink, key: string, options: Required<RedisLogOptions>) {
    const { keyPrefix, database } = link.address;
    this.cacheSize = options.cacheSize;
    this.#link = link;
    this.#stream = new RedisStream(link.commands, keyPrefix + key, database);
    this.#options = options;
  }

  async append(record: EventRecord): Promise<string> {
    const id = await this.#stream.append(record, this.#options);
    if (id === undefined) throw endedError();
    this.#notice(id);
    return id;
  }

  async read(after: string, limit: number): Promise<LogPage> {
    if (after === '' || isId(after)) {
      const { entries, joined } = await this.#stream.page(after, limit);
      if (joined) return { entries, gap: false };
    }
    const { entries } = await this.#stream.page('', limit);
    return { entries, gap: true };
  }

  /**
   * The answer comes later than the question, and what is appended meanwhile must come after it. So the entry is looked
   * for that was the last at the time of the question, by the clock of Redis; rather one too early than one too late.
   */
  async head(): Promise<LogHead> {
    const askedAt = performance.now();
    const newest = this.#newest;
    const { id: last, ended, now } = await this.#stream.tail();
    const elapsed = performance.now() - askedAt;
    const moment = Math.floor(now - elapsed * (1 + MAX_DRIFT));
    const id = compareIds(last, `${moment}-0`) < 0 ? last : await this.#stream.idBefore(moment, last);
    return { id: compareIds(newest, id) > 0 ? newest : id, ended };
  }

  subscribe(follower: LogSubscriber): LogSubscription {
    const { subscriptions, commands } = this.#link;
    const { channel } = this.#stream;
    const hearing = new Hearing({
      stream: this.#stream,
      follower,
      onHeard: (id) => this.#notice(id),
      onStop: (stopped) => subscriptions.leave(channel, stopped),
      pause: () => commands.pause(REFUSED_MS),
    });
    subscriptions.join(channel, hearing);
    return hearing;
  }

  compare(a: string, b: string): number {
    return compareIds(a, b);
  }

  async hasSubscribers(): Promise<boolean> {
    return (await this.#stream.listeners()) > 0;
  }

  #notice(id: string): void {
    if (compareIds(id, this.#newest) > 0) this.#newest = id;
  }
}

function checkedKey(key: unknown): string {
  if (typeof key === 'string' && key !== '') return key;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected the key of a log to be a non-empty string, got ${describe(key)}. Use one for each channel, as in logs('prices').`,
  );
}
