import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const MODULE = 'ngx_nchan_module.so';

/** Folders of nginx's modules in distributions, in addition to the one that nginx reports. */
const FOLDERS = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/local/lib/nginx/modules'];

/** Debian installs it in /usr/sbin, which is not on every user's PATH. */
const PROGRAMS = ['nginx', '/usr/sbin/nginx'];

export interface Nginx {
  readonly program: string;
  readonly version: string;
  /** The module's file. */
  readonly nchan: string;
}

let found: Nginx | undefined;

/** nginx and its module nchan; `undefined` if either is not installed. */
export function findNchan(): Nginx | undefined {
  found ??= search();
  return found;
}

/** The message for a machine without it. */
export function nchanIsMissing(): string | undefined {
  return findNchan() === undefined
    ? "nginx with the module nchan is not installed (Debian's package is libnginx-mod-nchan)"
    : undefined;
}

function search(): Nginx | undefined {
  for (const program of PROGRAMS) {
    const { status, stderr } = spawnSync(program, ['-V'], { encoding: 'utf8' });
    if (status !== 0) continue;
    const folder = /--modules-path=(\S+)/.exec(stderr)?.[1];
    const folders = folder === undefined ? FOLDERS : [folder, ...FOLDERS];
    const nchan = folders.map((each) => join(each, MODULE)).find((file) => existsSync(file));
    const version = /nginx\/(\S+)/.exec(stderr)?.[1] ?? 'of unknown version';
    if (nchan !== undefined) return { program, version, nchan };
  }
  return undefined;
}
