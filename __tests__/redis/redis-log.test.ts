import { once } from 'node:events';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import IoRedis, { Cluster } from 'ioredis';
import { createClient, createCluster } from 'redis';
import { Channel, type ChannelEvent } from '../../lib';
import type { EventRecord } from '../../lib/format/record';
import type { EventLog } from '../../lib/log/event-log';
import { type RedisLogOptions, type RedisLogs, redisLogs } from '../../lib/redis';
import { eventLogContract } from '../../lib/testing/event-log-contract';
import { fullMessage } from '../support/error-with';
import { LogRecorder } from '../support/log-recorder';
import { LossyProxy } from '../support/lossy-proxy';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';

const CLOSED = { code: 'ERR_SSE_CHANNEL_CLOSED' };
const UNAVAILABLE = { code: 'ERR_SSE_LOG_UNAVAILABLE' };

function record(data: string | number, kind: EventRecord['kind'] = 'event'): EventRecord {
  return { kind, data: String(data), serialized: false };
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}

/** Appends all without waiting for the acknowledgements. */
function appendAll(log: EventLog, data: readonly string[]): Promise<string[]> {
  return Promise.all(data.map((text) => log.append(record(text))));
}

async function dataAfter(log: EventLog, id: string): Promise<string[]> {
  const { entries } = await log.read(id, 10_000);
  return entries.map((entry) => entry.record.data);
}

let emitWarning: jest.SpyInstance<void, Parameters<typeof process.emitWarning>>;

beforeEach(() => {
  emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation();
});
afterEach(() => emitWarning.mockRestore());

