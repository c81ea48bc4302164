import { Channel, type EventLog, memoryLog } from '../../lib';
import { eventLogContract } from '../../lib/testing';

/** The decorator that the reference documents: any log, with every append measured. */
function measured(
  log: EventLog,
  onAppend: () => void,
  read: EventLog['read'] = (...args) => log.read(...args),
): EventLog {
  return {
    append: async (record) => {
      const id = await log.append(record);
      onAppend();
      return id;
    },
    read,
    head: () => log.head(),
    subscribe: (subscriber) => log.subscribe(subscriber),
    compare: (a, b) => log.compare(a, b),
    idBeforeNewest: log.idBeforeNewest && ((count) => log.idBeforeNewest?.(count)),
    hasSubscribers: log.hasSubscribers && (() => log.hasSubscribers?.() ?? false),
    appendOnce: log.appendOnce?.bind(log),
    lease: log.lease,
    cacheSize: log.cacheSize,
    window: log.window,
  };
}

describe('a decorated memoryLog()', () => {
  for (const { name, run } of eventLogContract) {
    it(name, () => {
      const logs = new Map<string, EventLog>();
      return run((key, maxEvents) => {
        const log = logs.get(key) ?? measured(memoryLog({ maxEvents }), () => undefined);
        logs.set(key, log);
        return log;
      });
    });
  }

  it('is replayed from its window, and is not read', async () => {
    let appends = 0;
    const read = jest.fn<ReturnType<EventLog['read']>, Parameters<EventLog['read']>>();
    const channel = new Channel<number>({ log: measured(memoryLog(), () => appends++, read) });
    const first = await channel.publish(1);
    await channel.publish(2);

    const subscription = channel.subscribe({ lastEventId: first });

    expect(await subscription.next()).toMatchObject({ value: { data: 2 } });
    expect([appends, read.mock.calls.length]).toEqual([2, 0]);
    await subscription.return();
    expect(channel.size).toBe(0);
  });

  it('ends a subscriber that is too slow exactly as the log that it decorates does', async () => {
    const ends: unknown[] = [];
    for (const decorate of [(log: EventLog) => log, (log: EventLog) => measured(log, () => undefined)]) {
      const channel = new Channel<number>({ log: decorate(memoryLog({ maxEvents: 2 })) });
      const subscription = channel.subscribe();
      const next = subscription.next();
      await channel.publish(1);
      await next;
      for (const n of [2, 3, 4, 5]) await channel.publish(n);
      ends.push(await subscription.next().catch(({ code }: { code: string }) => code), channel.size);
    }

    expect(ends).toEqual(['ERR_SSE_OVERFLOW', 0, 'ERR_SSE_OVERFLOW', 0]);
  });
});
