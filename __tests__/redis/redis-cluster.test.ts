import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { type RedisLogs, redisLogs } from '../../lib/redis';
import { findProgram } from '../../tools/program';
import { LogRecorder } from '../support/log-recorder';
import { describeWithProgram } from '../support/program';
import type { Connected } from '../support/redis';
import { CLUSTER_CLIENTS, type ClusterNode, RedisCluster } from '../support/redis-cluster';

const MISSING = 'These tests need a real Redis. Install it (apt install redis-server, brew install redis).';

const record = (data: string) => ({ kind: 'event', data, serialized: false }) as const;

/** On several masters. */
const KEYS = Array.from({ length: 12 }, (_, index) => `k${index}`);

function describeCluster(
  name: string,
  options: ConstructorParameters<typeof RedisCluster>[0],
  tests: (cluster: RedisCluster) => void,
): void {
  describeWithProgram(findProgram('redis-server'), MISSING, name, () => {
    const cluster = new RedisCluster(options);
    beforeAll(() => cluster.start());
    afterAll(() => cluster.remove());
    tests(cluster);
  });
}

/** Publishes from one `redisLogs()` to the subscribers of another. */
async function exchange(
  [from, to]: readonly [RedisLogs, RedisLogs],
  keys: readonly string[],
  data: string,
): Promise<void> {
  const recorders = await Promise.all(
    keys.map(async (key) => {
      const recorder = new LogRecorder();
      await to(key).subscribe(recorder).from;
      return recorder;
    }),
  );
  await Promise.all(keys.map((key) => from(key).append(record(data))));
  for (const recorder of recorders) expect((await recorder.until(data)).at(-1)).toBe(data);
}

async function subscribersOf(node: ClusterNode, command: string): Promise<string[]> {
  const channels = (await node.call('PUBSUB', command)) as string[];
  return channels.filter((channel) => !channel.includes(':runs:'));
}

/** How often nodes were asked for their slots. */
async function slotsCommands(nodes: readonly ClusterNode[]): Promise<number> {
  const replies = await Promise.all(nodes.map((node) => node.call('INFO', 'commandstats')));
  const counts = replies.map((reply) => /cmdstat_cluster\|slots:calls=(\d+)/.exec(String(reply))?.[1] ?? 0);
  return counts.reduce((sum: number, count) => sum + Number(count), 0);
}

describeCluster('redisLogs() on a cluster with replicas', {}, (cluster) => {
  describe.each(CLUSTER_CLIENTS)('%s', (name, connect) => {
    let user: Connected;
    let logs: [RedisLogs, RedisLogs];

    beforeEach(async () => {
      user = await connect(cluster.nodes);
      logs = [redisLogs(user.client), redisLogs(user.client)];
    });

    afterEach(async () => {
      await Promise.all(logs.map((one) => one.close()));
      await user.end();
    });

    it('subscribes to each channel on the node of its key only', async () => {
      await exchange(logs, KEYS, name);

      for (const node of cluster.nodes) {
        const owned = await Promise.all(
          KEYS.map(async (key) => ((await cluster.masterOf(`sse:${key}`)) === node ? key : '')),
        );
        const expected = owned.filter((key) => key !== '').map((key) => `{sse:${key}}:@shard`);
        expect((await subscribersOf(node, 'SHARDCHANNELS')).sort()).toEqual(expected.sort());
        expect(await subscribersOf(node, 'CHANNELS')).toEqual([]);
      }
    });

    it('works with keys that have hash tags and braces', async () => {
      await exchange(logs, [`{${name}}a`, `{${name}}b`, `a}${name}`, `a{}${name}`, `{${name}`], 'x');
    });

    it('finds the subscribers of another process, also after a failover', async () => {
      const key = `failover ${name}`;
      const [here, there] = logs;
      await there(key).subscribe(new LogRecorder()).from;
      expect(await here(key).hasSubscribers?.()).toBe(true);

      const master = await cluster.masterOf(`sse:${key}`);
      const replica = cluster.nodes.find(
        (node) =>
          node !== master && Math.abs(cluster.nodes.indexOf(node) - cluster.nodes.indexOf(master)) === 3,
      );
      await cluster.failover(replica as ClusterNode);

      expect(await here(key).hasSubscribers?.()).toBe(true);
      await here(key).append(record('x'));
      expect(await here(key).hasSubscribers?.()).toBe(true);
      expect(await here(`${key} without`).hasSubscribers?.()).toBe(false);
    });

    it('asks the nodes for their slots once for all that look for subscribers at the same time', async () => {
      const [here] = logs;
      await here(name).append(record('x'));
      const before = await slotsCommands(cluster.nodes);

      const all = Array.from({ length: 200 }, (_, n) => here(`${name} ${n}`).hasSubscribers?.());

      expect(await Promise.all(all)).toEqual(all.map(() => false));
      // Without subscribers each asks for about a second, every quarter of it, and each request goes to three nodes.
      expect((await slotsCommands(cluster.nodes)) - before).toBeLessThan(200);
    });

    it('closes the connection to a node that it does not need any more', async () => {
      const [here] = logs;
      const key = `moved ${name}`;
      const recorder = new LogRecorder();
      const subscription = here(key).subscribe(recorder);
      await subscription.from;
      const owner = await cluster.masterOf(`sse:${key}`);
      expect(await subscribersOf(owner, 'SHARDCHANNELS')).toEqual([`{sse:${key}}:@shard`]);

      subscription.close();
      while ((await owner.text('CLIENT', 'LIST', 'TYPE', 'pubsub')) !== '') await sleep(20);
    });
  });
});

