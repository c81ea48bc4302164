import { findProgram } from '../../tools/program';
import { describeWithProgram } from '../support/program';
import { Fleet, type FleetCounts, printTable, TABLE_HEAD } from '../support/redis-fleet';
import { RedisSentinel } from '../support/redis-sentinel';

const MISSING = 'These tests need a real Redis. Install it (apt install redis-server, brew install redis).';

const MEMBERS = 3;

const CHANNELS = 12;

const COMPLETE = { lost: 0, doubled: 0, silent: 0 };

const rows: string[][] = [[...TABLE_HEAD]];

afterAll(() => printTable(rows));

describeWithProgram(findProgram('redis-server'), MISSING, 'ioredis with Sentinel', () => {
  const sentinel = new RedisSentinel(3);
  let fleet: Fleet;
  let tests = 0;

  beforeAll(() => sentinel.start());
  afterAll(() => sentinel.remove());

  beforeEach(async () => {
    tests++;
    fleet = new Fleet(Array.from({ length: CHANNELS }, (_, index) => `${tests}.${index}`));
    for (let i = 0; i < MEMBERS; i++) await fleet.join(await sentinel.connect());
    fleet.publish();
    await fleet.progress(2);
  });

  afterEach(() => fleet.end());

  const count = async (fault: string): Promise<FleetCounts> => {
    const counts = await fleet.finish();
    rows.push(['ioredis', fault, ...Object.values(counts).map(String)]);
    return counts;
  };

  it('loses nothing when an operator replaces the primary', async () => {
    await sentinel.failover();
    await fleet.progress(5);

    expect(await count('SENTINEL FAILOVER')).toMatchObject(COMPLETE);
  });

  it('goes on when the primary is killed and returns later', async () => {
    const primary = await sentinel.primary();
    await primary.kill();
    await sentinel.replaced(primary);
    await fleet.progress(5);
    await primary.start();
    await sentinel.watched();
    await fleet.progress(5);

    expect(await count('kill -9 of the primary, which returns')).toMatchObject(COMPLETE);
  });
});
