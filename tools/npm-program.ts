import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Kept between runs, and ignored by git. */
const CACHE = join(__dirname, '../.cache/programs');

/** A program that a package on npm contains, such as another JavaScript runtime. */
export interface NpmProgram {
  readonly package: string;
  readonly version: string;
  /** Its path in the package. */
  readonly path: string;
}

/** @returns its path; `undefined` if it is not installed */
export function installedProgram(program: NpmProgram): string | undefined {
  const path = pathOf(program);
  return existsSync(path) ? path : undefined;
}

/** Installs it from the npm registry, unless that was done before. @returns its path */
export function installProgram(program: NpmProgram): string {
  const folder = folderOf(program);
  if (installedProgram(program) === undefined) {
    mkdirSync(folder, { recursive: true });
    const options = ['--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
    const spec = `${program.package}@${program.version}`;
    execFileSync('npm', ['install', ...options, spec], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  return pathOf(program);
}

/** @returns the newest version of a package within a major version */
export function newestVersion(name: string, major: string): string {
  const output = execFileSync('npm', ['view', `${name}@${major}`, 'version', '--json'], { encoding: 'utf8' });
  const versions = [JSON.parse(output) as string | string[]].flat();
  const newest = versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  if (newest === undefined) throw new Error(`The npm registry has no version ${major} of ${name}.`);
  return newest;
}

function folderOf(program: NpmProgram): string {
  return join(CACHE, `${program.package.replace('/', '-')}-${program.version}`);
}

function pathOf(program: NpmProgram): string {
  return join(folderOf(program), 'node_modules', program.package, program.path);
}
