import { once } from 'node:events';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { createRuns, type RunContext, type Runs, type RunsOptions } from '../../lib';
import { type RedisLogs, redisLogs } from '../../lib/redis';
import { Gate } from '../support/gate';
import { LossyProxy } from '../support/lossy-proxy';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';
import { all, WaitingSource } from '../support/runs';
import { LibTimers } from '../support/timers';

const LEASE_MS = 2_000;

jest.setTimeout(20_000);

/** What one process has. */
interface Process {
  readonly logs: RedisLogs;
  readonly runs: Runs<string>;
}

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`createRuns() on Redis with ${name}`, (server) => {
    const processes: Process[] = [];
    const users: Connected[] = [];
    let timers: LibTimers;
    let key = '';
    let keys = 0;

    beforeEach(() => {
      timers = new LibTimers();
      key = `job-${++keys}`;
      jest.spyOn(process, 'emitWarning').mockImplementation();
    });

    afterEach(async () => {
      await Promise.all(processes.splice(0).map(({ runs, logs }) => runs.close().then(() => logs.close())));
      for (const user of users.splice(0)) await user.end();
      for (let turn = 0; turn < 1000 && timers.active().length > 0; turn++) await setImmediate();
      expect(timers.stop()).toEqual([]);
      jest.restoreAllMocks();
    });

    async function newProcess(options: RunsOptions = {}, port = server.port): Promise<Process> {
      const user = await connect(port);
      users.push(user);
      const logs = redisLogs(user.client);
      const runs = createRuns<string>({ logs, leaseMs: LEASE_MS, ...options });
      const created = { logs, runs };
      processes.push(created);
      return created;
    }

    async function twoProcesses(options?: RunsOptions): Promise<[Process, Process]> {
      return [await newProcess(options), await newProcess(options)];
    }

    /** Ends a process as `kill -9` does for Redis: nothing is released. */
    async function kill(victim: Process): Promise<void> {
      processes.splice(processes.indexOf(victim), 1);
      await victim.logs.close();
    }

    it('starts one source for a key, also for two processes at the same moment', async () => {
      const [here, there] = await twoProcesses();
      let sources = 0;
      const source = async function* () {
        sources++;
        yield 'a';
        yield 'b';
        return 'done';
      };

      for (let round = 0; round < 20; round++) {
        const ofRound = `${key}-${round}`;
        const channels = await Promise.all([here, there].map(({ runs }) => runs.start(ofRound, source)));
        for (const channel of channels) expect(await all(channel)).toEqual(['a', 'b', 'done']);
      }

      expect(sources).toBe(20);
    });

    it('finds no run for a key that never ran', async () => {
      const { runs } = await newProcess();

      expect(runs.find(key)).toBeInstanceOf(Promise);
      expect(await runs.find(key)).toBeUndefined();
      expect(await runs.stop(key)).toBe(false);
    });

    it('finds a run of another process, and its result for ttlMs; then the key is free', async () => {
      const [here, there] = await twoProcesses({ ttlMs: 400 });
      const source = new WaitingSource();
      await here.runs.start(key, source.run);
      await source.started;

      const live = all(await there.runs.find(key));
      expect([here.runs.size, there.runs.size]).toEqual([1, 0]);
      await here.runs.stop(key, 'stopped');
      const late = await newProcess({ ttlMs: 400 });
      const results = [await live, await all(await late.runs.find(key))];

      expect(results).toEqual([
        ['after undefined', 'stopped'],
        ['after undefined', 'stopped'],
      ]);
      while ((await late.runs.find(key)) !== undefined) await sleep(20);
      expect(await server.call('KEYS', `*${key}*`)).toEqual([]);
      while ((await there.runs.find(key)) !== undefined) await sleep(20);
      expect(await all(await there.runs.start(key, () => ['again']))).toEqual(['again', undefined]);
    });

    it.each(['stop', 'end'] as const)(
      'aborts a source that only waits within a second of %s() in another process',
      async (method) => {
        const [here, there] = await twoProcesses();
        const source = new WaitingSource();
        await here.runs.start(key, source.run);
        await source.started;
        const channel = await there.runs.find(key);
        const since = performance.now();

        if (method === 'stop') expect(await there.runs.stop(key, 'enough')).toBe(true);
        else await channel?.end('enough');

        await source.aborted;
        expect(performance.now() - since).toBeLessThan(1_000);
        await source.closed;
        expect(await all(channel)).toEqual(['after undefined', 'enough']);
        expect(await there.runs.stop(key)).toBe(false);
        expect(here.runs.size).toBe(0);
      },
    );

    it('aborts the source without the notification, at the next check', async () => {
      const [here, there] = await twoProcesses();
      const source = new WaitingSource();
      await here.runs.start(key, source.run);
      await source.started;
      await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');

      await there.runs.stop(key);

      await source.aborted;
      expect(here.runs.size).toBe(0);
    });

    it('fails the subscribers in every process when the runner has died, and those that are late', async () => {
      const [runner, watcher] = await twoProcesses();
      const third = await newProcess();
      const source = new WaitingSource();
      await runner.runs.start(key, source.run);
      await source.started;
      const reading = [await watcher.runs.find(key), await third.runs.start(key, source.run)].map(all);

      await kill(runner);
      const since = performance.now();
      const outcomes = await Promise.all(reading);

      expect(performance.now() - since).toBeLessThan(LEASE_MS + 1_000);
      const lost = ['after undefined', 'ERR_SSE_RUN_LOST'];
      expect(outcomes).toEqual([lost, lost]);
      expect(await all(await (await newProcess()).runs.find(key))).toEqual(lost);
      expect(await source.aborted).toMatchObject({ name: 'AbortError', code: 'ERR_SSE_RUN_LOST' });
      expect(source.contexts).toHaveLength(1);
    });

    it('fails a run whose runner has died when nobody has watched it', async () => {
      const [runner, other] = await twoProcesses();
      const source = new WaitingSource();
      await runner.runs.start(key, source.run);
      await source.started;
      await kill(runner);
      await sleep(LEASE_MS);

      const outcome = await all(await other.runs.start(key, () => ['another']));

      expect(outcome).toEqual(['after undefined', 'ERR_SSE_RUN_LOST']);
    });

    it('continues a run in another process, each event once and in order', async () => {
      const [runner, heir] = await twoProcesses();
      const watcher = await newProcess();
      const calls: string[] = [];
      /** Counts to 6; the first runner stops at 3. */
      const counting = (last: number) =>
        async function* ({ signal, lastId, lastEvent }: RunContext) {
          calls.push(lastId);
          for (let n = Number(lastEvent?.data ?? 0) + 1; n <= 6; n++) {
            yield String(n);
            if (n === last) await new Promise((resolve) => signal.addEventListener('abort', resolve));
          }
          return 'done';
        };
      const channel = await runner.runs.start(key, counting(3), { takeover: true });
      const third = channel.subscribe();
      for (const _ of [1, 2, 3]) await third.next();
      await third.return();
      const reading = [
        await watcher.runs.find(key),
        await heir.runs.start(key, counting(0), { takeover: true }),
      ].map(all);
      // The heir marks itself at its next check.
      await sleep(1_000);

      await kill(runner);
      const since = performance.now();
      const outcomes = await Promise.all(reading);

      expect(performance.now() - since).toBeLessThan(LEASE_MS + 1_000);
      const expected = ['1', '2', '3', '4', '5', '6', 'done'];
      expect(outcomes).toEqual([expected, expected]);
      expect(calls).toEqual(['', expect.stringMatching(/^\d+-\d+$/)]);
    });

    it('hands a run over when its process closes, or fails it', async () => {
      const [here, there] = await twoProcesses();
      const [first, second] = [new WaitingSource(), new WaitingSource()];
      await here.runs.start(`${key}-a`, first.run);
      await here.runs.start(`${key}-b`, first.run);
      await there.runs.start(`${key}-a`, second.run, { takeover: true });
      await first.started;
      const failing = all(await there.runs.find(`${key}-b`));
      await sleep(1_100);

      await here.runs.close();

      expect(await first.aborted).toMatchObject({ code: 'ERR_SSE_CLOSING' });
      expect((await failing).at(-1)).toBe('ERR_SSE_RUN_LOST');
      await second.started;
      expect(second.contexts[0]?.lastEvent?.data).toBe('after undefined');
      await there.runs.stop(`${key}-a`);
    });

    it('hands a run over only when the cleanup of its source has run, however long the lease', async () => {
      const [here, there] = await twoProcesses();
      const order: string[] = [];
      const cleanup = new Gate();
      const source = (name: string) =>
        async function* ({ signal }: RunContext) {
          order.push(`${name} starts`);
          try {
            yield name;
            await once(signal, 'abort');
            yield 'late';
          } finally {
            if (name === 'first') await cleanup.promise;
            order.push(`${name} ends`);
          }
        };
      const channel = await here.runs.start(key, source('first'), { takeover: true });
      await channel[Symbol.asyncIterator]().next();
      const reading = all(await there.runs.start(key, source('second'), { takeover: true }));
      await sleep(1_100);

      const closing = here.runs.close();
      await sleep(LEASE_MS + 500);
      expect(order).toEqual(['first starts']);
      cleanup.open();
      await closing;
      while (order.length < 3) await sleep(20);
      await there.runs.stop(key, 'stopped');

      expect(await reading).toEqual(['first', 'second', 'stopped']);
      await there.runs.close();
      expect(order).toEqual(['first starts', 'first ends', 'second starts', 'second ends']);
    });

    it('leaves a run with takeover to a process that starts it after the close', async () => {
      const [here, there] = await twoProcesses();
      const [first, second, third] = [new WaitingSource(), new WaitingSource(), new WaitingSource()];
      await here.runs.start(`${key}-a`, first.run, { takeover: true });
      await here.runs.start(`${key}-b`, third.run, { takeover: true });
      await Promise.all([first.started, third.started]);

      await here.runs.close();
      const channel = await there.runs.start(`${key}-a`, second.run, { takeover: true });
      await second.started;
      await there.runs.stop(`${key}-a`, 'stopped');

      expect(await all(channel)).toEqual(['after undefined', 'after after undefined', 'stopped']);
      // A process that cannot continue it does not wait for one that can.
      expect((await all(await there.runs.find(`${key}-b`))).at(-1)).toBe('ERR_SSE_RUN_LOST');
    });

    it('does not hang the subscribers of other processes when the runner closes the channel', async () => {
      const [here, there] = await twoProcesses();
      const source = new WaitingSource();
      const channel = await here.runs.start(key, source.run);
      await source.started;
      const reading = all(await there.runs.find(key));

      await channel.close();

      expect(await reading).toEqual(['after undefined', 'ERR_SSE_RUN_LOST']);
      expect(here.runs.size).toBe(0);
    });

    it('refuses what a process publishes that does not hold the lease', async () => {
      const [here, there] = await twoProcesses();
      const source = new WaitingSource();
      await here.runs.start(key, source.run);
      await source.started;
      const channel = await there.runs.find(key);

      await expect(channel?.publish('foreign')).rejects.toMatchObject({ code: 'ERR_SSE_RUN_LOST' });

      await here.runs.stop(key);
      expect(await all(channel)).toEqual(['after undefined', undefined]);
    });

    it.each([
      ['has expired', 'until', '0'],
      ['was taken', 'token', '9007199254740991'],
    ])('appends nothing for a process whose lease %s', async (_name, field, value) => {
      const { runs } = await newProcess();
      const go = new Gate();
      const aborted = new Gate<unknown>();
      const published = new Gate();
      await runs.start(key, async function* ({ signal }) {
        signal.addEventListener('abort', () => aborted.open(signal.reason));
        yield 'before';
        published.open();
        await go.promise;
        yield 'after';
      });
      await published.promise;

      // As another process does; this one has not noticed it yet.
      await server.call('HSET', `{sse:run:${key}}:lease`, field, value);
      go.open();

      expect(await aborted.promise).toMatchObject({ name: 'AbortError', code: 'ERR_SSE_RUN_LOST' });
      const stored = JSON.stringify(await server.call('XRANGE', `sse:run:${key}`, '-', '+'));
      expect(stored).toContain('before');
      expect(stored).not.toContain('after');
      expect(runs.size).toBe(0);
    });

    it('fails the subscribers when Redis has lost the run', async () => {
      const [here, there] = await twoProcesses();
      const source = new WaitingSource();
      await here.runs.start(key, source.run);
      await source.started;
      const reading = [await here.runs.find(key), await there.runs.find(key)].map(all);
      await sleep(100);

      await server.call('FLUSHALL');

      expect(await source.aborted).toMatchObject({ code: 'ERR_SSE_RUN_LOST' });
      for (const outcome of await Promise.all(reading)) expect(outcome.at(-1)).toBe('ERR_SSE_RUN_LOST');
      expect([await here.runs.find(key), await there.runs.find(key)]).toEqual([undefined, undefined]);
    });

    it('publishes each value once over a connection that loses replies', async () => {
      const proxy = new LossyProxy(server.port);
      // After several cuts, the client waits for up to two seconds before it reconnects.
      const { runs } = await newProcess({ leaseMs: 15_000 }, await proxy.listen());
      const values = Array.from({ length: 30 }, (_, n) => String(n));

      const channel = await runs.start(key, async function* () {
        for (const value of values) {
          if (Number(value) % 5 === 2) proxy.dropNextResponse();
          yield value;
        }
        proxy.dropNextResponse();
        return 'done';
      });

      expect(await all(channel)).toEqual([...values, 'done']);
      await runs.close();
      await Promise.all(processes.splice(0).map(({ logs }) => logs.close()));
      await proxy.close();
    });

    it('renews all leases of a process with one command a second, and checks what it watches with it', async () => {
      const [here, there] = await twoProcesses();
      const source = new WaitingSource();
      for (let n = 0; n < 50; n++) {
        await here.runs.start(`${key}-${n}`, source.run);
        await there.runs.find(`${key}-${n}`);
      }
      await sleep(1_000);
      const evals = async () =>
        Number(/cmdstat_eval:calls=(\d+)/.exec(String(await server.call('INFO', 'commandstats')))?.[1]);
      const [before, since] = [await evals(), performance.now()];

      await sleep(3_000);

      const seconds = (performance.now() - since) / 1_000;
      expect((await evals()) - before).toBeLessThanOrEqual(2 * Math.ceil(seconds));
      expect((await evals()) - before).toBeGreaterThanOrEqual(4);
    });
  });
}

