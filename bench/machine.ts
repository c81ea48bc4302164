import { cpus } from 'node:os';
import { CORES, PINNED } from './child';

/** What the figures depend on, in one line. */
export function machine(): string {
  const cores = cpus();
  const place = PINNED
    ? `server on core ${CORES.server}, client on core ${CORES.client}`
    : 'processes not pinned';
  return `${cores[0]?.model.trim()}, ${cores.length} cores; Node ${process.version}, ${process.platform}; ${place}`;
}
