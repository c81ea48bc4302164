import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from './demo';

const MODULES = join(ROOT, 'node_modules');

/** What a user of the package has installed and configured. Versions are majors, except of compilers before 6. */
export interface TypeSetup {
  readonly typescript: '5.4' | '5.9' | '6' | '7';
  /** The version of `@types/express`. */
  readonly express: '4' | '5';
  /** The version of `@types/node`. */
  readonly node: '20' | '22' | '24' | '25' | '26';
  readonly resolution: 'node16' | 'nodenext' | 'bundler';
}

/** What the types are tried with: any two values of two columns are in one row, except for `@types/node` 25. */
export const TYPE_SETUPS: readonly TypeSetup[] = (
  [
    ['5.4', '5', '22', 'nodenext'],
    ['5.4', '4', '20', 'node16'],
    ['5.4', '4', '24', 'bundler'],
    ['5.4', '5', '26', 'node16'],
    ['5.9', '5', '24', 'node16'],
    ['5.9', '5', '20', 'nodenext'],
    ['5.9', '4', '22', 'bundler'],
    ['5.9', '4', '26', 'nodenext'],
    ['6', '4', '20', 'bundler'],
    ['6', '5', '22', 'node16'],
    ['6', '4', '24', 'nodenext'],
    ['6', '5', '26', 'bundler'],
    ['7', '4', '26', 'node16'],
    ['7', '5', '20', 'nodenext'],
    ['7', '4', '22', 'node16'],
    ['7', '5', '24', 'bundler'],
    ['7', '5', '25', 'nodenext'],
  ] as const
).map(([typescript, express, node, resolution]) => ({ typescript, express, node, resolution }));

/** The text of each file by its path; `undefined` for a file of this repository, such as `docs/auth.ts`. */
export type ProjectFiles = Readonly<Record<string, string | undefined>>;

/** The folders in `node_modules` of the types that a setup decides. */
const EXPRESS = { 4: 'types-express4', 5: '@types/express' };
const NODE = {
  20: '@types/node',
  22: 'types-node22',
  24: 'types-node24',
  25: 'types-node25',
  26: 'types-node26',
};

/** Not linked with all others: each setup has its own version of them, and the package itself is built. */
const OWN = ['@types/node', '@types/express', '@types/express-serve-static-core', '@types/serve-static'];

/**
 * A user's project in a folder of its own: the built package, the types of a setup, and every other package of this
 * repository. Files below `docs/` are CommonJS modules, all others are ES modules.
 */
export class TypeProject {
  readonly folder = mkdtempSync(join(tmpdir(), 'express-yield-types-'));

  constructor(
    readonly setup: TypeSetup,
    files: ProjectFiles,
  ) {
    this.#linkPackages(setup);
    symlinkSync(join(ROOT, 'docs'), join(this.folder, 'docs'));
    for (const [path, text] of Object.entries(files)) {
      if (text !== undefined) this.#write(path, text);
    }
    this.#write(
      'tsconfig.json',
      JSON.stringify({ compilerOptions: optionsOf(setup), files: Object.keys(files) }),
    );
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #write(path: string, text: string): void {
    const folder = dirname(join(this.folder, path));
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    }
    writeFileSync(join(this.folder, path), text);
  }

  #linkPackages({ express, node }: TypeSetup): void {
    for (const name of packagesIn(MODULES)) {
      if (!OWN.includes(name)) this.#link(join(MODULES, name), name);
    }
    for (const name of ['dist', 'package.json']) this.#link(join(ROOT, name), join('express-yield', name));
    if (express === '5') for (const name of OWN.slice(2)) this.#link(join(MODULES, name), name);
    this.#flatten(join(MODULES, EXPRESS[express]), '@types/express');
    this.#flatten(join(MODULES, NODE[node]), '@types/node');
  }

  /** Links a package, and beside it those that it has below itself, so that all packages share them. */
  #flatten(folder: string, name: string): void {
    for (const entry of readdirSync(folder)) {
      if (entry !== 'node_modules') this.#link(join(folder, entry), join(name, entry));
    }
    const nested = join(folder, 'node_modules');
    for (const each of existsSync(nested) ? packagesIn(nested) : []) this.#link(join(nested, each), each);
  }

  #link(target: string, name: string): void {
    const path = join(this.folder, 'node_modules', name);
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    symlinkSync(target, path);
  }
}

/** Whether a path in a project is a declaration of another package or of the compiler: its errors are not ours. */
export function isForeign(path: string): boolean {
  return path.startsWith('..') || /^node_modules\/(?!express-yield\/)/.test(path);
}

/** The names of the packages in a `node_modules`, except those of this repository. */
function packagesIn(modules: string): string[] {
  return readdirSync(modules)
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((each) => `${name}/${each}`) : [name],
    )
    .filter((name) => !name.startsWith('.') && !name.startsWith('express-yield'));
}

function optionsOf({ resolution }: TypeSetup): object {
  return {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    // The compiler finds packages beside a link and not beside its target.
    preserveSymlinks: true,
    target: 'es2022',
    module: resolution === 'bundler' ? 'esnext' : resolution,
    moduleResolution: resolution,
    esModuleInterop: true,
    allowImportingTsExtensions: true,
    experimentalDecorators: true,
    jsx: 'react-jsx',
    types: ['node', 'jest'],
  };
}