describeWithRedis(
  'createRuns() on a Redis Cluster',
  (server) => {
    beforeAll(async () => {
      await server.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
      while (!String(await server.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(20);
    }, 10_000);

    const CLUSTERS: ReadonlyArray<readonly [string, () => Promise<Connected>]> = [
      [
        'ioredis',
        async () => {
          const client = new Cluster([{ host: '127.0.0.1', port: server.port }], { keyPrefix: 'mine:' });
          client.on('error', () => undefined);
          await once(client, 'ready');
          return { client, end: () => client.disconnect() };
        },
      ],
      [
        'node-redis',
        async () => {
          const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${server.port}` }] });
          client.on('error', () => undefined);
          await client.connect();
          return { client, end: () => client.destroy() };
        },
      ],
    ];

    it.each(CLUSTERS)('%s starts, stops, renews and loses runs of several slots', async (name, connect) => {
      const user = await connect();
      const [ours, theirs] = [redisLogs(user.client), redisLogs(user.client)];
      const here = createRuns<string>({ logs: ours, leaseMs: LEASE_MS });
      const there = createRuns<string>({ logs: theirs, leaseMs: LEASE_MS });
      // Also keys with hash tags of their own, and with braces that are none.
      const keys = ['a', 'b', 'c {tag} d', 'e{', 'f}', '{}g}', '}h{'].map((key) => `${name} ${key}`);
      const sources = keys.map(() => new WaitingSource());
      await Promise.all(keys.map((key, n) => here.start(key, (sources[n] as WaitingSource).run)));
      await Promise.all(sources.map(({ started }) => started));
      const channels = await Promise.all(keys.map((key) => there.find(key)));
      const reading = channels.map(all);
      await sleep(LEASE_MS + 500);
      expect(here.size).toBe(keys.length);

      for (const key of keys.slice(0, 3)) expect(await there.stop(key, 'stopped')).toBe(true);
      await ours.close();

      const outcomes = await Promise.all(reading);
      expect(outcomes.map((outcome) => outcome.at(-1))).toEqual([
        ...Array.from({ length: 3 }, () => 'stopped'),
        ...keys.slice(3).map(() => 'ERR_SSE_RUN_LOST'),
      ]);
      await here.close();
      await there.close();
      await theirs.close();
      await user.end();
    });
  },
  ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
);
