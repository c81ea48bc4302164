import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian installs servers in folders that a user's PATH may not contain. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];

/** @returns the path of the first of these programs that is installed */
export function findProgram(...names: readonly string[]): string | undefined {
  return names.flatMap((name) => FOLDERS.map((folder) => join(folder, name))).find(isExecutable);
}

/** Whether this process runs in continuous integration, where a missing program is a failure and not a reason to skip. */
export function isCi(): boolean {
  const { CI = '' } = process.env;
  return CI !== '' && CI !== 'false' && CI !== '0';
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