/** Resolves when this number of warnings has been emitted. */
async function warned(times: number): Promise<void> {
  while (emitWarning.mock.calls.length < times) await setImmediate();
}

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`redisLogs() with ${name}`, (server) => {
    let user: Connected;
    let [here, there]: RedisLogs[] = [];
    let key = 0;

    beforeEach(async () => {
      if (!server.running) await server.start();
      await server.call('CONFIG', 'SET', 'maxclients', '1000');
      user = await connect(server.port);
      here = redisLogs(user.client);
      there = redisLogs(user.client);
      key++;
    });

    afterEach(async () => {
      await Promise.all([here?.close(), there?.close()]);
      await user.end();
    });

    /** The same log, once for each of two processes. */
    function logs(options?: RedisLogOptions): [EventLog, EventLog] {
      if (here === undefined || there === undefined) throw new Error('Expected logs.');
      return [here(`key-${key}`, options), there(`key-${key}`, options)];
    }

    const redisKey = () => `sse:key-${key}`;

    async function expire(): Promise<void> {
      await server.call('PEXPIRE', redisKey(), '1');
      while ((await server.call('EXISTS', redisKey())) === 1) await setImmediate();
    }

    /** Until `allowConnections`, no connection that was lost can be made again. */
    async function refuseConnections(): Promise<void> {
      await server.call('CONFIG', 'SET', 'maxclients', '1');
    }
    async function allowConnections(): Promise<void> {
      await server.call('CONFIG', 'SET', 'maxclients', '1000');
    }

    describe('meets the contract of a log:', () => {
      for (const { name: clause, run } of eventLogContract) {
        it(clause, () => {
          // The logs of two processes, in turn.
          const sides = [here, there];
          const make = (of: string, maxEvents: number) => {
            const [side] = sides.reverse();
            if (side === undefined) throw new Error('Expected logs.');
            return side(`contract-${key}-${of}`, { maxEvents });
          };
          return run(make);
        });
      }
    });

    describe('a log', () => {
      it('gives ascending ids, and reads the appended entries', async () => {
        const [log] = logs();

        const ids = await appendAll(log, numbers(1, 5));

        expect([...ids].sort(log.compare.bind(log))).toEqual(ids);
        expect(await log.read(ids[1] ?? '', 2)).toEqual({
          entries: [
            { id: ids[2], record: record(3) },
            { id: ids[3], record: record(4) },
          ],
          gap: false,
        });
        expect(await log.read(ids[4] ?? '', 2)).toEqual({ entries: [], gap: false });
        expect(await dataAfter(log, '')).toEqual(numbers(1, 5));
      });

      it('retains every field of a record', async () => {
        const [log] = logs();
        const full: EventRecord = { kind: 'event', type: 'a b', data: 'ü\n\u0000"\ud83d\ude00', serialized: true, retry: 3, comment: 'c\nd' }; // biome-ignore format: one line

        await log.append(full);

        expect((await log.read('', 1)).entries[0]?.record).toEqual(full);
      });

      it('reports its head', async () => {
        const [log, other] = logs();
        expect(await log.head()).toEqual({ id: '0-0', ended: false });

        const id = await log.append(record(1));

        expect(await log.head()).toEqual({ id, ended: false });
        await log.append(record(2, 'end'));
        expect((await log.head()).ended).toBe(true);
        expect((await other.head()).ended).toBe(true);
      });

      it.each(['end', 'error'] as const)('rejects an append after an %s', async (kind) => {
        const [log, other] = logs();
        await log.append(record('last', kind));

        await expect(log.append(record('more'))).rejects.toMatchObject(CLOSED);
        await expect(other.append(record('more'))).rejects.toMatchObject(CLOSED);
        expect(await dataAfter(log, '')).toEqual(['last']);
      });

      it('orders ids, and returns NaN for a string that is not an id', () => {
        const [log] = logs();

        expect(log.compare('9-0', '10-0')).toBeLessThan(0);
        expect(log.compare('9-10', '9-9')).toBeGreaterThan(0);
        expect(log.compare('9-1', '9-1')).toBe(0);
        for (const id of [
          '',
          '~end',
          '1',
          '1-',
          '-1',
          '1-1-1',
          ' 1-1',
          '1-1\n',
          '+',
          '$',
          `${'1'.repeat(16)}-0`,
        ]) {
          expect(log.compare(id, '1-1')).toBeNaN();
          expect(log.compare('1-1', id)).toBeNaN();
        }
      });

      it('reports whether it has subscribers in any process', async () => {
        const [log, other] = logs();
        expect(await log.hasSubscribers?.()).toBe(false);

        const subscription = other.subscribe(new LogRecorder());
        await subscription.from;

        expect(await log.hasSubscribers?.()).toBe(true);
        subscription.close();
        while (await log.hasSubscribers?.()) await setImmediate();
      });
    });

    describe('subscribers', () => {
      it('receive the entries of every process, in order, each once', async () => {
        const [log, other] = logs();
        const recorders = [new LogRecorder(), new LogRecorder(), new LogRecorder()];
        const subscriptions = recorders.map((recorder, index) =>
          (index === 2 ? other : log).subscribe(recorder),
        );
        await Promise.all(subscriptions.map(({ from }) => from));

        await Promise.all([appendAll(log, numbers(1, 500)), appendAll(other, numbers(501, 1_000))]);
        await log.append(record('last'));

        const received = await Promise.all(recorders.map((recorder) => recorder.until('last')));
        const inRedis = await dataAfter(log, '');
        expect(inRedis).toHaveLength(1_001);
        for (const each of received) expect(each).toEqual(inRedis);
        // The entries of one process are in the order of its calls.
        expect(inRedis.filter((data) => Number(data) <= 500)).toEqual(numbers(1, 500));
      });

      it('receive all entries after their `from` id, also while another process appends', async () => {
        const [log, other] = logs({ maxEvents: 10_000 });
        const appending = appendAll(other, numbers(1, 2_000));

        const recorders = await Promise.all(
          numbers(1, 10).map(async (_, index) => {
            await sleep(index);
            const recorder = new LogRecorder();
            const from = await log.subscribe(recorder).from;
            return { recorder, from };
          }),
        );
        await appending;
        await other.append(record('last'));

        for (const { recorder, from } of recorders) {
          await recorder.until('last');
          expect(recorder.received).toEqual(await dataAfter(log, from));
          expect(recorder.gaps).toEqual([]);
        }
      });

      it('receive nothing after close(), while others continue to receive', async () => {
        const [log, other] = logs();
        const [recorder, stays] = [new LogRecorder(), new LogRecorder()];
        const subscription = log.subscribe(recorder);
        await Promise.all([subscription.from, log.subscribe(stays).from]);

        subscription.close();
        subscription.close();
        await other.append(record(1));

        expect(await stays.until('1')).toEqual(['1']);
        expect(recorder.received).toEqual([]);
      });

      it('can be closed immediately', async () => {
        const [log, other] = logs();
        for (let i = 0; i < 20; i++) log.subscribe(new LogRecorder()).close();
        const recorder = new LogRecorder();
        const stopped = log.subscribe(new LogRecorder());
        stopped.close();

        await log.subscribe(recorder).from;
        await other.append(record(1));

        expect(await stopped.from).toBe('0-0');
        expect(await recorder.until('1')).toEqual(['1']);
      });

      it('read entries without a message from the stream', async () => {
        const [log, other] = logs();
        const recorder = new LogRecorder();
        await log.subscribe(recorder).from;
        const id = await other.append(record(1));
        await recorder.until('1');

        await server.call('XADD', redisKey(), '*', 'before', id, 'event', JSON.stringify(record(2)));
        await other.append(record(3));

        expect(await recorder.until('3')).toEqual(['1', '2', '3']);
        expect(recorder.gaps).toEqual([]);
      });

      it('read page by page after they have missed many entries', async () => {
        const [log, other] = logs({ maxEvents: 10_000 });
        const recorder = new LogRecorder();
        await log.subscribe(recorder).from;

        await refuseConnections();
        await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
        await appendAll(other, numbers(1, 1_700));
        await allowConnections();

        expect(await recorder.until('1700')).toEqual(numbers(1, 1_700));
        expect(recorder.gaps).toEqual([]);
      });

      it('skip foreign entries and messages', async () => {
        const [log, other] = logs();
        const recorder = new LogRecorder();
        await log.subscribe(recorder).from;

        await other.append(record(1));
        await server.call('XADD', redisKey(), '*', 'foreign', 'entry');
        await server.call('XADD', redisKey(), '*', 'event', '{"kind":"event","data":1}');
        await server.call('PUBLISH', `${redisKey()}@0`, 'foreign message');
        await other.append(record(2));

        expect(await recorder.until('2')).toEqual(['1', '2']);
        expect(recorder.gaps).toEqual([]);
        const [first] = (await log.read('', 1)).entries;
        expect(await log.read(first?.id ?? '', 1)).toMatchObject({ entries: [{ record: record(2) }], gap: false }); // biome-ignore format: one line
      });

      it('receive no gap when a log has expired and starts again', async () => {
        const [log, other] = logs();
        const recorder = new LogRecorder();
        await log.subscribe(recorder).from;
        await other.append(record(1));
        await recorder.until('1');

        await expire();
        await other.append(record(2));

        expect(await recorder.until('2')).toEqual(['1', '2']);
        expect(recorder.gaps).toEqual([]);
      });
    });

    describe('head()', () => {
      it('is before every entry that is appended after the call', async () => {
        const [log, other] = logs();
        await appendAll(log, numbers(1, 10));

        for (let i = 0; i < 20; i++) {
          const head = log.head();
          const appended = appendAll(other, numbers(1, 20));
          const { id } = await head;
          const [first = ''] = await appended;

          expect(log.compare(id, first)).toBeLessThan(0);
        }
      });

      it('is not before an entry that this process has appended or received', async () => {
        const [log, other] = logs();
        const id = await log.append(record(1));
        expect((await log.head()).id).toBe(id);

        const recorder = new LogRecorder();
        await other.subscribe(recorder).from;
        const next = await log.append(record(2));
        await recorder.until('2');

        expect((await other.head()).id).toBe(next);
      });

      it('is the last id of a log whose entries were all trimmed', async () => {
        const [log, other] = logs();
        const id = await log.append(record(1));
        await server.call('XTRIM', redisKey(), 'MAXLEN', '0');

        expect(await other.head()).toEqual({ id, ended: false });
        expect(await other.read(id, 10)).toEqual({ entries: [], gap: false });
      });
    });

    describe('idBeforeNewest()', () => {
      /** What Redis has run since the last `CONFIG RESETSTAT`, by the name of the command. */
      async function calls(command: string): Promise<number> {
        const stats = String(await server.call('INFO', 'commandstats'));
        return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
      }

      it('finds the id with one command, however long the log is', async () => {
        const [log, other] = logs({ maxEvents: 10_000 });
        const ids = await appendAll(log, numbers(1, 3_000));
        await server.call('CONFIG', 'RESETSTAT');

        expect(await other.idBeforeNewest?.(400)).toBe(ids[2_599]);

        expect([await calls('xrevrange'), await calls('xrange'), await calls('eval')]).toEqual([1, 0, 0]);
      });

      it('reads a large number of events in several commands', async () => {
        const [log, other] = logs({ maxEvents: 10_000 });
        const ids = await appendAll(log, numbers(1, 3_000));
        await server.call('CONFIG', 'RESETSTAT');

        expect(await other.idBeforeNewest?.(2_999)).toBe(ids[0]);
        expect(await other.idBeforeNewest?.(3_000)).toBeUndefined();

        expect(await calls('xrevrange')).toBe(6 + 7);
      });

      it('counts no foreign entries and not the end', async () => {
        const [log, other] = logs();
        const ids = await appendAll(log, numbers(1, 3));
        for (let n = 0; n < 20; n++) await server.call('XADD', redisKey(), '*', 'foreign', 'entry');
        const last = await log.append(record(4));
        await log.append(record('done', 'end'));

        const found = [0, 1, 2, 3, 4].map((count) => other.idBeforeNewest?.(count));

        expect(await Promise.all(found)).toEqual([last, ids[2], ids[1], ids[0], undefined]);
      });

      it('is asked once for all subscribers of a channel that replays at most maxReplayEvents', async () => {
        const [log, other] = logs({ maxEvents: 10_000, cacheSize: 5 });
        const ids = await appendAll(other, numbers(1, 3_000));
        const channel = new Channel<string>({ log, maxReplayEvents: 10 });
        // The first subscriber waits for the position of the log, the others for the same search.
        const lost = ['made-up', '1-1', ids[0] ?? '', ids[1_500] ?? ''];
        const subscriptions = Array.from({ length: 20 }, (_, n) =>
          channel.subscribe({ lastEventId: lost[n % 4] as string }),
        );
        await server.call('CONFIG', 'RESETSTAT');

        const received = await Promise.all(
          subscriptions.map(async (subscription) => {
            const data: unknown[] = [];
            while (data.at(-1) !== '3000') {
              const { id, data: one } = (await subscription.next()).value as ChannelEvent<string>;
              data.push(id === undefined ? 'gap' : one);
            }
            return data;
          }),
        );

        for (const data of received) expect(data).toEqual(['gap', ...numbers(2_991, 3_000)]);
        // Besides, each head() needs one.
        expect(await calls('xrevrange')).toBeLessThanOrEqual(1 + 2 * (await calls('eval')));
        expect(await calls('xrange')).toBeLessThanOrEqual(4);
        await channel.close();
      });
    });

    describe('trimming', () => {
      it('by number results in a gap for a reader after an old id', async () => {
        const [log] = logs({ maxEvents: 10 });
        const [first = ''] = await appendAll(log, numbers(1, 500));

        const page = await log.read(first, 1_000);

        expect(page.gap).toBe(true);
        expect(page.entries.length).toBeLessThan(150);
        expect(page.entries.at(-1)?.record.data).toBe('500');
        expect(await log.read('', 1_000)).toEqual({ entries: page.entries, gap: false });
      });

      it('by age is exact, and a log without new entries expires', async () => {
        const [log] = logs({ maxAgeMs: 60_000 });
        await server.call('XADD', redisKey(), '1-1', 'before', '0-0', 'event', JSON.stringify(record('old')));

        await server.call(
          'XADD',
          redisKey(),
          '1-2',
          'before',
          '1-1',
          'event',
          JSON.stringify(record('older')),
        );

        await log.append(record('new'));

        expect(await log.read('1-1', 10)).toMatchObject({ entries: [{ record: record('new') }], gap: true });
        const left = Number(await server.call('PTTL', redisKey()));
        expect(left).toBeGreaterThan(50_000);
        expect(left).toBeLessThanOrEqual(60_000);
      });

      it('during an outage is a gap for a subscriber', async () => {
        const [log, other] = logs();
        const recorder = new LogRecorder();
        await log.subscribe(recorder).from;
        await other.append(record(1));
        await recorder.until('1');

        await refuseConnections();
        await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
        await appendAll(other, ['2', '3']);
        await server.call('XTRIM', redisKey(), 'MAXLEN', '1');
        await allowConnections();

        expect(await recorder.until('3')).toEqual(['1', '3']);
        expect(recorder.gaps).toEqual([1]);
      });
    });

    describe('a loss of data', () => {
      it('during an outage is a gap for a subscriber, and for a later read', async () => {
        const [log, other] = logs();
        const recorder = new LogRecorder();
        await log.subscribe(recorder).from;
        const id = await other.append(record(1));
        await recorder.until('1');

        await refuseConnections();
        await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
        await other.append(record(2));
        await expire();
        await other.append(record(3));
        await allowConnections();

        expect(await recorder.until('3')).toEqual(['1', '3']);
        expect(recorder.gaps).toEqual([1]);
        expect(await log.read(id, 10)).toMatchObject({ entries: [{ record: record(3) }], gap: true });
      });
    });

    describe('ids invented by a client', () => {
      const HOSTILE = [
        '0-0\r\nFLUSHALL',
        '-',
        '+',
        '~end',
        "1-1' .. redis.call('FLUSHALL')",
        '9'.repeat(5_000_000),
      ];

      it('are not sent to Redis if they are malformed', async () => {
        const [log] = logs();
        await log.append(record(1));
        const watcher = new IoRedis(server.port, '127.0.0.1');
        const monitor = await watcher.monitor();
        const seen: string[] = [];
        monitor.on('monitor', (_time: string, args: string[]) => seen.push(args.join(' ')));

        for (const id of HOSTILE) {
          expect(await log.read(id, 10)).toMatchObject({ entries: [{ record: record(1) }], gap: true });
        }
        await server.call('ECHO', 'enough');
        while (!seen.some((command) => command.includes('enough'))) await once(monitor, 'monitor');
        monitor.disconnect();
        watcher.disconnect();

        const asked = seen.filter((command) => command.includes(redisKey()));
        expect(new Set(asked)).toEqual(new Set([`XRANGE ${redisKey()} - + COUNT 11`]));
        expect(asked).toHaveLength(HOSTILE.length);
      });

      it.each(['1-1', '999999999999999-0', '0-0'])(
        'result in a gap if they are well formed: %s',
        async (id) => {
          const [log] = logs();
          expect(await log.read('1-1', 10)).toEqual({ entries: [], gap: true });
          await appendAll(log, ['1', '2']);
          await server.call('XTRIM', redisKey(), 'MAXLEN', '1');

          expect(await log.read(id, 10)).toMatchObject({ entries: [{ record: record(2) }], gap: true });
        },
      );

      it('between existing ids result in a gap, followed by the entries after them', async () => {
        const [log] = logs();
        await server.call('XADD', redisKey(), '5-1', 'before', '0-0', 'event', JSON.stringify(record('a')));
        await server.call('XADD', redisKey(), '5-3', 'before', '5-1', 'event', JSON.stringify(record('b')));

        expect(await log.read('5-2', 10)).toMatchObject({
          entries: [{ id: '5-3' }],
          gap: true,
        });
      });
    });

    describe('while Redis is disconnected', () => {
      it('an append rejects immediately, and subscribers catch up after the reconnection', async () => {
        const [log, other] = logs();
        const recorders = [new LogRecorder(), new LogRecorder()];
        await Promise.all([
          log.subscribe(recorders[0] as LogRecorder).from,
          other.subscribe(recorders[1] as LogRecorder).from,
        ]);
        await appendAll(log, numbers(1, 100));
        await recorders[1]?.until('100');
        emitWarning.mockClear();

        await server.kill();
        await warned(2);
        await expect(log.append(record('lost'))).rejects.toMatchObject({
          ...UNAVAILABLE,
          message: fullMessage(
            UNAVAILABLE.code,
            'Cannot publish: Redis is DISCONNECTED. Nothing was appended; publish again after it has reconnected.',
          ),
          cause: expect.any(Error),
        });
        const [head, from] = [log.head(), log.subscribe(new LogRecorder()).from];
        const read = log.read('', 1_000);
        await server.start();

        expect((await read).entries).toHaveLength(100);
        expect(await from).toBe((await head).id);
        await appendAll(log, numbers(101, 200));
        for (const recorder of recorders) expect(await recorder.until('200')).toEqual(numbers(1, 200));
        expect(recorders.map(({ gaps }) => gaps)).toEqual([[], []]);
      });

      it('one warning is emitted for each outage and process', async () => {
        const [log, other] = logs();
        await Promise.all([log.subscribe(new LogRecorder()).from, other.head()]);
        emitWarning.mockClear();

        await server.kill();
        await warned(2);
        await sleep(150);
        await server.start();
        await Promise.all([
          log.head(),
          other.head(),
          log.subscribe(new LogRecorder()).from,
          other.subscribe(new LogRecorder()).from,
        ]);

        expect(emitWarning.mock.calls.map(([, options]) => options)).toEqual([
          { type: 'SseWarning', code: 'SSE_REDIS_LOST' },
          { type: 'SseWarning', code: 'SSE_REDIS_LOST' },
        ]);
      });

      it('from the start, an append rejects as soon as the first attempt to connect has failed', async () => {
        await server.kill();
        const fresh = redisLogs(user.client);

        await expect(fresh('key').append(record(1))).rejects.toMatchObject({
          ...UNAVAILABLE,
          cause: { code: 'ECONNREFUSED' },
        });
        await Promise.all([fresh.close(), server.start()]);
      });

      it('the outcome of an append whose reply is lost is unknown, and it is not sent again', async () => {
        const proxy = new LossyProxy(server.port);
        const proxied = await connect(await proxy.listen());
        const lossy = redisLogs(proxied.client);
        const log = lossy(`key-${key}`);
        const recorder = new LogRecorder();
        await Promise.all([log.append(record(1)), log.subscribe(recorder).from]);

        // No other command is in flight: the next response is the reply to the append, or first its message.
        proxy.dropNextResponse();
        const outcome = await Promise.resolve(log.append(record(2))).catch((error: unknown) => error);
        await log.head();
        await log.append(record(3));

        if (typeof outcome !== 'string') {
          expect(outcome).toMatchObject({
            ...UNAVAILABLE,
            message: expect.stringContaining('it is unknown whether the event was appended'),
          });
        }
        expect(await dataAfter(log, '')).toEqual(['1', '2', '3']);
        await recorder.until('3');
        expect(recorder.received.filter((data) => data !== '1')).toEqual(['2', '3']);
        await lossy.close();
        await proxied.end();
        await proxy.close();
      });

      it.each(['pubsub', 'normal'])('for a moment, after a %s connection was killed, no entry is lost or duplicated', async (type) => {
        const [log, other] = logs({ maxEvents: 100_000 });
        const recorders = [new LogRecorder(), new LogRecorder()];
        await Promise.all([log.subscribe(recorders[0] as LogRecorder).from, other.subscribe(recorders[1] as LogRecorder).from]);
        const acknowledged: string[] = [];
        const publish = async (to: EventLog, name: string) => {
          for (let i = 0; i < 300; i++) {
            const data = `${name}${i}`;
            await Promise.resolve(to.append(record(data))).then(
              () => acknowledged.push(data),
              () => sleep(5),
            );
          }
        };

        const publishing = Promise.all([publish(log, 'a'), publish(other, 'b')]);
        for (let i = 0; i < 3; i++) {
          await sleep(15);
          await server.call('CLIENT', 'KILL', 'TYPE', type);
        }
        await publishing;
        while ((await Promise.resolve(log.append(record('last'))).catch(() => 'rejected')) === 'rejected') await sleep(5);

        const inRedis = await dataAfter(log, '');
        for (const recorder of recorders) expect(await recorder.until('last')).toEqual(inRedis);
        expect(new Set(inRedis).size).toBe(inRedis.length);
        expect(acknowledged.filter((data) => !inRedis.includes(data))).toEqual([]);
        expect(recorders.map(({ gaps }) => gaps)).toEqual([[], []]);
      }); // biome-ignore format: one line
    });

    describe('errors from Redis', () => {
      it('reject the call with their message', async () => {
        const [log] = logs();
        await server.call('SET', redisKey(), 'a string');
        const refused = {
          ...UNAVAILABLE,
          message: expect.stringContaining('WRONGTYPE'),
          cause: expect.any(Error),
        };

        await expect(log.append(record(1))).rejects.toMatchObject(refused);
        await expect(log.head()).rejects.toMatchObject(refused);
        await expect(log.read('', 1)).rejects.toMatchObject(refused);
      });

      it('do not occur after SCRIPT FLUSH', async () => {
        const [log] = logs();
        await log.append(record(1));
        await server.call('SCRIPT', 'FLUSH');

        await appendAll(log, ['2', '3']);

        expect(await dataAfter(log, '')).toEqual(['1', '2', '3']);
      });
    });

    describe('close()', () => {
      const connections = async () =>
        String(await server.call('CLIENT', 'LIST'))
          .trim()
          .split('\n').length;

      it('leaves no connection and no timer, and does not change the client', async () => {
        await Promise.all(logs().map((log) => log.head()));
        const [before, resources] = [await connections(), process.getActiveResourcesInfo().sort()];
        const fresh = redisLogs(user.client);
        const log = fresh('close');
        await log.append(record(1));
        await log.subscribe(new LogRecorder()).from;
        expect(await connections()).toBe(before + 2);

        const closing = fresh.close();

        expect(fresh.close()).toBe(closing);
        await closing;
        while ((await connections()) !== before) await setImmediate();
        while (process.getActiveResourcesInfo().length > resources.length) await setImmediate();
        expect(process.getActiveResourcesInfo().sort()).toEqual(resources);
      });

      it('rejects pending and later calls', async () => {
        await server.kill();
        const fresh = redisLogs(user.client);
        const log = fresh('close');
        const waiting = [
          log.head(),
          log.read('', 1),
          log.idBeforeNewest?.(1),
          log.subscribe(new LogRecorder()).from,
        ];

        await fresh.close();

        for (const each of waiting) await expect(each).rejects.toMatchObject(UNAVAILABLE);
        await expect(log.append(record(1))).rejects.toMatchObject({
          message: expect.stringContaining('CLOSED'),
        });
        await expect(log.head()).rejects.toMatchObject(UNAVAILABLE);
        await expect(log.subscribe(new LogRecorder()).from).rejects.toMatchObject(UNAVAILABLE);
        await server.start();
      });
    });

    describe('keys', () => {
      it('have the prefix of redisLogs(), after that of the client', async () => {
        const prefixed = redisLogs(user.client, { prefix: 'app:' });

        await prefixed('x').append(record(1));

        expect(await server.call('EXISTS', 'app:x')).toBe(1);
        await prefixed.close();
      });

      it.each([[''], [undefined], [7], [{}]])('are refused if they are not a non-empty string: %j', (bad) => {
        expect(() => here?.(bad as string)).toThrow(
          expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_OPTION' }),
        );
      });
    });
  });
}

