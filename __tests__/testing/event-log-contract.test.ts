import { type EventLog, memoryLog } from '../../lib/index';
import { type RedisLogs, redisLogs } from '../../lib/redis';
import { eventLogContract } from '../../lib/testing';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';

describe('memoryLog()', () => {
  for (const { name, run } of eventLogContract) {
    it(name, () => {
      const logs = new Map<string, EventLog>();
      return run((key, maxEvents) => {
        const log = logs.get(key) ?? memoryLog({ maxEvents });
        logs.set(key, log);
        return log;
      });
    });
  }
});

for (const [client, connect] of CLIENTS) {
  describeWithRedis(`redisLogs() with ${client}`, (server) => {
    let connected: Connected;
    const processes: RedisLogs[] = [];
    let cases = 0;

    beforeAll(async () => {
      connected = await connect(server.port);
    });

    afterEach(() => Promise.all(processes.splice(0).map((logs) => logs.close())));

    afterAll(() => connected.end());

    for (const { name, run } of eventLogContract) {
      it(name, () => {
        const prefix = `case${cases++}:`;
        // Each call has its own connections, as a separate process would.
        return run((key, maxEvents) => {
          const logs = redisLogs(connected.client, { prefix });
          processes.push(logs);
          return logs(key, { maxEvents });
        });
      });
    }
  });
}
