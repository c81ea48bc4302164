import { setTimeout as sleep } from 'node:timers/promises';
import { Channel, type ChannelEvent, createRuns, type RunContext } from '../../lib';
import type { EventRecord } from '../../lib/format/record';
import type { EventLog } from '../../lib/log/event-log';
import { type RedisLogOptions, type RedisLogs, redisLogs } from '../../lib/redis';
import { eventLogContract } from '../../lib/testing/event-log-contract';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';
import { all } from '../support/runs';

const UNIQUE: RedisLogOptions = { uniqueIds: true };

function record(data: string): EventRecord {
  return { kind: 'event', data, serialized: false };
}

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`logs(key, { uniqueIds: true }) with ${name}`, (server) => {
    let user: Connected;
    let [here, there]: RedisLogs[] = [];
    let test = 0;

    beforeEach(async () => {
      user = await connect(server.port);
      here = redisLogs(user.client);
      there = redisLogs(user.client);
      test++;
    });

    afterEach(async () => {
      await Promise.all([here?.close(), there?.close()]);
      await user.end();
    });

    /** A log of a test; the second is the same one in another process. */
    function logs(key: string, options = UNIQUE): [EventLog, EventLog] {
      if (here === undefined || there === undefined) throw new Error('Expected logs.');
      return [here(`${test}-${key}`, options), there(`${test}-${key}`, options)];
    }

    describe('meets the contract of a log:', () => {
      for (const { name: clause, run } of eventLogContract) {
        it(clause, () => {
          let calls = 0;
          return run((key, maxEvents) => {
            const [first, second] = logs(key, { ...UNIQUE, maxEvents });
            return calls++ % 2 === 0 ? first : second;
          });
        });
      }
    });

    it('gives two logs no equal id, also not in the same millisecond', async () => {
      const keys = ['a', 'b', 'a b', 'ü'.repeat(200)];
      const appendAll = (options: RedisLogOptions) =>
        Promise.all(
          Array.from({ length: 150 }, (_, n) =>
            Promise.all(keys.map((key) => logs(key, options)[n % 2]?.append(record(`${n}`)))),
          ),
        );

      const plain = (await appendAll({})).flat();
      const unique = (await appendAll(UNIQUE)).flat();

      expect(new Set(plain).size).toBeLessThan(plain.length);
      expect(new Set(unique).size).toBe(unique.length);
      for (const id of unique) expect(id).toMatch(/^\d+-\d+\.[\w-]{22}$/);
    });

    it('gives the same ids in every process, also from the entries that were stored before', async () => {
      const [plain] = logs('a', {});
      const [log, other] = logs('a');
      const stored = await plain.append(record('before'));
      const id = await log.append(record('after'));

      const ids = async (each: EventLog) => (await each.read('', 10)).entries.map((entry) => entry.id);

      const [, suffix] = id.split('.');
      expect(await ids(other)).toEqual([`${stored}.${suffix}`, id]);
      expect((await other.head()).id.split('.')[1]).toBe(suffix);
      expect(await ids(plain)).toEqual([stored, id.split('.')[0]]);
    });

    it('does not take the id of another log for its own', async () => {
      const [[a], [b], [plain]] = [logs('a'), logs('b'), logs('a', {})];
      const channels = [a, b].map((log) => new Channel<string>({ log }));
      const ids = [await a.append(record('a')), await b.append(record('b'))];
      // The very entry of the other log, as if both were appended in one millisecond.
      const [, suffix = ''] = ids[0]?.split('.') ?? [];
      const foreign = `${ids[0]?.split('.')[0]}.${ids[1]?.split('.')[1]}`;

      for (const id of [ids[1] ?? '', foreign, ids[0]?.split('.')[0] ?? '', `.${suffix}`, suffix, '.']) {
        expect([id, await channels[0]?.canResume(id)]).toEqual([id, false]);
        expect([id, await a.read(id, 5)]).toMatchObject([id, { gap: true }]);
        expect([id, a.compare(id, ids[0] ?? '')]).toEqual([id, Number.NaN]);
      }
      expect(await channels[0]?.canResume(ids[0] ?? '')).toBe(true);
      expect(await plain.read(ids[0] ?? '', 5)).toMatchObject({ gap: true });
    });

    it('sends a gap to a client with the id of another log', async () => {
      const [[a, elsewhere], [b]] = [logs('a'), logs('b')];
      const id = await b.append(record('b'));
      const channel = new Channel<string>({ log: a });
      await channel.publish('first');
      const subscription = channel.subscribe({ lastEventId: id });
      const next = async () => (await subscription.next()).value;

      expect(await next()).toMatchObject({ type: 'gap', data: { lastEventId: id } });
      expect(await next()).toMatchObject({ data: 'first' });
      const live = await elsewhere.append(record('second'));
      expect(await next()).toMatchObject({ data: 'second', id: live });
      await subscription.return();
    });

    it('resumes a client in another process, from Redis and from memory, and within maxReplayEvents', async () => {
      const [a, elsewhere] = logs('a', { ...UNIQUE, cacheSize: 5 });
      const channel = new Channel<number>({ log: a });
      const ids: string[] = [];
      for (let n = 1; n <= 50; n++) ids.push(await channel.publish(n));
      const from = async (lastEventId: string, maxReplayEvents: number | false) => {
        const subscription = new Channel<number>({ log: elsewhere, maxReplayEvents }).subscribe({
          lastEventId,
        });
        const received: unknown[] = [];
        while (received.at(-1) !== 50) {
          const { data } = (await subscription.next()).value as ChannelEvent<number>;
          received.push(data);
        }
        await subscription.return();
        return received;
      };

      expect(await from(ids[9] ?? '', false)).toEqual(Array.from({ length: 40 }, (_, n) => n + 11));
      expect(await from(ids[47] ?? '', false)).toEqual([49, 50]);
      expect(await from(ids[9] ?? '', 3)).toEqual([{ lastEventId: ids[9], oldest: ids[47] }, 48, 49, 50]);
    });

    it('gives an event with an idempotency key one id in every process', async () => {
      const [a, elsewhere] = logs('a');
      const publish = (log: EventLog, idempotencyKey: string) =>
        new Channel<string>({ log }).publish('once', { idempotencyKey });

      const ids = [await publish(a, 'key'), await publish(elsewhere, 'key')];

      expect(ids[1]).toBe(ids[0]);
      expect((await a.read('', 10)).entries.map(({ id }) => id)).toEqual([ids[0]]);
    });

    it('continues a run in another process, with the last event and its id', async () => {
      const contexts: RunContext[] = [];
      const counting = async function* (context: RunContext) {
        contexts.push(context);
        for (let n = Number(context.lastEvent?.data ?? 0) + 1; n <= 3; n++) yield String(n);
        if (contexts.length > 1) return 'done';
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
        return '';
      };
      const runsOf = (logs?: RedisLogs) =>
        createRuns<string>({ logs: (key) => (logs as RedisLogs)(key, UNIQUE), leaseMs: 2_000 });
      const [runner, heir] = [runsOf(here), runsOf(there)];
      const started = await runner.start(`run-${test}`, counting, { takeover: true });
      const subscription = started.subscribe();
      const received = [1, 2, 3].map(() => subscription.next());
      const ids = (await Promise.all(received)).map(({ value }) => (value as { id?: string }).id);
      await subscription.return();
      const channel = await heir.start(`run-${test}`, counting, { takeover: true });
      // The heir marks itself at its next check.
      await sleep(1_100);

      await runner.close();

      expect(await all(channel)).toEqual(['1', '2', '3', 'done']);
      expect(contexts.map(({ lastId }) => lastId)).toEqual(['', ids[2]]);
      expect(contexts[1]?.lastEvent).toMatchObject({ id: ids[2], data: '3' });
      await heir.close();
    });
  });
}