describeWithRedis('redisLogs() and the options of the client', (server) => {
  it('uses the prefix and the database of ioredis', async () => {
    const client = new IoRedis(server.port, '127.0.0.1', { keyPrefix: 'mine:', db: 3 });
    const logs = redisLogs(client);
    const recorder = new LogRecorder();
    const log = logs('x');
    await log.subscribe(recorder).from;

    await log.append(record(1));

    expect(await recorder.until('1')).toEqual(['1']);
    expect(await client.exists('sse:x')).toBe(1);
    expect(await log.hasSubscribers?.()).toBe(true);
    await logs.close();
    client.disconnect();
  });

  it('receives no entries of another database', async () => {
    const clients = [0, 1].map((db) => new IoRedis(server.port, '127.0.0.1', { db }));
    const [zero, one] = clients.map((client) => redisLogs(client)) as [RedisLogs, RedisLogs];
    const recorder = new LogRecorder();
    await zero('y').subscribe(recorder).from;

    await one('y').append(record('other'));
    await zero('y').append(record('own'));

    expect(await recorder.until('own')).toEqual(['own']);
    await Promise.all([zero.close(), one.close()]);
    for (const client of clients) client.disconnect();
  });

  it.each([
    ['RESP 2', { RESP: 2 } as const],
    ['a client that does not reconnect', { socket: { reconnectStrategy: false } } as const],
  ])('works with node-redis and %s', async (_name, options) => {
    const { socket, ...rest } = { socket: {}, ...options };
    const client = createClient({ ...rest, socket: { host: '127.0.0.1', port: server.port, ...socket } });
    client.on('error', () => undefined);
    await client.connect();
    const logs = redisLogs(client);
    const recorder = new LogRecorder();
    const log = logs(_name);
    await log.subscribe(recorder).from;

    await log.append(record(1));
    await recorder.until('1');
    await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await log.append(record(2));

    expect(await recorder.until('2')).toEqual(['1', '2']);
    expect(await log.hasSubscribers?.()).toBe(true);
    await logs.close();
    client.destroy();
  });

  it('works with ioredis and RESP 2', async () => {
    const client = new IoRedis(server.port, '127.0.0.1', { protocol: 2 });
    const logs = redisLogs(client);
    const recorder = new LogRecorder();
    const log = logs('resp2');
    await log.subscribe(recorder).from;

    await log.append(record(1));

    expect(await recorder.until('1')).toEqual(['1']);
    expect(await log.hasSubscribers?.()).toBe(true);
    await logs.close();
    client.disconnect();
  });
});

