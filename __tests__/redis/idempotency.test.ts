import { setTimeout as sleep } from 'node:timers/promises';
import { Channel } from '../../lib';
import { type RedisLogs, redisLogs } from '../../lib/redis';
import { LossyProxy } from '../support/lossy-proxy';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';

/** The events that are published with blind retries, for each client. */
const PUBLISHES = Number(process.env.IDEMPOTENT_PUBLISHES ?? 2_000);

/** On average, a response is dropped with its connection after this number of events. */
const EVENTS_PER_CUT = Number(process.env.EVENTS_PER_CUT ?? 200);

const IN_FLIGHT = 50;

jest.setTimeout(30_000 + PUBLISHES * 10);

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`publish() with an idempotencyKey on Redis, with ${name}`, (server) => {
    let proxy: LossyProxy;
    let users: Connected[];
    let logs: RedisLogs[];

    beforeEach(async () => {
      jest.spyOn(process, 'emitWarning').mockImplementation();
      proxy = new LossyProxy(server.port);
      users = [await connect(await proxy.listen()), await connect(server.port)];
      logs = users.map(({ client }) => redisLogs(client));
    });

    afterEach(async () => {
      await Promise.all(logs.map((each) => each.close()));
      for (const user of users) await user.end();
      await proxy.close();
      jest.restoreAllMocks();
    });

    it(`loses and doubles no event over cut connections with blind retries (${PUBLISHES} events)`, async () => {
      const log = logs[0]?.('blind', { maxEvents: 2 * PUBLISHES });
      const channel = new Channel<number>({ log });
      const published = new Map<number, string>();
      let [next, retries, repeatedIds] = [0, 0, 0];

      async function publishOne(n: number): Promise<string> {
        for (;;) {
          try {
            return await channel.publish(n, { idempotencyKey: `event ${n}` });
          } catch {
            retries++;
            await sleep(5);
          }
        }
      }
      async function work(): Promise<void> {
        while (next < PUBLISHES) {
          const n = next++;
          if (n % EVENTS_PER_CUT === EVENTS_PER_CUT / 2) proxy.dropNextResponse();
          published.set(n, await publishOne(n));
          // The same again although it was acknowledged, as a caller does that has crashed.
          if (n % 10 === 0 && (await publishOne(n)) === published.get(n)) repeatedIds++;
        }
      }
      await Promise.all(Array.from({ length: IN_FLIGHT }, work));

      const stored: Array<readonly [number, string]> = [];
      for (let after = ''; ; ) {
        const page = await logs[1]?.('blind').read(after, 5_000);
        if (page === undefined || page.entries.length === 0) break;
        for (const { id, record } of page.entries) stored.push([Number(record.data), id]);
        after = page.entries.at(-1)?.id ?? '';
      }
      const found = new Set(stored.map(([n]) => n));
      const lost = [...published.keys()].filter((n) => !found.has(n));
      process.stdout.write(`\n${name}: ${PUBLISHES} events, ${retries} retries, ${stored.length} stored\n`);
      expect(lost).toEqual([]);
      expect(stored.length).toBe(PUBLISHES);
      expect(new Map(stored)).toEqual(published);
      expect(retries).toBeGreaterThan(0);
      expect(repeatedIds).toBe(Math.ceil(PUBLISHES / 10));
    });

    it('remembers a limited number of keys', async () => {
      const channel = new Channel<number>({ log: logs[1]?.('bounded', { maxEvents: 50 }) });

      for (let n = 0; n < 2_000; n++) await channel.publish(n, { idempotencyKey: `key ${n}` });

      const keys = (await server.call('KEYS', '*bounded*once*')) as string[];
      let fields = 0;
      for (const key of keys) fields += Number(await server.call('HLEN', key));
      expect(fields).toBeGreaterThanOrEqual(50);
      // Two hashes, of which each may exceed the limit until its size is checked again.
      expect(fields).toBeLessThanOrEqual(2 * 60);
    });

    it('forgets the keys of a log that has expired', async () => {
      const channel = new Channel<number>({ log: logs[1]?.('expiring', { maxEvents: 2, maxAgeMs: 60_000 }) });

      // Enough for the second of the two hashes.
      for (let n = 0; n < 12; n++) await channel.publish(n, { idempotencyKey: `key ${n}` });

      const keys = (await server.call('KEYS', '*expiring*')) as string[];
      expect(keys).toHaveLength(3);
      for (const key of keys) expect(await server.call('PTTL', key)).toBeGreaterThan(0);
    });

    it('stores nothing else for an event without a key', async () => {
      const channel = new Channel<number>({ log: logs[1]?.('plain') });

      await channel.publish(1);

      expect(await server.call('KEYS', '*plain*')).toHaveLength(1);
    });
  });
}
