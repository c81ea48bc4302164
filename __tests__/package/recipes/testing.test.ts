import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { TYPESCRIPT_ARGS } from '../../support/user-project';

const ROOT = join(__dirname, '../../..');
const FILES = join(ROOT, 'docs/testing');

let folder: string;

/** A project of a user, with the built package and the files of the recipe. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-recipe-'));
  cpSync(FILES, folder, { recursive: true });
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(ROOT, join(modules, 'express-yield'));
  for (const name of ['express', 'supertest', 'vitest', 'jest', 'tsx', 'ts-jest', 'typescript']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

/** @returns the output; rejects with the output if a test fails */
function run(...command: string[]): Promise<string> {
  // Remove the variables of the outer Jest from the environment of the inner test runner.
  const { NODE_OPTIONS: _, JEST_WORKER_ID: __, NODE_ENV: ___, NODE_TEST_CONTEXT: ____, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env: { ...env, NO_COLOR: '1', CI: 'true' }, timeout: 50_000 };
    execFile(process.execPath, command, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${command.join(' ')} failed:\n${stdout}${stderr}`));
    });
  });
}

/** The path of a test runner's program in its package. */
function program(name: string, path: string): string {
  return join(dirname(require.resolve(`${name}/package.json`)), path);
}

describe('docs/testing', () => {
  it.each([
    ['streams.test.ts', 5],
    ['supertest.test.ts', 2],
  ])('%s passes with node:test', async (file, count) => {
    // The recipe runs as it is, without a loader where Node needs none.
    const printed = await run(...TYPESCRIPT_ARGS, '--test', '--test-reporter=tap', file);

    expect(printed).toMatch(new RegExp(`^# pass ${count}\n# fail 0$`, 'm'));
  });

  it('vitest.test.ts passes with Vitest', async () => {
    const printed = await run(program('vitest', 'vitest.mjs'), 'run', 'vitest.test.ts');

    expect(printed).toMatch(/Tests\s+1 passed \(1\)/);
  });

  it('jest.test.ts passes with Jest', async () => {
    const transform = { '^.+\\.ts$': ['ts-jest', { diagnostics: false, isolatedModules: true }] };
    const config = JSON.stringify({ transform, testMatch: ['**/jest.test.ts'] });

    const printed = await run(program('jest', 'bin/jest.js'), '--config', config, '--rootDir', folder);

    expect(printed).toMatch(/Tests:\s+2 passed, 2 total/);
  });

  it('contains no other file', () => {
    expect(readdirSync(FILES).sort()).toEqual([
      'app.ts',
      'jest.test.ts',
      'streams.test.ts',
      'supertest.test.ts',
      'vitest.test.ts',
    ]);
  });
});
