import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import IoRedis, { Cluster } from 'ioredis';
import { createClient, createCluster } from 'redis';
import { Channel } from '../../lib';
import { type RedisClient, redisLogs } from '../../lib/redis';
import { findProgram } from '../../tools/program';
import { LogRecorder } from '../support/log-recorder';
import { describeWithProgram } from '../support/program';
import { describeWithRedis } from '../support/redis';
import { RedisCluster } from '../support/redis-cluster';
import { WarningCollector } from '../support/warnings';

const MISSING = 'These tests need a real Redis. Install it (apt install redis-server, brew install redis).';

const username = 'app';
const password = 'secret';

const DOCUMENTED = readFileSync(join(__dirname, '../../docs/many-processes.md'), 'utf8');

/** The documented rights, for one server and those that a cluster needs in addition. */
const [RIGHTS = [], CLUSTER_RIGHTS = []] = [...DOCUMENTED.matchAll(/ACL SETUSER app ([^`]*)/g)].map(
  ([, text = '']) => text.split(/\s+/).filter((word) => /^[~&+]/.test(word)),
);

const record = (data: string) => ({ kind: 'event', data, serialized: false }) as const;

/** Uses everything that logs and channels offer. */
async function useAll(client: RedisClient, key: string): Promise<void> {
  const logs = redisLogs(client);
  const log = logs(key, { maxEvents: 100, maxAgeMs: 60_000 });
  const recorder = new LogRecorder();
  await log.subscribe(recorder).from;
  await log.append(record('x'));
  await recorder.until('x');
  const channel = new Channel<string>({ log });
  await channel.publish('once', { idempotencyKey: 'a' });
  await channel.publish('once', { idempotencyKey: 'a' });
  await log.head();
  expect((await log.read('', 10)).entries).toHaveLength(2);
  expect(await log.idBeforeNewest?.(1)).toBeDefined();
  expect(await log.hasSubscribers?.()).toBe(true);
  await channel.close();
  await logs.close();
}

describeWithRedis('an ACL user of one server', (server) => {
  const allow = async (rights: readonly string[]) => {
    await server.call('ACL', 'SETUSER', username, 'reset', 'on', `>${password}`, ...rights);
  };

  it('can do everything with the documented rights, with node-redis', async () => {
    await allow(RIGHTS);
    const client = createClient({ username, password, url: `redis://127.0.0.1:${server.port}` });
    await client.connect();

    await useAll(client, 'node-redis');

    client.destroy();
  });

  it('can do everything with the documented rights, with ioredis', async () => {
    await allow(RIGHTS);
    const client = new IoRedis(server.port, '127.0.0.1', { username, password });

    await useAll(client, 'ioredis');

    client.disconnect();
  });

  /** Some are only needed in states that a test cannot make in a moment, or have a substitute. */
  const needed = [
    ...['+eval', '+xadd', '+xtrim', '+pexpire', '+publish', '+xrange', '+xrevrange', '+exists', '+time'],
    ...['+subscribe', '+pubsub|numsub', '+hset', '+hget', '+hlen', '&sse:*', '~sse:*', '~{sse:*'],
  ];

  it.each(needed)('learns that a right is missing without %s', async (right) => {
    expect(RIGHTS).toContain(right);
    await allow(RIGHTS.filter((one) => one !== right));
    const client = new IoRedis(server.port, '127.0.0.1', { username, password });
    const warnings = new WarningCollector();
    const logs = redisLogs(client);
    const log = logs(right, { maxAgeMs: 60_000 });
    const subscription = log.subscribe(new LogRecorder());

    const problems = await problemsOf([
      () => log.append(record('x')),
      () => log.appendOnce?.(record('y'), 'a'),
      () => log.read('', 10),
      () => log.head(),
      () => log.idBeforeNewest?.(1),
      () => log.hasSubscribers?.(),
    ]);

    const message = problems[0] ?? (await warnings.collected(1))[0]?.message;
    warnings.stop();
    expect(message).toMatch(/no permissions|can't (run this command|publish to the channel|access)/);
    subscription.close();
    await logs.close();
    client.disconnect();
  });
});

async function problemsOf(steps: ReadonlyArray<() => unknown>): Promise<string[]> {
  const problems: string[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      problems.push(String(error));
    }
  }
  return problems;
}

describeWithProgram(findProgram('redis-server'), MISSING, 'an ACL user of a cluster', () => {
  const cluster = new RedisCluster({ replicas: 0 });

  beforeAll(async () => {
    await cluster.start();
    const rights = [...RIGHTS, ...CLUSTER_RIGHTS];
    for (const node of cluster.nodes) {
      await node.call('ACL', 'SETUSER', username, 'reset', 'on', `>${password}`, ...rights);
    }
  });
  afterAll(() => cluster.remove());

  it('can do everything with the documented rights, with node-redis', async () => {
    const rootNodes = cluster.nodes.map(({ url }) => ({ url }));
    const client = createCluster({ rootNodes, defaults: { username, password } });
    client.on('error', () => undefined);
    await client.connect();

    await useAll(client, 'node-redis');

    client.destroy();
  });

  it('can do everything with the documented rights, with ioredis', async () => {
    const seeds = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const client = new Cluster(seeds, { redisOptions: { username, password } });
    client.on('error', () => undefined);

    await useAll(client, 'ioredis');

    client.disconnect();
  });
});