describeWithRedis(
  'redisLogs() on a cluster',
  (server) => {
    beforeAll(async () => {
      await server.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
      while (!String(await server.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(20);
    });

    const connects: ReadonlyArray<readonly [string, () => Promise<Connected>]> = [
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

    it.each(connects)('%s receives, reads and catches up', async (name, connect) => {
      const user = await connect();
      const [here, there] = [redisLogs(user.client), redisLogs(user.client)];
      const [log, other] = [here(name), there(name)];
      const recorder = new LogRecorder();
      await log.subscribe(recorder).from;

      const ids = await appendAll(other, numbers(1, 50));
      await recorder.until('50');
      await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await appendAll(other, numbers(51, 100));

      expect(await recorder.until('100')).toEqual(numbers(1, 100));
      expect(recorder.gaps).toEqual([]);
      expect(await dataAfter(log, ids[48] ?? '')).toEqual(numbers(50, 100));
      expect(await other.hasSubscribers?.()).toBe(true);
      expect((await other.head()).ended).toBe(false);
      await log.append(record('last', 'end'));
      await expect(other.append(record('more'))).rejects.toMatchObject(CLOSED);
      await Promise.all([here.close(), there.close()]);
      await user.end();
    });

    it.each(connects)('%s sends no command twice', async (name, connect) => {
      const user = await connect();
      const [here, there] = [redisLogs(user.client), redisLogs(user.client)];
      const [log, other] = [here(`${name} once`), there(`${name} once`)];
      await log.append(record('first'));

      const publishing = numbers(1, 500).map((data) =>
        Promise.resolve(log.append(record(data))).catch(() => 'lost'),
      );
      await server.call('CLIENT', 'KILL', 'TYPE', 'normal');
      await Promise.all(publishing);

      const inRedis = (await other.read('', 1_000)).entries.map((entry) => entry.record.data);
      expect(new Set(inRedis).size).toBe(inRedis.length);
      await Promise.all([here.close(), there.close()]);
      await user.end();
    });
  },
  ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
);

describe('redisLogs() refuses', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a URL', 'redis://localhost'],
    ['an object', {}],
    ['an object with duplicate() only', { duplicate: () => undefined }],
  ])('%s as a client', (_name, client) => {
    expect(() => redisLogs(client as never)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_OPTION',
        message: expect.stringMatching(/^Expected client to be a client of 'redis' .* Use redisLogs\(/),
      }),
    );
  });
});
