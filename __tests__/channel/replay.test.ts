import { setImmediate } from 'node:timers/promises';
import {
  Channel,
  type ChannelEvent,
  type ChannelOptions,
  type EventLog,
  type LogPage,
  memoryLog,
  type Subscription,
} from '../../lib';
import { eventLogContract } from '../../lib/testing';
import { runWithGc } from '../support/gc-process';
import { releaseAll, serve } from '../support/serve';
import { Store, StoredLog } from '../support/stored-log';

afterEach(releaseAll);

/** The data of the events up to the newest one, and `gap` in the place of a gap. */
async function dataOf(subscription: Subscription<number>, last: number): Promise<unknown[]> {
  const all: unknown[] = [];
  while (all.at(-1) !== last) {
    const { id, data } = (await subscription.next()).value as ChannelEvent<number>;
    all.push(id === undefined ? 'gap' : data);
  }
  await subscription.return();
  return all;
}

/** A log that is not in the memory of this process, with a count of the entries that were read from it. */
class CountedLog extends StoredLog {
  reads = 0;
  entriesRead = 0;

  override async read(after: string, limit: number): Promise<LogPage> {
    this.reads++;
    const page = await super.read(after, limit);
    this.entriesRead += page.entries.length;
    return page;
  }
}

/** The same log, which finds the beginning of a replay itself. */
class SearchableLog extends CountedLog {
  readonly #entries: Store;

  constructor(store: Store, cacheSize: number) {
    super(store, cacheSize);
    this.#entries = store;
  }

  async idBeforeNewest(count: number): Promise<string | undefined> {
    const events = this.#entries.entries.filter(({ record }) => record.kind === 'event');
    return events.at(-count - 1)?.id;
  }
}

describe('the log of these tests that finds the beginning of a replay', () => {
  it.each(eventLogContract)('$name', ({ run }) => {
    const stores = new Map<string, Store>();
    return run((key, maxEvents) => {
      const store = stores.get(key) ?? new Store(maxEvents);
      stores.set(key, store);
      return new SearchableLog(store, 5);
    });
  });
});

const LOGS: Array<[string, () => EventLog]> = [
  ['a log in memory', () => memoryLog()],
  ['a log of which nothing is in memory', () => new StoredLog(new Store(1_000), 2)],
  ['a log of which more than the limit is in memory', () => new StoredLog(new Store(1_000), 200)],
  ['a log that finds the beginning of a replay itself', () => new SearchableLog(new Store(1_000), 2)],
];

