import { findProgram } from '../../tools/program';
import { describeWithProgram } from '../support/program';
import { CLUSTER_CLIENTS, type ClusterNode, RedisCluster } from '../support/redis-cluster';
import { Fleet, type FleetCounts, printTable, TABLE_HEAD } from '../support/redis-fleet';

const MISSING = 'These tests need a real Redis. Install it (apt install redis-server, brew install redis).';

const MEMBERS = 3;

/** Their slots are spread over all masters. */
const CHANNELS = 24;

const rows: string[][] = [[...TABLE_HEAD]];

afterAll(() => printTable(rows));

for (const [name, connect] of CLUSTER_CLIENTS) {
  describeWithProgram(findProgram('redis-server'), MISSING, `${name} on a cluster of 3 + 3`, () => {
    const cluster = new RedisCluster();
    let fleet: Fleet;
    /** Of the channels of one test. */
    let keys: string[] = [];
    let tests = 0;

    beforeAll(() => cluster.start());
    afterAll(() => cluster.remove());

    beforeEach(async () => {
      tests++;
      keys = Array.from({ length: CHANNELS }, (_, index) => `${tests}.${index}`);
      fleet = new Fleet(keys);
      for (let i = 0; i < MEMBERS; i++) await fleet.join(await connect(cluster.nodes));
      fleet.publish();
      await fleet.progress(2);
    });

    afterEach(() => fleet.end());

    const count = async (fault: string): Promise<FleetCounts> => {
      const counts = await fleet.finish();
      rows.push([name, fault, ...Object.values(counts).map(String)]);
      return counts;
    };

    const COMPLETE = { lost: 0, doubled: 0, silent: 0 };

    it('loses nothing without a fault', async () => {
      await fleet.progress(5);

      const counts = await count('none');
      expect(counts).toMatchObject({ ...COMPLETE, rejected: 0, lostByRedis: 0, outOfOrder: 0, gaps: 0 });
    });

    it('loses nothing while the slots of busy channels are moved', async () => {
      for (const [index, key] of keys.slice(0, 12).entries()) {
        const to = cluster.masters[index % 3];
        if (to !== undefined) await cluster.moveSlot(`sse:${key}`, to);
      }
      await fleet.progress(3);

      const counts = await count('slots moved');
      expect(counts).toMatchObject({ ...COMPLETE, rejected: 0, lostByRedis: 0, gaps: 0 });
    });

    it('loses nothing when every master is replaced by its replica in turn', async () => {
      for (const master of cluster.masters) {
        await cluster.failover(cluster.replicaOf(master));
        await fleet.progress(1);
      }
      for (const master of cluster.masters) {
        await cluster.failover(master);
        await fleet.progress(1);
      }

      const counts = await count('CLUSTER FAILOVER of all');
      expect(counts).toMatchObject({ ...COMPLETE, lostByRedis: 0, gaps: 0 });
    });

    it('loses nothing when a master is killed and returns', async () => {
      const [master] = cluster.masters;
      await master?.kill();
      await master?.start();
      await cluster.settled();
      await fleet.progress(2);

      expect(await count('kill -9 of a master that returns')).toMatchObject(COMPLETE);
    });

    it('goes on with the channels of other masters while one hangs that has no replica', async () => {
      const [, master] = cluster.masters;
      if (master === undefined) throw new Error('The cluster is empty.');
      const replica = cluster.replicaOf(master);
      const others = await withoutMaster(master);
      await replica.kill();
      master.signal('SIGSTOP');
      const rejected = fleet.rejected.length;
      await fleet.progress(100, others);
      const ofOthers = fleet.rejected
        .slice(rejected)
        .filter((data) => others.includes(data.split(' ')[0] ?? ''));
      master.signal('SIGCONT');
      await replica.start();
      await cluster.settled();

      expect(await count('a master without a replica hangs')).toMatchObject({ ...COMPLETE, lostByRedis: 0 });
      expect(ofOthers).toEqual([]);
    });

    it('leaves a node that was taken out of the cluster and runs on', async () => {
      const [, , master] = cluster.masters;
      if (master === undefined) throw new Error('The cluster is empty.');
      await cluster.failover(cluster.replicaOf(master));
      await cluster.forget(master);
      await fleet.progress(3);

      expect(await count('a node removed that runs on')).toMatchObject({ ...COMPLETE, lostByRedis: 0 });
      expect(await master.text('PUBSUB', 'SHARDNUMSUB')).toBe('');
    });

    it('goes on when the first masters are killed and never return', async () => {
      for (const master of cluster.masters) {
        const replica = cluster.replicaOf(master);
        if ((await replica.text('ROLE')).startsWith('slave')) await cluster.failover(replica);
        await master.kill();
        await cluster.settled();
        await fleet.progress(1);
      }
      const rest = cluster.nodes.filter(({ running }) => running);
      await Promise.all(rest.flatMap((node) => ['pubsub', 'normal'].map((type) => kill(node, type))));
      await fleet.progress(2);

      expect(await count('the first masters replaced')).toMatchObject(COMPLETE);
    });

    const kill = (node: ClusterNode, type: string) => node.call('CLIENT', 'KILL', 'TYPE', type);

    /** The channels of all other masters. */
    const withoutMaster = async (master: ClusterNode): Promise<string[]> => {
      const owners = await Promise.all(keys.map((key) => cluster.masterOf(`sse:${key}`)));
      return keys.filter((_, index) => owners[index] !== master);
    };
  });
}
