import { setImmediate } from 'node:timers/promises';
import { Channel, type ChannelEvent, event, type Subscription } from '../../lib';
import { releaseAll, serve } from '../support/serve';
import { pauses, Store, StoredLog } from '../support/stored-log';

afterEach(releaseAll);

/** A channel on a slow log, whose store retains more events than the process caches. */
function storedChannel(store: Store, memoryEvents: number, seed: number, overflow?: 'skip'): Channel<number> {
  return new Channel<number>({ log: new StoredLog(store, memoryEvents, pauses(seed)), overflow });
}

async function data(subscription: Subscription<number>, count: number): Promise<unknown[]> {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await subscription.next()).value as ChannelEvent<number>);
  return all.map((each) => each.data);
}

const upTo = (count: number) => [...Array(count).keys()];

const SEEDS = upTo(20);

describe('a reader of a slow log', () => {
  it.each(SEEDS)(
    'reads older events from the store, then continues with the window without loss (%i)',
    async (seed) => {
      const channel = storedChannel(new Store(10_000), 5, seed);
      const first = await channel.publish(-1);
      for (const n of upTo(450)) void channel.publish(n);

      const subscription = channel.subscribe({ lastEventId: first });
      const reading = data(subscription, 900);
      for (let n = 450; n < 900; n++) {
        void channel.publish(n);
        if (n % 3 === 0) await setImmediate();
      }

      expect(await reading).toEqual(upTo(900));
      await subscription.return();
      expect(channel.size).toBe(0);
    },
  );

  it.each(SEEDS)(
    'receives the events published after subscribe(), and no earlier ones (%i)',
    async (seed) => {
      const channel = storedChannel(new Store(100), 2, seed);
      await channel.publish(-1);

      const subscription = channel.subscribe();
      const published = upTo(20).map((n) => channel.publish(n));

      expect(await data(subscription, 20)).toEqual(upTo(20));
      await Promise.all([...published, subscription.return()]);
    },
  );

  it.each(SEEDS)('that is too slow for the window continues from the store (%i)', async (seed) => {
    const channel = storedChannel(new Store(1_000), 2, seed);
    const subscription = channel.subscribe();
    const pending = subscription.next();
    for (const n of upTo(300)) await channel.publish(n);

    expect((await pending).value).toMatchObject({ data: 0 });
    expect(await data(subscription, 299)).toEqual(upTo(300).slice(1));
    await subscription.return();
  });

  it.each([undefined, 'skip'] as const)('that is too slow for the store overflows (%s)', async (overflow) => {
    const channel = storedChannel(new Store(10), 2, 1, overflow);
    const subscription = channel.subscribe();
    const pending = subscription.next();
    await channel.publish(0);
    await pending;
    for (const n of upTo(100)) await channel.publish(n);

    const next = subscription.next();

    if (overflow === undefined) await expect(next).rejects.toMatchObject({ code: 'ERR_SSE_OVERFLOW' });
    else
      expect(((await next).value as ChannelEvent<number>).data).toEqual({ lastEventId: 'n1', oldest: 'n92' });
    await subscription.return();
    expect(channel.size).toBe(0);
  });

  it.each(SEEDS)(
    'receives a gap, then all retained events, for an id that is not in the log (%i)',
    async (seed) => {
      const channel = storedChannel(new Store(50), 5, seed);
      for (const n of upTo(80)) await channel.publish(n);

      for (const lastEventId of ['n3', 'n999', 'x']) {
        const subscription = channel.subscribe({ lastEventId });
        expect(await data(subscription, 51)).toEqual([{ lastEventId, oldest: 'n31' }, ...upTo(80).slice(30)]);
        await subscription.return();
      }
    },
  );

  it.each(SEEDS)('receives all events and the end if it reads them after the end (%i)', async (seed) => {
    const channel = storedChannel(new Store(50), 3, seed);
    const subscription = channel.subscribe();
    const waiting = subscription.next();
    for (const n of upTo(9)) await channel.publish(n);
    await channel.end('over');

    await waiting;
    expect(await data(subscription, 8)).toEqual(upTo(9).slice(1));
    expect(await subscription.next()).toEqual({ done: true, value: 'over' });
    expect(channel.size).toBe(0);
  });

  it.each(SEEDS)('receives all events and the end if it subscribes after the end (%i)', async (seed) => {
    const channel = storedChannel(new Store(50), 3, seed);
    const other = channel.subscribe();
    const waiting = other.next();
    for (const n of upTo(9)) await channel.publish(n);
    await channel.end('over');

    const late = channel.subscribe();

    expect(await data(late, 9)).toEqual(upTo(9));
    expect(await late.next()).toEqual({ done: true, value: 'over' });
    await Promise.all([waiting, other.return()]);
    expect(channel.size).toBe(0);
  });

  it.each(SEEDS)('can unsubscribe at any time (%i)', async (seed) => {
    const store = new Store(50);
    const channel = storedChannel(store, 3, seed);
    for (const n of upTo(20)) await channel.publish(n);
    const wait = pauses(seed + 1);

    const readers = upTo(20).map(async (index) => {
      const subscription = channel.subscribe({ lastEventId: `n${index}` });
      const reading = subscription.next();
      for (let turn = 0; turn < index; turn++) await wait();
      await subscription.return();
      await reading;
    });
    await Promise.all(readers);
    await channel.publish(0);

    expect([channel.size, store.subscribers.size]).toEqual([0, 0]);
  });
});

