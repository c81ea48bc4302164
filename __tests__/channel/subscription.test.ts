import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel, type EventLog, memoryLog, type Subscription } from '../../lib';
import { Gate } from '../support/gate';
import { LibTimers } from '../support/timers';

const DONE = { done: true, value: undefined };

/** The data of the next `count` events. */
async function take(subscription: Subscription, count: number): Promise<unknown[]> {
  const data = [];
  for (let i = 0; i < count; i++) data.push(((await subscription.next()).value as { data: unknown }).data);
  return data;
}

/** A decorated log in memory that counts its subscriptions, with some methods replaced. */
function countedLog(other: Partial<EventLog> = {}): EventLog & { subscriptions: number } {
  const inner = memoryLog();
  const log = {
    subscriptions: 0,
    append: inner.append.bind(inner),
    read: inner.read.bind(inner),
    head: inner.head.bind(inner),
    compare: inner.compare.bind(inner),
    subscribe(subscriber: Parameters<EventLog['subscribe']>[0]) {
      const { from, close } = inner.subscribe(subscriber);
      log.subscriptions++;
      let closed = false;
      return {
        from,
        close: () => {
          if (!closed) log.subscriptions--;
          closed = true;
          close();
        },
      };
    },
    ...other,
  };
  return log;
}

describe('reading with for await', () => {
  it('receives events with their fields, and unsubscribes on break', async () => {
    const channel = new Channel<{ n: number }>();
    const subscription = channel.subscribe();
    const id = await channel.publish({ n: 1 });

    for await (const each of subscription) {
      expect(each).toMatchObject({ type: undefined, data: { n: 1 }, id });
      expect(channel.size).toBe(1);
      break;
    }

    expect(channel.size).toBe(0);
    expect(await subscription.next()).toEqual(DONE);
  });

  it('starts when the loop starts if it reads the channel itself', async () => {
    const channel = new Channel<number>();
    await channel.publish(1);
    const iterator = channel[Symbol.asyncIterator]();
    await channel.publish(2);

    expect(await take(iterator, 1)).toEqual([2]);
    await iterator.return();
  });

  it('ends with the value of end()', async () => {
    const channel = new Channel();
    const subscription = channel.subscribe();

    await channel.publish(1);
    await channel.end({ rows: 1 });

    expect(await take(subscription, 1)).toEqual([1]);
    expect(await subscription.next()).toEqual({ done: true, value: { rows: 1 } });
    expect(await subscription.next()).toEqual(DONE);
    expect(channel.size).toBe(0);
  });

  it('throws once when the channel is closed, and is done afterwards', async () => {
    const channel = new Channel();
    const subscription = channel.subscribe();
    const pending = subscription.next();

    await channel.close();

    await expect(pending).rejects.toMatchObject({ name: 'SseError', code: 'ERR_SSE_CHANNEL_CLOSED' });
    expect(await subscription.next()).toEqual(DONE);
    await expect(channel.subscribe().next()).rejects.toMatchObject({ code: 'ERR_SSE_CHANNEL_CLOSED' });
  });

  it('throws on the next call if the channel was closed between two calls', async () => {
    const channel = new Channel();
    const subscription = channel.subscribe();
    await channel.publish(1);
    await subscription.next();

    await channel.close();

    await expect(subscription.next()).rejects.toMatchObject({ code: 'ERR_SSE_CHANNEL_CLOSED' });
    expect(await subscription.next()).toEqual(DONE);
  });

  it('throws when the log is trimmed past it', async () => {
    const channel = new Channel({ log: memoryLog({ maxEvents: 2 }) });
    const subscription = channel.subscribe();
    await channel.publish(0);
    await subscription.next();

    for (const n of [1, 2, 3]) await channel.publish(n);

    await expect(subscription.next()).rejects.toMatchObject({ name: 'SseError', code: 'ERR_SSE_OVERFLOW' });
    expect([channel.size, await subscription.next()]).toEqual([0, DONE]);
  });

  it('receives a gap instead with overflow: skip, each time', async () => {
    const channel = new Channel({ overflow: 'skip', log: memoryLog({ maxEvents: 2 }) });
    const subscription = channel.subscribe();
    const ids: string[] = [];
    const publish = async () => {
      for (let n = 0; n < 4; n++) ids.push(await channel.publish(n));
    };
    await channel.publish('first');
    const { id: first } = (await subscription.next()).value as { id: string };

    await publish();
    const [gap] = await take(subscription, 1);
    expect(gap).toEqual({ lastEventId: first, oldest: ids[2] });
    expect(await take(subscription, 2)).toEqual([2, 3]);
    await publish();

    expect(await take(subscription, 3)).toEqual([{ lastEventId: ids[3], oldest: ids[6] }, 2, 3]);
    await subscription.return();
  });

  it('throws the error of its filter, after the earlier events', async () => {
    const channel = new Channel<number>();
    const boom = new Error('boom');
    const subscription = channel
      .filter((n) => {
        if (n === 2) throw boom;
        return true;
      })
      .subscribe();

    await Promise.all([1, 2, 3].map((n) => channel.publish(n)));

    expect(await take(subscription, 1)).toEqual([1]);
    await expect(subscription.next()).rejects.toBe(boom);
    expect([channel.size, await subscription.next()]).toEqual([0, DONE]);
  });

  it('does not block the event loop if its filter publishes for each event', async () => {
    const channel = new Channel<number>();
    let calls = 0;
    const subscription = channel
      .filter(() => {
        calls++;
        if (calls < 20_000) void channel.publish(calls);
        return false;
      })
      .subscribe();
    const pending = subscription.next();

    void channel.publish(0);
    await setImmediate();
    const inOneTurn = calls;
    await subscription.return();

    expect(await pending).toEqual(DONE);
    expect(inOneTurn).toBeGreaterThan(0);
    expect(inOneTurn).toBeLessThan(10_000);
  });

  it('throws the error of parse', async () => {
    const channel = new Channel({ serialize: () => 'no JSON', replay: true });
    await channel.publish({});

    await expect(channel.subscribe().next()).rejects.toThrow(SyntaxError);
    expect(channel.size).toBe(0);
  });
});

