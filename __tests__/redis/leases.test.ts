import type { LeaseObserver } from '../../lib/log/log-lease';
import { LeaseEntry, RedisLeases } from '../../lib/redis/leases';
import type { RedisConnection } from '../../lib/redis/redis-connection';
import type { RedisSubscriptions } from '../../lib/redis/subscriptions';
import { Gate } from '../support/gate';

const TERMS = { leaseMs: 600, ttlMs: 60_000 };

/** Blocks the process, as SIGSTOP does, until a lease that was taken now has expired. */
function stop(): void {
  const since = performance.now();
  while (performance.now() < since + TERMS.leaseMs);
}

describe('RedisLeases', () => {
  it.each([
    ['lost, if the process was stopped until it had expired', stop, ['deposed', 'ended']],
    ['held, if it had not expired', () => undefined, ['ended']],
  ])('counts the lease of a run that another process has ended as %s', async (_name, before, expected) => {
    const changes: string[] = [];
    const ended = new Gate();
    const observer: LeaseObserver = {
      canTakeOver: false,
      onDeposed: () => changes.push('deposed'),
      onExpired: () => changes.push('expired'),
      onGone: () => changes.push('gone'),
      onEnded: () => {
        changes.push('ended');
        ended.open();
      },
    };
    // The response of Redis is read before the timer of the lease fires.
    const now = async () => {
      before();
      return ['ended 60000'];
    };
    const subscriptions = { subscribe: () => undefined, unsubscribe: () => undefined };
    const leases = new RedisLeases(
      { now } as unknown as RedisConnection,
      subscriptions as unknown as RedisSubscriptions,
      { prefix: 'sse:', isCluster: false },
    );
    const entry = new LeaseEntry({ stream: 'stream', lease: 'lease' }, 'run', TERMS, observer);
    entry.hold('token', performance.now());

    leases.add(entry);
    await ended.promise;

    expect(changes).toEqual(expected);
    leases.delete(entry);
  });
});
