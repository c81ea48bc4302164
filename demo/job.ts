import { setTimeout as sleep } from 'node:timers/promises';
import { Channel, type Events, event } from 'express-yield';

export interface Progress {
  readonly step: number;
}

/** The events of a run. */
export type Steps = Events<{ progress: Progress }>;

/** The runs of the job, by key. */
export interface Jobs {
  /** The run with this key; the first call starts it. */
  open(key: string): Channel<Steps>;
}

export const STEPS = 40;
const STEP_MS = 200;

/** How long a finished run can still be read from its first step. */
export const KEEP_MS = 5 * 60_000;

/** The job, or the rest of it after `done` steps. */
export async function* work(signal: AbortSignal, done = 0): AsyncGenerator<Steps, object> {
  for (let step = done + 1; step <= STEPS; step++) {
    await sleep(STEP_MS, null, { signal });
    yield event('progress', { step });
  }
  return { steps: STEPS };
}

/** Runs in the memory of this process. They continue without subscribers, until `close()` ends them. */
export function jobsInMemory(): Jobs & { close(): void } {
  const jobs = new Map<string, Channel<Steps>>();

  function start(key: string): Channel<Steps> {
    const job = Channel.from(async function* ({ signal }) {
      try {
        return yield* work(signal);
      } finally {
        setTimeout(() => jobs.delete(key), KEEP_MS).unref();
      }
    });
    jobs.set(key, job);
    return job;
  }

  return {
    open: (key) => jobs.get(key) ?? start(key),
    close: () => {
      for (const job of jobs.values()) void job.close();
    },
  };
}
