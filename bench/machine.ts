import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { CORES, PINNED } from '../tools/cores';
import { findNchan } from './adapters/nchan-program';

/** What the figures depend on, as one line. */
export function machine(withNginx = false): string {
  const cores = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const nginx = withNginx ? findNchan() : undefined;
  return [
    `${cores[0]?.model.trim()}, ${cores.length} cores, ${gigabytes} GiB`,
    `Node ${process.version}${nginx === undefined ? '' : `, nginx ${nginx.version} with nchan`}`,
    `${distribution()}, ${type()} ${release()}`,
    PINNED ? `server on core ${CORES.server}, client on core ${CORES.client}` : 'processes not pinned',
  ].join('; ');
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
    return name ?? process.platform;
  } catch {
    // Not Linux, or a distribution without this file.
    return process.platform;
  }
}