describe('next()', () => {
  it('can be called again before it has resolved; the calls receive the events in order', async () => {
    const channel = new Channel();
    const subscription = channel.subscribe();
    const calls = [1, 2, 3, 4].map(() => subscription.next());

    await Promise.all(['a', 'b'].map((each) => channel.publish(each)));
    await channel.publish('c');
    await channel.end('over');

    expect(await Promise.all(calls)).toMatchObject([
      { done: false, value: { data: 'a' } },
      { done: false, value: { data: 'b' } },
      { done: false, value: { data: 'c' } },
      { done: true, value: 'over' },
    ]);
  });

  it('rejects the first of several pending calls when the channel is closed, and resolves the others as done', async () => {
    const channel = new Channel();
    const subscription = channel.subscribe();
    const calls = [1, 2, 3].map(() => subscription.next());

    await channel.close();

    expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
  });

  it('does not block the publisher while it is not called', async () => {
    const channel = new Channel({ log: memoryLog({ maxEvents: 4 }) });
    const subscription = channel.subscribe();
    await channel.publish(0);
    await subscription.next();

    for (let n = 0; n < 1_000; n++) await channel.publish(n);

    await expect(subscription.next()).rejects.toMatchObject({ code: 'ERR_SSE_OVERFLOW' });
  });
});

describe('return()', () => {
  it('before next() ends the subscription, which never subscribes to the log', async () => {
    const log = countedLog();
    const channel = new Channel({ log });
    const subscription = channel.subscribe();

    expect(await subscription.return('mine')).toEqual({ done: true, value: 'mine' });
    await channel.publish(1);

    expect([await subscription.next(), log.subscriptions]).toEqual([DONE, 0]);
  });

  it('resolves pending calls immediately', async () => {
    const channel = new Channel();
    const subscription = channel.subscribe();
    const calls = [subscription.next(), subscription.next()];

    await subscription.return();
    await channel.publish(1);

    expect(await Promise.all(calls)).toEqual([DONE, DONE]);
    expect([channel.size, await subscription.return()]).toEqual([0, DONE]);
  });

  it('during a delivery does not skip other subscribers', async () => {
    const channel = new Channel<number>();
    const got: number[] = [];
    const subscriptions = Array.from({ length: 5 }, () => channel.subscribe());
    const readers = subscriptions.map(async (subscription, index) => {
      for await (const { data } of subscription) {
        got.push(data as number);
        if (index === 1) for (const other of subscriptions.slice(2, 4)) void other.return();
        if (data === 2) break;
      }
    });

    for (const n of [1, 2]) await channel.publish(n);
    await Promise.all(readers);

    expect(got.filter((n) => n === 2)).toHaveLength(3);
    expect(channel.size).toBe(0);
  });
});

describe('the signal', () => {
  it('rejects a pending call with its reason', async () => {
    const channel = new Channel();
    const controller = new AbortController();
    const subscription = channel.subscribe({ signal: controller.signal });
    const pending = subscription.next();

    controller.abort(new Error('enough'));

    await expect(pending).rejects.toThrow('enough');
    expect([channel.size, await subscription.next()]).toEqual([0, DONE]);
  });

  it('that has already aborted leaves no subscription to the log', async () => {
    const log = countedLog();
    const channel = new Channel({ log });
    const subscription = channel.subscribe({ signal: AbortSignal.abort() });

    await expect(subscription.next()).rejects.toMatchObject({ name: 'AbortError' });

    expect([log.subscriptions, channel.size, await subscription.next()]).toEqual([0, 0, DONE]);
  });

  it.each([
    ['return()', (subscription: Subscription) => subscription.return()],
    ['the end', (_: Subscription, channel: Channel) => channel.end()],
    ['close()', (_: Subscription, channel: Channel) => channel.close()],
  ])('has no listener after %s', async (_name, end) => {
    const channel = new Channel();
    const { signal } = new AbortController();
    const remove = jest.spyOn(signal, 'removeEventListener');
    const add = jest.spyOn(signal, 'addEventListener');
    const subscription = channel.subscribe({ signal });
    const pending = subscription.next().catch(() => undefined);

    await end(subscription, channel);
    await pending;

    expect(add).toHaveBeenCalledTimes(1);
    expect(remove.mock.calls).toEqual([add.mock.calls[0]?.slice(0, 2)]);
  });
});

