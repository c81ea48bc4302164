/**
 * The log of a channel on Redis, for many processes. `import { redisLogs } from 'express-yield/redis'`.
 *
 * @module express-yield/redis
 */

export type { EventLog } from './channel/event-log';
export type { RedisClient } from './channel/redis-client';
export { type RedisLogs, redisLogs } from './channel/redis-log';
export type { RedisLogOptions, RedisLogsOptions } from './options';
