import { join } from 'node:path';
import { compileFunction, constants } from 'node:vm';

/**
 * Imports packages as a file of `folder` would, with Node's own loader. Jest's loader cannot import every ES module, and
 * would load a copy of each package for each test file.
 */
export function nativeImporter(folder: string): (name: string) => Promise<unknown> {
  return compileFunction('return import(name);', ['name'], {
    filename: join(folder, 'index.js'),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }) as (name: string) => Promise<unknown>;
}