describe.each(LOGS)('maxReplayEvents with %s', (_which, makeLog) => {
  async function filled(options: ChannelOptions = {}): Promise<{ channel: Channel<number>; ids: string[] }> {
    const channel = new Channel<number>({ log: makeLog(), maxReplayEvents: 10, ...options });
    // A subscriber that was there all along, so that the newest events are in memory.
    const other = channel.subscribe();
    const first = other.next();
    const ids: string[] = [];
    for (let n = 1; n <= 50; n++) ids.push(await channel.publish(n));
    await first;
    return { channel, ids };
  }

  const NEWEST = [41, 42, 43, 44, 45, 46, 47, 48, 49, 50];

  it('sends all missed events if they are not more', async () => {
    const { channel, ids } = await filled();

    expect(await dataOf(channel.subscribe({ lastEventId: ids[39] as string }), 50)).toEqual(NEWEST);
    expect(await dataOf(channel.subscribe({ lastEventId: ids[47] as string }), 50)).toEqual([49, 50]);
    await channel.close();
  });

  it.each([
    ['is further back', (ids: string[]) => ids[38] as string],
    ['is that of the first event', (ids: string[]) => ids[0] as string],
    ['is unknown', () => 'made-up'],
  ])('sends a gap and the newest events if the last event ID %s', async (_what, idOf) => {
    const { channel, ids } = await filled();
    const lastEventId = idOf(ids);

    const subscription = channel.subscribe({ lastEventId });

    expect((await subscription.next()).value).toMatchObject({
      type: 'gap',
      data: { lastEventId, oldest: ids[40] },
    });
    expect(await dataOf(subscription, 50)).toEqual(NEWEST);
    await channel.close();
  });

  it('sends the newest events without a gap to a subscriber without a last event ID, with replay: true', async () => {
    const { channel, ids } = await filled({ replay: true });
    const subscription = channel.subscribe();

    const first = (await subscription.next()).value as ChannelEvent<number>;

    expect([first.id, first.data]).toEqual([ids[40], 41]);
    expect(await dataOf(subscription, 50)).toEqual(NEWEST.slice(1));
    await channel.close();
  });

  it('does not count the end', async () => {
    const { channel, ids } = await filled();
    await channel.end('over');
    const read = async (lastEventId: string) => {
      const all: unknown[] = [];
      const subscription = channel.subscribe({ lastEventId });
      for (;;) {
        const { done, value } = await subscription.next();
        all.push(done ? value : value.type === 'gap' ? 'gap' : value.data);
        if (done) return all;
      }
    };

    expect(await read(ids[39] as string)).toEqual([...NEWEST, 'over']);
    expect(await read(ids[38] as string)).toEqual(['gap', ...NEWEST, 'over']);
    expect(channel.size).toBeLessThanOrEqual(1);
    await channel.close();
  });

  it('does not apply to a subscriber that is only slow', async () => {
    const { channel } = await filled();
    const subscription = channel.subscribe();
    const next = subscription.next();
    for (let n = 51; n <= 80; n++) await channel.publish(n);

    expect((await next).value).toMatchObject({ data: 51 });
    expect(await dataOf(subscription, 80)).toEqual(Array.from({ length: 29 }, (_, index) => index + 52));
    await channel.close();
  });

  it('continues after the gap also if many events are published before the next one is read', async () => {
    const { channel, ids } = await filled();
    const subscription = channel.subscribe({ lastEventId: ids[0] as string });
    const gap = await subscription.next();
    for (let n = 51; n <= 300; n++) await channel.publish(n);

    const rest = await dataOf(subscription, 300);

    expect(gap.value).toMatchObject({ data: { lastEventId: ids[0], oldest: ids[40] } });
    expect(rest).toEqual(Array.from({ length: 260 }, (_, index) => index + 41));
    await channel.close();
  });

  it('sends a gap and the newest events to a client, then live ones', async () => {
    const { channel, ids } = await filled();
    const server = await serve((app) => {
      app.get('/', () => channel);
      app.get('/even', () => channel.filter((n) => n % 2 === 0));
    });
    const headers = { 'Last-Event-ID': ids[0] as string };
    const clients = await Promise.all([
      server.openStream('/', { headers }),
      server.openStream('/even', { headers }),
    ]);
    await Promise.all(clients.map((client) => client.untilText('data: 50\n')));
    await channel.publish(52);

    for (const client of clients) await client.untilText('data: 52\n');
    const [all, even] = clients.map(({ text }) =>
      [...text.matchAll(/^data: (\d+)$/gm)].map(([, n]) => Number(n)),
    );
    expect(all).toEqual([...NEWEST, 52]);
    expect(even).toEqual([42, 44, 46, 48, 50, 52]);
    for (const { text } of clients) {
      expect(text).toContain(
        `event: gap\ndata: ${JSON.stringify({ lastEventId: ids[0], oldest: ids[40] })}\n\n`,
      );
    }
    await channel.close();
  });
});

describe('maxReplayEvents', () => {
  it.each([0, -1, 1.5, '5', true, null])('refuses %p', (maxReplayEvents) => {
    expect(() => new Channel({ maxReplayEvents } as ChannelOptions)).toThrow(
      expect.objectContaining({
        code: 'ERR_SSE_INVALID_OPTION',
        message: expect.stringContaining('maxReplayEvents'),
      }),
    );
  });

  it('sets no limit by default', async () => {
    const channel = new Channel<number>({ log: memoryLog({ maxEvents: 20_000 }) });
    const first = await channel.publish(0);
    for (let n = 1; n <= 15_000; n++) await channel.publish(n);

    const all = await dataOf(channel.subscribe({ lastEventId: first }), 15_000);

    expect([all.length, all[0]]).toEqual([15_000, 1]);
  });

  it('reads no more than the limit from a log that finds the beginning of a replay itself', async () => {
    const log = new SearchableLog(new Store(10_000), 2);
    const channel = new Channel<number>({ log, maxReplayEvents: 10 });
    const first = await channel.publish(0);
    for (let n = 1; n <= 5_000; n++) await channel.publish(n);

    const all = await dataOf(channel.subscribe({ lastEventId: first }), 5_000);

    expect(all).toHaveLength(11);
    expect(log.entriesRead).toBeLessThanOrEqual(20);
  });
});

