import { type Checks, checked, count, delay, ofType } from '../validate';

/**
 * The options of all logs of one Redis.
 *
 * @example
 * const logs = redisLogs(client, { prefix: 'shop:events:' });
 */
export interface RedisLogsOptions {
  /**
   * Prepended to the key of each log, after the client's own `keyPrefix`. `''` for none.
   * @default 'sse:'
   */
  readonly prefix?: string | undefined;
}

/**
 * How much a log on Redis retains. All processes should use the same limits for a key.
 *
 * @example
 * const prices = new Channel({ log: logs('prices', { maxEvents: 10_000, maxAgeMs: 24 * 60 * 60_000 }) });
 */
export interface RedisLogOptions {
  /**
   * The number of events that Redis retains: a positive integer. Redis may retain up to a hundred more.
   * @default 1_000
   */
  readonly maxEvents?: number | undefined;
  /**
   * Milliseconds for which Redis retains an event. Older events are removed when the next one is appended. A log without a new
   * event for this time is deleted. `false` sets no limit.
   * @default false
   */
  readonly maxAgeMs?: number | false | undefined;
  /**
   * The number of newest events that each process caches in memory while it has subscribers: a positive integer. A
   * subscriber that needs older events reads them from Redis.
   * @default 1_000
   */
  readonly cacheSize?: number | undefined;
  /**
   * Whether an id contains the name of its log, so that no other log of this Redis has an equal one: otherwise, two events
   * that two logs store in the same millisecond have the same id. For a protocol that must not resume a stream with the id
   * of another, such as MCP; ask with `channel.canResume(id)`. Each id is 23 bytes longer. All processes must use the same
   * value for a key.
   * @default false
   */
  readonly uniqueIds?: boolean | undefined;
}

const LOGS_DEFAULTS: Required<RedisLogsOptions> = { prefix: 'sse:' };

const LOG_DEFAULTS: Required<RedisLogOptions> = {
  maxEvents: 1_000,
  maxAgeMs: false,
  cacheSize: 1_000,
  uniqueIds: false,
};

const LOGS_CHECKS: Checks<RedisLogsOptions> = { prefix: ofType('string', 'a string') };

const LOG_CHECKS: Checks<RedisLogOptions> = {
  maxEvents: count,
  maxAgeMs: delay(1, 'optional'),
  cacheSize: count,
  uniqueIds: ofType('boolean', 'true or false'),
};

/** @throws `TypeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRedisLogsOptions(options: RedisLogsOptions | undefined): Required<RedisLogsOptions> {
  return { ...LOGS_DEFAULTS, ...checked(options, LOGS_CHECKS) };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRedisLogOptions(options: RedisLogOptions | undefined): Required<RedisLogOptions> {
  return { ...LOG_DEFAULTS, ...checked(options, LOG_CHECKS) };
}
