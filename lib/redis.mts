// The CommonJS build is the package: `import` and `require` in one process share its classes.
export type { EventLog, RedisClient, RedisLogOptions, RedisLogs, RedisLogsOptions } from './redis.js';
export { redisLogs } from './redis.js';
