import { spawnSync } from 'node:child_process';

/** The servers' core and the client's: on separate cores, neither takes CPU time from the other. */
export const CORES = { server: 0, client: 1 } as const;

/** Whether this machine can bind a process to a core. */
export const PINNED = canPin();

/** @returns the words to put before a command so that it runs on one core; none where that is not possible */
export function onCore(core: number): readonly string[] {
  return PINNED ? ['taskset', '-c', String(core)] : [];
}

function canPin(): boolean {
  const cores = `${CORES.server},${CORES.client}`;
  return process.platform === 'linux' && spawnSync('taskset', ['-c', cores, 'true']).status === 0;
}
