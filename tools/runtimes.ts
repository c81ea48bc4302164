/**
 * Installs the other JavaScript runtimes that the tests run the package on.
 *
 * @example
 * tsx tools/runtimes.ts
 */
import { installProgram, type NpmProgram } from './npm-program';

const { platform, arch } = process;

/** The package contains the program itself, for one platform. */
export const BUN: NpmProgram = {
  package: `@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}`,
  version: '1.4.5',
  path: 'bin/bun',
};

export const DENO: NpmProgram = {
  package: `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`,
  version: '2.9.6',
  path: 'deno',
};

if (process.argv[1] === __filename) {
  for (const program of [BUN, DENO]) console.log(installProgram(program));
}