describeCluster(
  'redisLogs() on a cluster with a password',
  { replicas: 0, password: 'secret' },
  (cluster) => {
    it.each(CLUSTER_CLIENTS)('%s', async (name, connect) => {
      const user = await connect(cluster.nodes, 'secret');
      const logs = [redisLogs(user.client), redisLogs(user.client)] as const;

      await exchange(logs, KEYS, name);

      await Promise.all(logs.map((one) => one.close()));
      await user.end();
    });

    it('ioredis with lazyConnect, which knows no node yet', async () => {
      const seeds = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
      const client = new Cluster(seeds, { lazyConnect: true, redisOptions: { password: 'secret' } });
      const logs = [redisLogs(client), redisLogs(client)] as const;

      await exchange(logs, KEYS, 'lazy');

      expect(client.status).toBe('wait');
      await Promise.all(logs.map((one) => one.close()));
      client.disconnect();
    });

    it('node-redis with minimizeConnections, which has no connection to a node yet', async () => {
      const rootNodes = cluster.nodes.map(({ url }) => ({ url }));
      const client = createCluster({
        rootNodes,
        minimizeConnections: true,
        defaults: { password: 'secret' },
      });
      client.on('error', () => undefined);
      await client.connect();
      const logs = [redisLogs(client), redisLogs(client)] as const;

      await exchange(logs, KEYS, 'minimal');

      await Promise.all(logs.map((one) => one.close()));
      client.destroy();
    });
  },
);

/** As before version 7. */
const WITHOUT_SHARDS = ['SSUBSCRIBE', 'SPUBLISH'].flatMap((name) => ['--rename-command', name, '']);

describeCluster(
  'redisLogs() on a cluster without sharded messages',
  { replicas: 0, args: WITHOUT_SHARDS },
  (cluster) => {
    it.each(CLUSTER_CLIENTS)('%s falls back to PUBLISH and SUBSCRIBE', async (name, connect) => {
      const user = await connect(cluster.nodes);
      const logs = [redisLogs(user.client), redisLogs(user.client)] as const;

      await exchange(logs, KEYS, name);

      const channels = await Promise.all(cluster.nodes.map((node) => subscribersOf(node, 'CHANNELS')));
      expect(channels.flat()).toHaveLength(KEYS.length);
      await Promise.all(logs.map((one) => one.close()));
      await user.end();
    });
  },
);
