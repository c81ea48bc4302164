import { setTimeout as sleep } from 'node:timers/promises';
import { redisLogs } from '../../lib/redis';
import { CLIENTS, describeWithRedis } from '../support/redis';

const CHANNELS = 10_000;

const BATCH = 500;

const KEYS = Array.from({ length: CHANNELS }, (_, index) => `many${index}`);

describeWithRedis(
  '10,000 channels in one process',
  (server) => {
    it.each(CLIENTS)('return after an outage of Redis, with %s', async (name, connect) => {
      const users = [await connect(server.port), await connect(server.port)] as const;
      const [here, there] = [redisLogs(users[0].client), redisLogs(users[1].client)];
      const received = new Map<string, string[]>();
      const subscriptions = KEYS.map((key) => {
        const list: string[] = [];
        received.set(key, list);
        return here(`${name}${key}`).subscribe({
          onEntries: (entries) => {
            list.push(...entries.map(({ record }) => record.data));
          },
        });
      });
      await Promise.all(subscriptions.map(({ from }) => from));
      const publishAll = async (data: string) => {
        for (let i = 0; i < CHANNELS; i += BATCH) {
          await Promise.all(
            KEYS.slice(i, i + BATCH).map((key) =>
              there(`${name}${key}`).append({ kind: 'event', data, serialized: false }),
            ),
          );
        }
      };
      const allHave = async (count: number) => {
        while ([...received.values()].some(({ length }) => length < count)) await sleep(20);
      };

      await publishAll('before');
      await allHave(1);
      await server.kill('SIGTERM');
      await server.start();
      // Waits until Redis is connected.
      await there(`${name}${KEYS[0]}`).head();
      await publishAll('after');
      await allHave(2);
      server.signal('SIGSTOP');
      await sleep(1_000);
      server.signal('SIGCONT');
      await publishAll('later');
      await allHave(3);

      for (const list of received.values()) expect(list).toEqual(['before', 'after', 'later']);
      const clients = String(await server.call('CLIENT', 'LIST', 'TYPE', 'normal')).trim();
      // Two clients of the user, a connection for commands of each redisLogs(), that for messages of the one without
      // subscriptions, and that of this test.
      expect(clients.split('\n')).toHaveLength(6);
      await Promise.all([here.close(), there.close()]);
      await Promise.all(users.map((user) => user.end()));
    });
  },
  ['--appendfsync', 'everysec'],
);
