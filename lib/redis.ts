/**
 * Logs on Redis, for channels that span several processes. `import { redisLogs } from 'express-yield/redis'`.
 *
 * @module express-yield/redis
 */

export type { EventLog } from './log/event-log';
export type { RedisClient } from './redis/address';
export type { RedisLogOptions, RedisLogsOptions } from './redis/options';
export { type RedisLogs, redisLogs } from './redis/redis-log';