describe('lastEventId', () => {
  it('is the position from which another subscription resumes', async () => {
    const channel = new Channel<number>();
    const filtered = channel.filter((n) => n % 2 === 0);
    const subscription = filtered.subscribe();
    for (const n of [1, 2, 3, 4, 5]) await channel.publish(n);

    const first = await take(subscription, 1);
    const rest = await take(filtered.subscribe({ lastEventId: subscription.lastEventId }), 1);

    expect([first, rest]).toEqual([[2], [4]]);
    await subscription.return();
  });
});

describe('a log that fails', () => {
  const fail = () => Promise.reject(new Error('unavailable'));
  const close = (): void => undefined;

  it.each([
    ['head', { head: fail }, {}],
    ['subscribe', { subscribe: () => ({ from: fail(), close }) }, {}],
    ['read', { read: fail, subscribe: () => ({ from: 'other-1', close }) }, { lastEventId: 'x' }],
  ])('in %s() rejects next(), and causes no unhandled rejection', async (_name, other, subscriber) => {
    const channel = new Channel({ log: countedLog(other) });

    channel.subscribe(subscriber);
    const subscription = channel.subscribe(subscriber);

    await expect(subscription.next()).rejects.toThrow('unavailable');
    // An unhandled rejection would fail the test.
    await setImmediate();
    expect([channel.size, await subscription.next()]).toEqual([0, DONE]);
  });

  it('in append() rejects publish() and end()', async () => {
    const channel = new Channel({ log: countedLog({ append: fail }) });

    await expect(channel.publish(1)).rejects.toThrow('unavailable');
    await expect(channel.end()).rejects.toThrow('unavailable');
  });

  it('has no subscription after the channel was closed', async () => {
    const log = countedLog();
    const channel = new Channel({ log });
    await channel.close();

    await expect(channel.subscribe().next()).rejects.toMatchObject({ code: 'ERR_SSE_CHANNEL_CLOSED' });

    expect(log.subscriptions).toBe(0);
  });

  it('does not block a publisher that has published while the first reader subscribed', async () => {
    const [appended, joined] = [new Gate(), new Gate()];
    const inner = memoryLog();
    const channel = new Channel({
      log: countedLog({
        append: async (record) => {
          const id = await inner.append(record);
          await appended.promise;
          return id;
        },
        head: () => inner.head(),
        read: (after, limit) => inner.read(after, limit),
        compare: (a, b) => inner.compare(a, b),
        subscribe: (follower) => {
          const { from, close } = inner.subscribe(follower);
          return { from: joined.promise.then(() => from), close };
        },
      }),
    });
    const publishing = channel.publish(1);
    const subscription = channel.subscribe();
    const pending = subscription.next();

    appended.open();
    await setImmediate();
    joined.open();
    const id = await publishing;

    expect(id).toMatch(/-1$/);
    await subscription.return();
    await pending;
  });
});

describe('maxAgeMs', () => {
  it('causes a gap for a client that resumes too late, with and without retained events', async () => {
    const timers = new LibTimers();
    const channel = new Channel({ log: memoryLog({ maxAgeMs: 250 }) });
    const a = await channel.publish('a');
    const b = await channel.publish('b');
    await sleep(255);

    const early = channel.subscribe({ lastEventId: a });
    const last = channel.subscribe({ lastEventId: b });
    expect(await take(early, 1)).toEqual([{ lastEventId: a, oldest: null }]);
    const c = await channel.publish('c');

    expect([await take(early, 1), await take(last, 1)]).toEqual([['c'], ['c']]);
    expect(await take(channel.subscribe({ lastEventId: a }), 2)).toEqual([
      { lastEventId: a, oldest: c },
      'c',
    ]);
    await Promise.all([early.return(), last.return()]);
    while (timers.active().length > 0) await sleep(5);
    timers.stop();
  });

  it('leaves no timer when nothing is retained', async () => {
    const timers = new LibTimers();
    const channel = new Channel({ log: memoryLog({ maxAgeMs: 10 }) });
    const ended = new Channel({ log: memoryLog({ maxAgeMs: 10 }) });

    await channel.publish('a');
    await ended.publish('a');
    await ended.end();
    while (timers.active().length > 0) await sleep(5);

    expect(timers.stop()).toEqual([]);
  });
});
