import { once } from 'node:events';
import { accessSync, constants, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { delimiter, join } from 'node:path';

/** Debian keeps servers where a user's PATH may not lead. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];

/** The path of the first of these programs that is installed. */
export function findProgram(...names: readonly string[]): string | undefined {
  return names.flatMap((name) => FOLDERS.map((folder) => join(folder, name))).find(isExecutable);
}

/**
 * A `describe` whose tests need a program. Without it they are skipped, loudly; under `CI` they fail.
 *
 * @param program its path, if there is one
 * @param missing what it is needed for, and how to get it
 */
export function describeWithProgram(
  program: string | undefined,
  missing: string,
  name: string,
  tests: () => void,
): void {
  const skipped = program === undefined && !isCi();
  if (skipped) console.warn(`SKIPPED: ${name}. ${missing}`);
  (skipped ? describe.skip : describe)(name, () => {
    beforeAll(() => {
      if (program === undefined) throw new Error(missing);
    });
    tests();
  });
}

/** A port on which nobody listens at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isCi(): boolean {
  const { CI = '' } = process.env;
  return CI !== '' && CI !== 'false' && CI !== '0';
}