describe('a log that is not in memory', () => {
  it('is read once for all clients that ask for the same events at a time', async () => {
    const log = new CountedLog(new Store(10_000), 2);
    const channel = new Channel<number>({ log });
    const ids: string[] = [];
    for (let n = 0; n < 1_000; n++) ids.push(await channel.publish(n));
    const server = await serve((app) => app.get('/', () => channel));

    const clients = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        server.openStream('/', {
          headers: { 'Last-Event-ID': n % 2 === 0 ? (ids[0] as string) : `made-up-${n}` },
        }),
      ),
    );
    for (const client of clients) await client.untilText('data: 999\n');

    const firstPages = 1 + 25;
    // A client that reads another page than the others for a while may read it alone.
    expect(log.reads).toBeLessThan(firstPages + 50);
    for (const { text } of clients) {
      const numbers = [...text.matchAll(/^data: (\d+)$/gm)].map(([, n]) => Number(n));
      const first = text.includes('event: gap') ? 0 : 1;
      expect(numbers).toEqual(Array.from({ length: 1_000 - first }, (_, n) => n + first));
    }
  });

  it('is read once for subscribers that ask for the same page before it has arrived', async () => {
    const log = new CountedLog(new Store(10_000), 2);
    const channel = new Channel<number>({ log });
    const first = await channel.publish(0);
    for (let n = 1; n < 100; n++) await channel.publish(n);
    const subscriptions = Array.from({ length: 20 }, () => channel.subscribe({ lastEventId: first }));

    const events = await Promise.all(subscriptions.map((subscription) => subscription.next()));

    expect(events.map(({ value }) => (value as ChannelEvent<number>).data)).toEqual(Array(20).fill(1));
    expect(log.reads).toBe(1);
    await channel.close();
  });

  it('lets a client continue in a page that another one reads', async () => {
    const log = new CountedLog(new Store(10_000), 2);
    const channel = new Channel<number>({ log });
    const ids: string[] = [];
    for (let n = 0; n < 150; n++) ids.push(await channel.publish(n));
    const first = channel.subscribe({ lastEventId: ids[0] as string });
    await first.next();

    const before = log.reads;
    const all = await dataOf(channel.subscribe({ lastEventId: ids[75] as string }), 149);

    expect(all).toEqual(Array.from({ length: 74 }, (_, n) => n + 76));
    expect(log.reads).toBe(before);
    await first.return();
  });

  it('that fails fails all that wait for it, and can be read again', async () => {
    const log = new CountedLog(new Store(10_000), 2);
    const channel = new Channel<number>({ log });
    const first = await channel.publish(0);
    for (let n = 1; n < 10; n++) await channel.publish(n);
    const read = log.read.bind(log);
    log.read = () => Promise.reject(new Error('away'));

    const failed = await Promise.allSettled(
      [1, 2, 3].map(() => channel.subscribe({ lastEventId: first }).next()),
    );
    log.read = read;

    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await dataOf(channel.subscribe({ lastEventId: first }), 9)).toHaveLength(9);
    await setImmediate();
    expect(channel.size).toBe(0);
  });
});

describe('end() on a full log', () => {
  it('evicts no event', async () => {
    const channel = new Channel<number>({ log: memoryLog({ maxEvents: 3 }), replay: true });
    for (const n of [1, 2, 3]) await channel.publish(n);

    await channel.end('over');

    const late = channel.subscribe();
    expect(await dataOf(late, 3)).toEqual([1, 2, 3]);
  });

  it('keeps the last event for late subscribers, also if it is larger than maxBytes', async () => {
    const channel = new Channel<string>({ log: memoryLog({ maxBytes: 1_000 }) });
    await channel.publish('first');
    const large = 'x'.repeat(5_000);
    await channel.publish(large);
    await channel.end({ closing: 'y'.repeat(5_000) });
    const server = await serve((app) => app.get('/', () => channel));

    const client = await server.openStream('/');

    expect(await client.ended()).toMatch(
      new RegExp(`^id: \\S+\ndata: ${large}\n\nevent: end\nid: ~end\ndata: .*y"}\n\n$`),
    );
  });

  it('evicts no event of those that a process holds of a stored log', async () => {
    const log = new CountedLog(new Store(1_000), 3);
    const channel = new Channel<number>({ log });
    const [live, other] = [channel.subscribe(), channel.subscribe()];
    const ids: string[] = [];
    for (let n = 0; n <= 4; n++) {
      const received = [live.next(), other.next()];
      ids.push(await channel.publish(n));
      await Promise.all(received);
    }
    await channel.end();
    // The process has received the end. It holds 2, 3 and 4 for the subscriber that has not.
    for await (const _ of other);
    const before = log.reads;

    const late = channel.subscribe({ lastEventId: ids[1] as string });

    expect(await late.next()).toMatchObject({ value: { data: 2 } });
    expect(log.reads).toBe(before);
    await Promise.all([late.return(), live.return()]);
  });
});