describe('a client of a slow log', () => {
  it.each(SEEDS.slice(0, 5))('receives all events in order, with and without a filter (%i)', async (seed) => {
    const channel = storedChannel(new Store(10_000), 5, seed);
    const first = await channel.publish(-1);
    const server = await serve((app) => {
      app.get('/', () => channel);
      app.get('/even', () => channel.filter((n) => n % 2 === 0));
    });
    for (const n of upTo(500)) void channel.publish(n);
    const headers = { 'Last-Event-ID': first };
    const [all, even] = await Promise.all([
      server.openStream('/', { headers }),
      server.openStream('/even', { headers }),
    ]);
    for (let n = 500; n < 700; n++) await channel.publish(n);
    await channel.end();

    const frames = upTo(700).map((n) => `id: n${n + 2}\ndata: ${n}\n\n`);
    const end = 'event: end\nid: ~end\ndata: null\n\n';
    const body = (await all.ended()).replace(/^: \n\n/, '');
    expect(body).toBe(frames.join('') + end);
    expect((await even.ended()).replace(/^: \n\n/, '')).toBe(
      frames.filter((_, n) => n % 2 === 0).join('') + end,
    );
    expect(channel.size).toBe(0);
  });

  it('receives its position immediately if it is new', async () => {
    const channel = storedChannel(new Store(10), 5, 3);
    await channel.publish(1);
    const server = await serve((app) => app.get('/', () => channel), { commitAfterMs: false });

    const client = await server.openStream('/');
    await client.untilText('\n\n');

    expect(client.text).toBe('id: n1\n\n');
  });

  it('receives an error status if the log fails before the first byte', async () => {
    const store = new Store(10);
    const log = new StoredLog(store, 5);
    log.head = async () => {
      throw Object.assign(new Error('away'), { status: 503 });
    };
    const channel = new Channel({ log });
    const server = await serve((app) => app.get('/', () => channel));

    const client = await server.openStream('/');

    expect([client.status, await client.ended()]).toEqual([503, '{"error":"away"}']);
    expect([channel.size, store.subscribers.size]).toEqual([0, 0]);
  });

  it.each([
    ['immediately', () => new Channel<number>()],
    ['after a turn of the event loop', () => storedChannel(new Store(10), 5, 1)],
  ])(
    'receives an error response if its head cannot be written %s; other clients are not affected',
    async (_when, make) => {
      const [channel, other] = [make(), new Channel<number>()];
      const server = await serve(
        (app) => {
          app.get('/', (_req, res) => {
            const { writeHead } = res;
            res.writeHead = () => {
              res.writeHead = writeHead;
              throw Object.assign(new Error('no head'), { status: 502 });
            };
            return channel;
          });
          app.get('/other', () => other);
        },
        { commitAfterMs: false },
      );

      const client = await server.openStream('/');
      const unaffected = await server.openStream('/other');
      await other.publish(1);
      await unaffected.untilText('data: 1');

      expect([client.status, await client.ended()]).toEqual([502, '{"error":"no head"}']);
      expect([channel.size, other.size]).toEqual([0, 1]);
    },
  );

  it('receives the types, reconnection times and comments of events', async () => {
    const channel = storedChannel(new Store(10), 1, 2);
    await channel.publish(0);
    await channel.publish(event('tick', 1, { retry: 5, comment: 'a\nb' }));
    await channel.publish(2);
    const server = await serve((app) => app.get('/', () => channel));

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': 'n1' } });
    await client.untilText('data: 2');

    expect(client.text.replace(/^: \n\n/, '')).toBe(
      ': a\n: b\nevent: tick\nid: n2\nretry: 5\ndata: 1\n\nid: n3\ndata: 2\n\n',
    );
  });
});
