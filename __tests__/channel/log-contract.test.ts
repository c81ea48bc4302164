import { type EventLog, memoryLog } from '../../lib';
import { eventLogContract } from '../../lib/testing';

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
