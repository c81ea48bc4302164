import { createClient, createSentinel } from 'redis';
import { redisLogs } from '../../lib/redis';

function errorOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

const refusal = (remedy: string) =>
  expect.objectContaining({
    name: 'TypeError',
    code: 'ERR_SSE_INVALID_OPTION',
    message: expect.stringContaining(remedy),
  });

describe('redisLogs() names the remedy when it refuses', () => {
  it("node-redis's client of a Sentinel", () => {
    const client = createSentinel({ name: 'group', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] });

    expect(errorOf(() => redisLogs(client))).toEqual(refusal('redisLogs(new Redis({ sentinels, name }))'));
  });

  it('a node-redis client in legacy mode, as version 4 has it', () => {
    const client = createClient();
    const legacy = new Proxy(client, {
      get: (target, name) =>
        name === 'options' ? { ...target.options, legacyMode: true } : Reflect.get(target, name, target),
    });

    expect(errorOf(() => redisLogs(legacy))).toEqual(refusal('legacyMode: false'));
  });
});
