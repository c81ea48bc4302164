import { setTimeout as sleep } from 'node:timers/promises';
import { createRuns, type Events, event, type RunContext, type Runs, type RunsOptions } from 'express-yield';

export interface Progress {
  readonly step: number;
  /** The process that has done the step. */
  readonly pid: number;
}

/** The events of a run. */
export type Steps = Events<{ progress: Progress }>;

export const STEPS = 40;
const STEP_MS = 200;

/** How long a finished run can still be read from its first step. */
const KEEP_MS = 5 * 60_000;

/** The longest time from the exit of a process until another one continues its runs, less a second. */
export const LEASE_MS = 2_000;

/** The job. If its process exits, another process continues after the last step. */
export async function* work({ signal, lastEvent }: RunContext) {
  const last = lastEvent?.data as Progress | undefined;
  for (let step = (last?.step ?? 0) + 1; step <= STEPS; step++) {
    await sleep(STEP_MS, null, { signal });
    yield event('progress', { step, pid: process.pid });
  }
  return { steps: STEPS };
}

/** The runs of the job, by key. They continue without subscribers. */
export function createJobs(options?: Pick<RunsOptions, 'logs'>): Runs<Steps> {
  return createRuns<Steps>({ ...options, leaseMs: LEASE_MS, ttlMs: KEEP_MS });
}