describe('canResume()', () => {
  it.each([
    ['a log in memory', () => memoryLog({ maxEvents: 5 })],
    ['a stored log', () => new StoredLog(new Store(5), 2)],
  ])('is true for the ids after which %s has retained everything', async (_which, makeLog) => {
    const [channel, other] = [new Channel<number>({ log: makeLog() }), new Channel<number>()];
    const ids: string[] = [];
    for (let n = 0; n < 10; n++) ids.push(await channel.publish(n));
    const foreign = await other.publish(0);

    const results = await Promise.all(
      [...ids, foreign, '', '~end', 'x', '9'.repeat(5_000)].map((id) => channel.canResume(id)),
    );

    expect(results.map(Number).join('')).toBe('0000111111' + '00000');
  });

  it('is false for an id from before what maxReplayEvents replays', async () => {
    for (const log of [memoryLog(), new StoredLog(new Store(100), 2)]) {
      const channel = new Channel<number>({ log, maxReplayEvents: 3 });
      const ids: string[] = [];
      for (let n = 0; n < 10; n++) ids.push(await channel.publish(n));

      const results = await Promise.all(ids.map((id) => channel.canResume(id)));

      expect(results.map(Number).join('')).toBe('0000001111');
    }
  });

  it('rejects for what is no string, and if the log does', async () => {
    const log = new StoredLog(new Store(5), 2);
    log.read = () => Promise.reject(new Error('away'));

    await expect(new Channel().canResume(5 as unknown as string)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_SSE_INVALID_OPTION',
    });
    await expect(new Channel({ log }).canResume('n1')).rejects.toThrow('away');
  });
});

describe('the memory of a replay', () => {
  it('has parsed values of a few hundred events only, and of none after the client has left', async () => {
    const alive = await runWithGc(`
      const { Channel, memoryLog } = lib;
      const parsed = [];
      const parse = (text) => {
        const value = JSON.parse(text);
        parsed.push(new WeakRef(value));
        return value;
      };
      const alive = async () => {
        await collect();
        return parsed.filter((each) => each.deref() !== undefined).length;
      };
      const channel = new Channel({ parse, log: memoryLog({ maxEvents: 10_000 }) });
      for (let n = 0; n < 5_000; n++) await channel.publish({ n });
      let seen = 0;
      const subscription = channel.filter(() => { seen++; return false; }).subscribe({ lastEventId: 'made-up' });
      await subscription.next();
      const next = subscription.next();
      while (seen < 5_000) await turn();
      const during = await alive();
      await subscription.return();
      await next;
      return [during, await alive(), parsed.length];
    `);

    expect(alive).toEqual([expect.any(Number), 0, 5_000]);
    expect((alive as number[])[0]).toBeLessThanOrEqual(300);
  });

  it('has the parsed values of large events only while they are delivered', async () => {
    const alive = await runWithGc(`
      const { Channel, memoryLog } = lib;
      const parsed = [];
      const parse = (text) => {
        const value = JSON.parse(text);
        parsed.push(new WeakRef(value));
        return value;
      };
      const channel = new Channel({ parse });
      const subscription = channel.filter(() => false).subscribe();
      const next = subscription.next();
      for (let n = 0; n < 50; n++) await channel.publish({ n, text: 'x'.repeat(200_000) });
      while (parsed.length < 50) await turn();
      await collect();
      const alive = parsed.filter((each) => each.deref() !== undefined).length;
      await subscription.return();
      await next;
      return alive;
    `);

    expect(alive).toBeLessThanOrEqual(6);
  });
});

describe('a store of AsyncLocalStorage', () => {
  /** A log that has a timer while it has a subscriber. */
  const WITH_TIMER = `{
    ...['append', 'read', 'head', 'compare'].reduce((log, name) => ({ ...log, [name]: inner[name].bind(inner) }), {}),
    subscribe: (subscriber) => {
      const { from, close } = inner.subscribe(subscriber);
      const timer = setInterval(() => undefined, 1_000);
      return { from, close: () => { clearInterval(timer); close(); } };
    },
  }`;

  it.each([
    ['of the first subscriber', `log: ${WITH_TIMER}`, 'await channel.subscribe().return();'],
    [
      'of the publisher, with maxAgeMs',
      'log: memoryLog({ maxAgeMs: 3_600_000 })',
      'await channel.publish(2);',
    ],
    ['of the request that closed the channel', '', 'void channel.close();'],
  ])('%s is not kept in memory by the channel', async (_whose, options, code) => {
    const result = await runWithGc(`
      const { AsyncLocalStorage } = require('node:async_hooks');
      const { setTimeout: sleep } = require('node:timers/promises');
      const { Channel, memoryLog } = lib;
      const als = new AsyncLocalStorage();
      const inner = memoryLog();
      const channel = new Channel({ ${options} });
      const request = () => {
        const store = { secret: 'x' };
        const first = als.run(store, () => channel.subscribe({ lastEventId: 'made-up' }));
        const leave = (stays) => als.run(store, async () => {
          await first.next();
          stays();
          ${code}
          await first.return();
        });
        return { leave, reference: new WeakRef(store) };
      };
      // What was made for the first subscriber is in use until the last one leaves.
      const stay = () => void channel.subscribe().next().catch(() => undefined);
      const run = () => {
        const { leave, reference } = request();
        return leave(AsyncLocalStorage.bind(stay)).then(() => reference);
      };
      const reference = await run();
      await sleep(5);
      await collect();
      return reference.deref() !== undefined;
    `);

    expect(result).toBe(false);
  });
});
