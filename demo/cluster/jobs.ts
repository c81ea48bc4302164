import { Channel, type EventLog } from 'express-yield';
import type { RedisLogs } from 'express-yield/redis';
import { type Jobs, KEEP_MS, type Progress, type Steps, work } from '../job';
import { lastOf } from '../last';
import type { Leases } from './leases';

/** Runs that every process can serve. One process does the work; if it exits, another continues it. */
export function jobsOnRedis(logs: RedisLogs, leases: Leases): Jobs {
  const jobs = new Map<string, Channel<Steps>>();

  function join(key: string): Channel<Steps> {
    const log = logs(`job:${key}`, { maxAgeMs: KEEP_MS });
    const job = new Channel<Steps>({ log, replay: true });
    jobs.set(key, job);
    void leases
      .inTurn(`job:${key}`, (signal) => finish(job, log, signal))
      .finally(() => setTimeout(() => jobs.delete(key), KEEP_MS).unref());
    return job;
  }

  return { open: (key) => jobs.get(key) ?? join(key) };
}

/** Runs in the process that holds the lease. It reads from the log how many steps are left. */
async function finish(job: Channel<Steps>, log: EventLog, signal: AbortSignal): Promise<void> {
  if ((await log.head()).ended) return;
  const steps = work(signal, (await lastOf<Progress>(log))?.step);
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return job.end(value);
    await job.publish(value);
  }
}
