import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import IoRedis from 'ioredis';
import { createClient } from 'redis';
import { Channel, type ChannelEvent, createRuns } from '../../lib';
import { type RedisLogOptions, type RedisLogs, redisLogs } from '../../lib/redis';
import { LossyProxy } from '../support/lossy-proxy';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';
import { WarningCollector } from '../support/warnings';

const CLOSED = { code: 'ERR_SSE_CHANNEL_CLOSED' };
const UNAVAILABLE = { code: 'ERR_SSE_LOG_UNAVAILABLE' };

/** Milliseconds by which the ids of some tests are ahead of the clock, as if the clock had gone back. */
const AHEAD_MS = 600_000;

const LARGE = 'x'.repeat(2 ** 20);

/** The rights that docs/many-processes.md names. */
const DOCUMENTED = rightsIn(readFileSync(join(__dirname, '../../docs/many-processes.md'), 'utf8'));

function rightsIn(page: string): string[] {
  const [, ofLogs = ''] = /ACL SETUSER app ([^`]*)/.exec(page) ?? [];
  const [, ofRuns = ''] = /`createRuns\(\)` also needs\s+`([^`]+)`/.exec(page) ?? [];
  return `${ofLogs} ${ofRuns}`.split(/\s+/).filter((word) => /^[~&+]/.test(word));
}

/** The clients of the libraries with a user's name. */
type ConnectAs = (port: number, username: string) => Promise<Connected>;

const CONNECT_AS: Record<string, ConnectAs> = {
  'node-redis': async (port, username) => {
    const client = createClient({ url: `redis://127.0.0.1:${port}`, username, password: 'secret' });
    client.on('error', () => undefined);
    await client.connect();
    return { client, end: () => client.destroy() };
  },
  ioredis: async (port, username) => {
    const client = new IoRedis(port, '127.0.0.1', { username, password: 'secret', disconnectTimeout: 100 });
    client.on('error', () => undefined);
    await once(client, 'ready');
    return { client, end: () => client.disconnect() };
  },
};

/** One of several processes that share a Redis. */
interface Process {
  readonly logs: RedisLogs;
  channel(options?: RedisLogOptions): Channel<string>;
}

/** What a subscriber of a channel receives. */
class Viewer {
  readonly seen: string[] = [];
  readonly ids: string[] = [];
  readonly #ended: Promise<void>;
  #onSeen: () => void = () => undefined;

  constructor(channel: Channel<string>, lastEventId?: string) {
    this.#ended = this.#read(channel.subscribe(lastEventId === undefined ? {} : { lastEventId }));
    // After a test its logs are closed, which fails a viewer that still waits.
    this.#ended.catch(() => undefined);
  }

  async sees(data: string): Promise<string[]> {
    while (!this.seen.includes(data)) {
      await new Promise<void>((resolve) => {
        this.#onSeen = resolve;
      });
    }
    return this.seen;
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  async #read(events: AsyncIterable<ChannelEvent<string>>): Promise<void> {
    for await (const { type, id, data } of events) {
      this.seen.push(type === 'gap' ? 'GAP' : String(data));
      if (id !== undefined) this.ids.push(id);
      this.#onSeen();
    }
  }
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`faults of the data of a log on Redis, with ${name}`, (server) => {
    const users: Connected[] = [];
    const processes: Process[] = [];
    let warnings: WarningCollector;
    let key = '';
    let test = 0;
    let sequence = 0;

    beforeEach(() => {
      warnings = new WarningCollector();
      key = `key-${++test}`;
    });

    afterEach(async () => {
      warnings.stop();
      await Promise.all(processes.splice(0).map(({ logs }) => logs.close()));
      for (const user of users.splice(0)) await user.end();
    });

    const stream = () => `sse:${key}`;

    async function start(port = server.port): Promise<Process> {
      return startWith(await connect(port));
    }

    function startWith(user: Connected): Process {
      const logs = redisLogs(user.client);
      let shared: Channel<string> | undefined;
      const made: Process = {
        logs,
        channel: (options) => {
          shared ??= new Channel<string>({ log: logs(key, options) });
          return shared;
        },
      };
      users.push(user);
      processes.push(made);
      return made;
    }

    /** A viewer that receives whatever is published after this. */
    async function viewerOf(viewing: Process, lastEventId?: string): Promise<Viewer> {
      const viewer = new Viewer(viewing.channel(), lastEventId);
      // Its position is known once the hub has one.
      const subscription = viewing.logs(key).subscribe({ onEntries: () => undefined });
      await subscription.from;
      await viewing.logs(key).head();
      subscription.close();
      return viewer;
    }

    /** Appends an event whose id is ahead of the clock. */
    async function addAhead(data: string): Promise<string> {
      const [last] = (await server.call('XREVRANGE', stream(), '+', '-', 'COUNT', '1')) as [[string]?];
      const id = `${Date.now() + AHEAD_MS}-${++sequence}`;
      const event = JSON.stringify({ kind: 'event', data, serialized: false });
      const before = last?.[0] ?? '0-0';
      await server.call('XADD', stream(), id, 'before', before, 'event', event);
      await server.call('PUBLISH', `${stream()}@0`, `${id} ${before} ${event}`);
      return id;
    }

    /** What the next primary has after a failover: the stream as it is now, until `restore` puts it back. */
    async function snapshot(): Promise<{ restore(): Promise<void> }> {
      const admin = new IoRedis(server.port, '127.0.0.1');
      const dump = (await admin.callBuffer('DUMP', stream())) as Buffer;
      return {
        restore: async () => {
          await admin.call('RESTORE', stream(), '0', dump, 'REPLACE');
          admin.disconnect();
        },
      };
    }

    /** Cuts the connections for messages, and makes no new ones until the function is called that is returned. */
    async function outage(): Promise<() => Promise<unknown>> {
      await server.call('CONFIG', 'SET', 'maxclients', '1');
      await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      return () => server.call('CONFIG', 'SET', 'maxclients', '1000');
    }

    describe('a stream that vanishes', () => {
      it('during an outage is a gap, also if the first event of the new one arrives with the subscription', async () => {
        const proxy = new LossyProxy(server.port);
        const viewing = await start(await proxy.listen());
        const [publishing, fresh] = [await start(), await start()];
        await fresh.logs(key).head();
        const viewer = await viewerOf(viewing);
        await publishing.channel().publish('1');
        await viewer.sees('1');

        const end = await outage();
        for (const data of numbers(2, 20)) await publishing.channel().publish(data);
        await server.call('DEL', stream());
        proxy.holdFrom('subscribe');
        await end();
        await proxy.holds('subscribe');
        await fresh.channel().publish('after the loss');
        await proxy.holds('after the loss');
        proxy.release();
        await fresh.channel().publish('later');

        expect(await viewer.sees('later')).toEqual(['1', 'GAP', 'after the loss', 'later']);
        await proxy.close();
      });

      it('is no gap for a subscriber that has received all of it', async () => {
        const [viewing, publishing] = [await start(), await start()];
        const viewer = await viewerOf(viewing);
        await publishing.channel().publish('1');
        await viewer.sees('1');

        await server.call('DEL', stream());
        await publishing.channel().publish('2');

        expect(await viewer.sees('2')).toEqual(['1', '2']);
      });

      it.each([
        ['publishes', 0],
        ['does not publish', 1],
      ])('is no gap for a new subscriber in a process that %s', async (_what, index) => {
        const both = [await start(), await start()] as const;
        const publishing = both[0].channel();
        await publishing.publish('expired');
        await server.call('DEL', stream());

        const viewer = await viewerOf(both[index] as Process);
        await publishing.publish('1');
        await publishing.publish('2');

        expect(await viewer.sees('2')).toEqual(['1', '2']);
      });
    });

    describe('ids that would go back', () => {
      it('do not, if the publisher knows the newest', async () => {
        const [viewing, other] = [await start(), await start()];
        const viewer = await viewerOf(viewing);
        const ahead = await addAhead('ahead');
        await viewer.sees('ahead');

        await server.call('DEL', stream());
        const log = viewing.logs(key);
        const ids = [await viewing.channel().publish('1'), await other.channel().publish('2')];

        expect(await viewer.sees('2')).toEqual(['ahead', '1', '2']);
        expect(log.compare(ids[0] as string, ahead)).toBeGreaterThan(0);
        expect(log.compare(ids[1] as string, ids[0] as string)).toBeGreaterThan(0);
      });

      it('are a gap if all publishers are new, and subscribers continue', async () => {
        const [viewing, fresh] = [await start(), await start()];
        const viewer = await viewerOf(viewing);
        const first = await addAhead('a');
        await addAhead('b');
        await viewer.sees('b');

        await server.call('DEL', stream());
        await fresh.channel().publish('c');
        await fresh.channel().publish('d');

        expect(await viewer.sees('d')).toEqual(['a', 'b', 'GAP', 'c', 'd']);
        // From memory, before and after the ids have begun again, and a new subscriber.
        const middle = viewer.ids.at(-2);
        const resumed = [new Viewer(viewing.channel(), first), new Viewer(viewing.channel(), middle)];
        const added = new Viewer(viewing.channel());
        await fresh.channel().publish('e');
        expect(await resumed[0]?.sees('e')).toEqual(['b', 'GAP', 'c', 'd', 'e']);
        expect(await resumed[1]?.sees('e')).toEqual(['d', 'e']);
        expect(await added.sees('e')).toEqual(['e']);
        // In a process that has not seen them.
        const elsewhere = await start();
        expect(await new Viewer(elsewhere.channel(), first).sees('e')).toEqual(['GAP', 'c', 'd', 'e']);
        expect(await new Viewer(elsewhere.channel(), middle).sees('e')).toEqual(['d', 'e']);
      });

      it('in an outage are a gap and what is new, without what was received before', async () => {
        const [viewing, fresh] = [await start(), await start()];
        await fresh.logs(key).head();
        const viewer = await viewerOf(viewing);
        const publisher = await start();
        for (const data of numbers(1, 3)) await publisher.channel().publish(data);
        const { restore } = await snapshot();
        await addAhead('lost');
        await viewer.sees('lost');

        const end = await outage();
        await restore();
        await fresh.channel().publish('4');
        await fresh.channel().publish('5');
        await end();

        expect(await viewer.sees('5')).toEqual(['1', '2', '3', 'lost', 'GAP', '4', '5']);
        await fresh.channel().publish('6');
        expect((await viewer.sees('6')).at(-1)).toBe('6');
      });

      it('continue above the newest when a process publishes that knows it', async () => {
        const [viewing, fresh] = [await start(), await start()];
        const viewer = await viewerOf(viewing);
        const ahead = await addAhead('ahead');
        await viewer.sees('ahead');
        await server.call('DEL', stream());
        await fresh.channel().publish('low');
        await viewer.sees('low');

        const id = await viewing.channel().publish('high');

        expect(await viewer.sees('high')).toEqual(['ahead', 'GAP', 'low', 'high']);
        expect(viewing.logs(key).compare(id, ahead)).toBeGreaterThan(0);
      });
    });

    describe('a new primary that has lost acknowledged events', () => {
      it('is a gap for a subscriber that had not received one, and none for others', async () => {
        const proxy = new LossyProxy(server.port);
        const [has, misses, publishing] = [await start(), await start(await proxy.listen()), await start()];
        const viewers = [await viewerOf(has), await viewerOf(misses)] as const;
        const ids: string[] = [];
        for (const data of ['1', '2']) ids.push(await publishing.channel().publish(data));
        for (const viewer of viewers) await viewer.sees('2');
        const { restore } = await snapshot();
        proxy.dropNextResponse(); // the message with '3'
        const end = () => server.call('CONFIG', 'SET', 'maxclients', '1000');
        await server.call('CONFIG', 'SET', 'maxclients', '1');
        ids.push(await publishing.channel().publish('3'));
        await viewers[0].sees('3');
        await restore();
        await end();

        ids.push(await publishing.channel().publish('4'));
        for (const data of ['5', '6']) await publishing.channel().publish(data);

        expect(await viewers[0].sees('6')).toEqual(numbers(1, 6));
        expect(await viewers[1].sees('6')).toEqual(['1', '2', 'GAP', '4', '5', '6']);
        // The same for clients that resume in a new process.
        const [after2, after3] = [new Viewer((await start()).channel(), ids[1]), new Viewer((await start()).channel(), ids[2])];
        expect(await after2.sees('6')).toEqual(['GAP', '4', '5', '6']);
        expect(await after3.sees('6')).toEqual(['4', '5', '6']);
        await proxy.close();
      }); // biome-ignore format: one line

      it('is reported by a process that has received the event, also if another one publishes first', async () => {
        const proxy = new LossyProxy(server.port);
        const [has, misses, also] = [await start(), await start(await proxy.listen()), await start()];
        const viewers = [await viewerOf(has), await viewerOf(misses), await viewerOf(also)] as const;
        for (const data of ['1', '2']) await misses.channel().publish(data);
        for (const viewer of viewers) await viewer.sees('2');
        const { restore } = await snapshot();
        await server.call('CONFIG', 'SET', 'maxclients', '1');
        proxy.dropNextResponse(); // the message with '3'
        await has.channel().publish('3');
        for (const index of [0, 2] as const) await viewers[index].sees('3');
        await restore();
        await server.call('CONFIG', 'SET', 'maxclients', '1000');

        await misses.channel().publish('4');
        for (const viewer of viewers) await viewer.sees('4');
        await also.channel().publish('5');
        for (const viewer of viewers) await viewer.sees('5');
        await has.channel().publish('6');

        expect(await viewers[0].sees('6')).toEqual(numbers(1, 6));
        expect(await viewers[2].sees('6')).toEqual(numbers(1, 6));
        expect(await viewers[1].sees('6')).toEqual(['1', '2', '4', 'GAP', '5', '6']);
        await proxy.close();
      });

      it('is a gap, and not the whole log again, if the publisher does not know of it', async () => {
        const [viewing, publishing, fresh] = [await start(), await start(), await start()];
        const viewer = await viewerOf(viewing);
        for (const data of numbers(1, 3)) await publishing.channel().publish(data);
        const { restore } = await snapshot();
        const lost = await publishing.channel().publish('4');
        await viewer.sees('4');
        await restore();

        await fresh.channel().publish('5');

        // It has received '3', which is before '5', and what was lost.
        expect(await viewer.sees('5')).toEqual(numbers(1, 5));
        const resumed = new Viewer((await start()).channel(), lost);
        expect(await resumed.sees('5')).toEqual(['GAP', '5']);
      });

      it('delivers an event of which only the message has arrived', async () => {
        const [viewing, publishing] = [await start(), await start()];
        const viewer = await viewerOf(viewing);
        const before = await publishing.channel().publish('1');
        await viewer.sees('1');
        const [time] = before.split('-');
        const event = (data: string) => JSON.stringify({ kind: 'event', data, serialized: false });

        await server.call('PUBLISH', `${stream()}@0`, `${time}-8 ${time}-7 ${event('lost')}`);
        await viewer.sees('lost');
        await publishing.channel().publish('2');

        expect(await viewer.sees('2')).toEqual(['1', 'GAP', 'lost', '2']);
      });
    });

    describe('a Redis user', () => {
      let names = 0;

      /** A process whose Redis user has these rights. */
      async function startAs(...rights: string[]): Promise<Process & { readonly user: string }> {
        const user = `user-${++names}`;
        await server.call('ACL', 'SETUSER', user, 'on', '>secret', 'resetchannels', ...rights);
        const connected = await (CONNECT_AS[name] as ConnectAs)(server.port, user);
        return { ...startWith(connected), user };
      }

      it('with the documented rights can do everything', async () => {
        const restricted = await startAs(...DOCUMENTED);
        const log = restricted.logs(key, { maxAgeMs: 60_000, maxEvents: 10 });
        const channel = new Channel<string>({ log });
        const viewer = new Viewer(channel);

        await channel.publish('1', { idempotencyKey: 'one' });
        for (const data of numbers(2, 30)) await channel.publish(data, { idempotencyKey: data });
        await channel.publish(LARGE);
        await channel.publish('31');
        await viewer.sees('31');
        expect(await channel.canResume(viewer.ids[0] as string)).toBe(true);
        expect(await new Viewer(restricted.channel(), viewer.ids.at(-2)).sees('31')).toEqual(['31']);
        expect(await log.hasSubscribers?.()).toBe(true);
        const runs = createRuns({ logs: restricted.logs });
        const run = await runs.start('run', async function* () {
          yield 1;
          return 2;
        });
        const values: unknown[] = [];
        for await (const { data } of run.subscribe()) values.push(data);
        expect(values).toEqual([1]);
        expect(warnings.all).toEqual([]);
      });

      const PUBLISH_RIGHTS = ['evalsha', 'xadd', 'xtrim', 'xrevrange', 'pexpire', 'publish', 'time', 'exists', 'hget', 'hset', 'hlen', 'rename', 'unlink']; // biome-ignore format: one line

      it.each(PUBLISH_RIGHTS.slice(1))('without %s appends nothing if a publish rejects', async (command) => {
        const restricted = await startAs(...DOCUMENTED, `-${command}`);
        const log = restricted.logs(key, { maxAgeMs: 60_000, maxEvents: 1 });
        const channel = new Channel<string>({ log });
        const outcomes: boolean[] = [];
        const publish = (data: string) =>
          channel.publish(data, { idempotencyKey: data }).then(
            () => outcomes.push(true),
            () => outcomes.push(false),
          );
        for (const data of numbers(1, 15)) await publish(data);
        // Redis has some rejections undone; the same key is then published anew.
        await server.call('ACL', 'SETUSER', restricted.user, `+${command}`);
        const before = Number(await server.call('XLEN', stream()));
        const rejected = numbers(1, 15).filter((_, index) => outcomes[index] === false);

        const all = new Channel<string>({ log: restricted.logs(key) });
        const stored = new Set((await log.read('', 100)).entries.map(({ record }) => record.data));
        expect(rejected.filter((data) => stored.has(data))).toEqual([]);
        expect(rejected.length).toBeGreaterThan(0);
        for (const data of rejected) await all.publish(data, { idempotencyKey: data });
        expect(Number(await server.call('XLEN', stream()))).toBe(before + rejected.length);
      });

      it('without a channel appends nothing, and the next event is no gap', async () => {
        const viewing = await start();
        const viewer = await viewerOf(viewing);
        await viewing.channel().publish('1');
        const restricted = await startAs(...DOCUMENTED, 'resetchannels');

        await expect(restricted.channel().publish('refused')).rejects.toMatchObject({
          ...UNAVAILABLE,
          message: expect.stringContaining("can't publish to the channel"),
        });
        await viewing.channel().publish('2');

        expect(await viewer.sees('2')).toEqual(['1', '2']);
        expect(Number(await server.call('XLEN', stream()))).toBe(2);
      });

      it('without a channel and XDEL has appended what it cannot take back, and is warned once', async () => {
        const restricted = await startAs(...DOCUMENTED, 'resetchannels', '-xdel');

        await restricted.channel().publish('1');
        await restricted.channel().publish('2');

        expect(Number(await server.call('XLEN', stream()))).toBe(2);
        expect(
          warnings.all.filter(({ message }) =>
            message.includes('has stored an event, but refused a command that had to follow (PUBLISH'),
          ),
        ).toHaveLength(1);
      });

      it('with EVAL and without EVALSHA can publish', async () => {
        const restricted = await startAs(...DOCUMENTED, '-evalsha');

        await restricted.channel().publish('1');

        expect(Number(await server.call('XLEN', stream()))).toBe(1);
      });

      it.each(['publish', 'pexpire', 'hset'])('without %s appends nothing to a run', async (command) => {
        const restricted = await startAs(...DOCUMENTED);
        const runs = createRuns({ logs: restricted.logs });
        let proceed: () => void = () => undefined;
        const allowed = new Promise<void>((resolve) => {
          proceed = resolve;
        });
        const run = await runs.start(key, async function* () {
          yield 'first';
          await allowed;
          yield 'refused';
        });
        const viewer = new Viewer(run as unknown as Channel<string>, '');
        await viewer.sees('first');

        await server.call('ACL', 'SETUSER', restricted.user, `-${command}`);
        const streamOfRun = async () => {
          const keys = (await server.call('KEYS', `*${key}`)) as string[];
          expect(keys).toHaveLength(1);
          return keys[0] as string;
        };
        const before = await server.call('XLEN', await streamOfRun());
        proceed();
        await viewer.ended.catch(() => undefined);

        expect(await server.call('XLEN', await streamOfRun())).toBe(before);
        expect(before).toBe(1);
      });

      it('whose reads are refused is warned once, and receives everything when they are allowed', async () => {
        const restricted = await startAs(...DOCUMENTED);
        const other = await start();
        const viewer = await viewerOf(restricted);
        const second = new Viewer(new Channel<string>({ log: restricted.logs(`${key}-second`) }));
        await other.channel().publish('1');
        await viewer.sees('1');

        await server.call('ACL', 'SETUSER', restricted.user, '-xrange', '-eval', '-evalsha');
        await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
        await other.channel().publish('2');
        const refused = () => warnings.all.filter(({ message }) => message.includes('refuses to read'));
        while (refused().length === 0) await setImmediate();
        await other.channel().publish('3');
        const resumed = new Viewer(restricted.channel(), viewer.ids[0]);
        await server.call('ACL', 'SETUSER', restricted.user, '+xrange', '+eval', '+evalsha');

        expect(await viewer.sees('3')).toEqual(['1', '2', '3']);
        expect(await resumed.sees('3')).toEqual(['2', '3']);
        expect(refused()).toHaveLength(1);
        expect(second.seen).toEqual([]);
      });
    });

    describe('the appends of one process', () => {
      /** The number of calls since the last `CONFIG RESETSTAT`. */
      async function calls(...commands: string[]): Promise<number> {
        const stats = String(await server.call('INFO', 'commandstats'));
        const counts = commands.map((command) =>
          Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0),
        );
        return counts.reduce((sum, count) => sum + count, 0);
      }

      it('are sent together while one is in flight, and stored in order, also after SCRIPT FLUSH', async () => {
        const { logs } = await start();
        const log = logs(key, { maxEvents: 10_000 });
        await log.append({ kind: 'event', data: 'first', serialized: false });
        await server.call('CONFIG', 'RESETSTAT');

        const appending: Array<string | Promise<string>> = [];
        for (let n = 1; n <= 2_000; n++) {
          appending.push(log.append({ kind: 'event', data: String(n), serialized: false }));
          if (n % 100 === 0) await server.call('SCRIPT', 'FLUSH');
        }
        const ids = await Promise.all(appending);

        const { entries } = await log.read('', 10_000);
        expect(entries.map(({ record }) => record.data)).toEqual(['first', ...numbers(1, 2_000)]);
        expect(entries.slice(1).map(({ id }) => id)).toEqual(ids);
        expect(await calls('evalsha', 'eval')).toBeLessThan(200);
      });

      it('have a result each', async () => {
        const channel = (await start()).channel();
        const repeated = await channel.publish('known', { idempotencyKey: 'known' });

        const results = await Promise.allSettled([
          channel.publish('1'),
          channel.publish('again', { idempotencyKey: 'known' }),
          channel.publish('2', { idempotencyKey: 'two' }),
          channel.publish('3', { idempotencyKey: 'two' }),
          channel.end(),
          channel.publish('late'),
          channel.publish('known after the end', { idempotencyKey: 'two' }),
        ]);

        const values = results.map((result) =>
          result.status === 'fulfilled' ? result.value : result.reason,
        );
        expect(values[1]).toBe(repeated);
        expect(values[3]).toBe(values[2]);
        expect(values[5]).toMatchObject(CLOSED);
        expect(values[6]).toBe(values[2]);
        const log = (await start()).logs(key);
        const { entries } = await log.read('', 10);
        expect(entries.map(({ record }) => record.data)).toEqual(['known', '1', '2', '']);
      });

      it('do not read the last entry if it is large, and none is counted for that', async () => {
        const [publishing, viewing] = [await start(), await start()];
        const viewer = await viewerOf(viewing);
        for (let n = 0; n < 5; n++) await publishing.channel().publish(`${n}${LARGE}`);

        const newest = await server.call('XREVRANGE', stream(), '+', '-', 'COUNT', '1');

        expect(JSON.stringify(newest).length).toBeLessThan(100);
        expect(Number(await server.call('XLEN', stream()))).toBe(6);
        await publishing.channel().publish('small');
        expect((await viewer.sees('small')).map((data) => data[0])).toEqual([...numbers(0, 4), 's']);
        expect(Number(await server.call('XLEN', stream()))).toBe(6);
      });

      it('are refused after a large end', async () => {
        const [publishing, other] = [await start(), await start()];
        await publishing.channel().end(LARGE);

        await expect(other.channel().publish('late')).rejects.toMatchObject(CLOSED);
        await expect(publishing.channel().publish('late')).rejects.toMatchObject(CLOSED);
        expect((await other.logs(key).head()).ended).toBe(true);
      });
    });

    describe('pages of large events', () => {
      it('have fewer events, and are contiguous', async () => {
        const [publishing, reading] = [await start(), await start()];
        const ids: string[] = [];
        for (let n = 0; n < 60; n++) ids.push(await publishing.channel().publish(LARGE));
        const log = reading.logs(key);

        const found: string[] = [];
        let [after, largest] = ['', 0];
        for (;;) {
          const { entries, gap } = await log.read(after, 200);
          expect(gap).toBe(false);
          if (entries.length === 0) break;
          largest = Math.max(largest, entries.length);
          found.push(...entries.map(({ id }) => id));
          after = entries.at(-1)?.id ?? '';
        }

        expect(found).toEqual(ids);
        expect(largest).toBeLessThanOrEqual(16);
      });
    });
  });
}
