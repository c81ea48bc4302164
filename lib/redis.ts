export type { EventLog } from './channel/event-log';
export type { RedisClient } from './channel/redis-client';
export { type RedisLogs, redisLogs } from './channel/redis-log';
export type { RedisLogOptions, RedisLogsOptions } from './options';
