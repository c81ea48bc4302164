import { redisLogs } from '../../lib/redis';
import { findProgram } from '../../tools/program';
import { LogRecorder } from '../support/log-recorder';
import { describeWithProgram } from '../support/program';
import { CLUSTER_CLIENTS, type ClusterNode, RedisCluster } from '../support/redis-cluster';
import { Fleet, printTable, TABLE_HEAD } from '../support/redis-fleet';

const MISSING = 'These tests need a real Redis. Install it (apt install redis-server, brew install redis).';

/** Milliseconds of two heartbeats, after which a node that does not answer is given up, and some more. */
const TWO_HEARTBEATS_MS = 22_000;

const record = (data: string) => ({ kind: 'event', data, serialized: false }) as const;

const rows: string[][] = [[...TABLE_HEAD]];

afterAll(() => printTable(rows));

describeWithProgram(findProgram('redis-server'), MISSING, 'a cluster without replicas', () => {
  const cluster = new RedisCluster({ replicas: 0 });

  beforeAll(() => cluster.start());
  afterAll(() => cluster.remove());

  it('goes on with the channels of other masters while one hangs for more than two heartbeats', async () => {
    const hanging = cluster.nodes[1] as ClusterNode;
    const fleets = await Promise.all(
      CLUSTER_CLIENTS.map(async ([name, connect]) => {
        const keys = Array.from({ length: 12 }, (_, index) => `${name}-${index}`);
        const owners = await Promise.all(keys.map((key) => cluster.masterOf(`sse:${key}`)));
        const others = keys.filter((_, index) => owners[index] !== hanging);
        const fleet = new Fleet(keys);
        for (let i = 0; i < 2; i++) await fleet.join(await connect(cluster.nodes));
        fleet.publish();
        await fleet.progress(2);
        return { name, fleet, others };
      }),
    );

    hanging.signal('SIGSTOP');
    const start = performance.now();
    while (performance.now() - start < TWO_HEARTBEATS_MS) {
      await Promise.all(fleets.map(({ fleet, others }) => fleet.progress(20, others)));
    }
    hanging.signal('SIGCONT');
    await cluster.settled();

    for (const { name, fleet, others } of fleets) {
      const counts = await fleet.finish();
      rows.push([name, 'a master hangs for 22 s', ...Object.values(counts).map(String)]);
      expect(counts).toMatchObject({ lost: 0, doubled: 0, silent: 0, lostByRedis: 0 });
      expect(fleet.rejected.filter((data) => others.includes(data.split(' ')[0] ?? ''))).toEqual([]);
      await fleet.end();
    }
  });

  it('delivers what is appended to a slot whose move has stopped half-way', async () => {
    const deliveries = CLUSTER_CLIENTS.map(async ([name, connect]) => {
      const user = await connect(cluster.nodes);
      const [here, there] = [redisLogs(user.client), redisLogs(user.client)];
      const recorder = new LogRecorder();
      await here(name).subscribe(recorder).from;
      await there(name).append(record('before'));
      await recorder.until('before');
      const owner = await cluster.masterOf(`sse:${name}`);
      const target = cluster.nodes.find((node) => node !== owner) as ClusterNode;
      await cluster.moveSlot(`sse:${name}`, target, 'keys only');

      await there(name).append(record('during'));

      expect(await recorder.until('during')).toEqual(['before', 'during']);
      expect(recorder.gaps).toEqual([]);
      await Promise.all([here.close(), there.close()]);
      await user.end();
    });
    await Promise.all(deliveries);
  });
});
