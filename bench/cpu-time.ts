import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** CPU time of a process, in user mode and in the kernel. */
export interface CpuTime {
  readonly userMs: number;
  readonly systemMs: number;
}

/** The positions of user and system time in /proc/PID/stat, counted after the name, which may contain spaces. */
const USER = 11;
const SYSTEM = 12;

let ticksPerSecond: number | undefined;

/** The CPU time that this process has used so far, or the sum of these processes. */
export function cpuTimeOf(processes?: readonly number[]): CpuTime {
  if (processes === undefined) return ownTime();
  const times = processes.map(timeOf);
  return {
    userMs: times.reduce((sum, { userMs }) => sum + userMs, 0),
    systemMs: times.reduce((sum, { systemMs }) => sum + systemMs, 0),
  };
}

function ownTime(): CpuTime {
  const { user, system } = process.cpuUsage();
  return { userMs: user / 1_000, systemMs: system / 1_000 };
}

function timeOf(pid: number): CpuTime {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const msOf = (field: number) => (Number(fields[field]) * 1_000) / (ticksPerSecond ?? 100);
  return { userMs: msOf(USER), systemMs: msOf(SYSTEM) };
}
