import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const MODULES = join(ROOT, 'node_modules');

/** Whether this version of Node runs TypeScript without a loader. */
export const RUNS_TYPESCRIPT = 'typescript' in process.features && process.features.typescript !== false;

/** The arguments with which Node runs a TypeScript file of a user. */
export const TYPESCRIPT_ARGS = RUNS_TYPESCRIPT ? [] : ['--import', 'tsx'];

/** The folder of a project of ES modules that has installed the built package, and every package of this repository. */
export class UserProject {
  readonly folder = mkdtempSync(join(tmpdir(), 'express-yield-project-'));

  constructor() {
    writeFileSync(join(this.folder, 'package.json'), '{ "type": "module" }');
    const modules = join(this.folder, 'node_modules');
    mkdirSync(modules);
    for (const name of readdirSync(MODULES)) symlinkSync(join(MODULES, name), join(modules, name));
    symlinkSync(ROOT, join(modules, 'express-yield'));
  }

  /** Copies a file or folder of the repository to the same place in the project. */
  copy(path: string): void {
    cpSync(join(ROOT, path), join(this.folder, path), { recursive: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
