import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(__dirname, '../..');

jest.setTimeout(120_000);

let folder: string;

/** A project of a user, with the built package. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-runners-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(ROOT, join(modules, 'express-yield'));
  for (const name of ['express', 'supertest', 'vitest', 'jest']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

// The suite that every runner runs, after the imports of that runner.
const IMPORTS = `
import express from 'express';
import request from 'supertest';
import { sse } from 'express-yield';
import { eventStream, openStream } from 'express-yield/testing';
`;

const REQUIRES = IMPORTS.replaceAll(/import (.*) from (.*);/g, 'const $1 = require($2);');

const SUITE = `
const app = express().use(sse());
app.get('/clock', async function* (req, res) {
  for (let tick = 1; !res.sse.signal.aborted; tick++) {
    yield { tick };
    await new Promise(setImmediate);
  }
});

test('reads and closes a stream', async () => {
  const stream = await openStream(app, '/clock');
  const [first] = await stream.take(2);
  assert.deepEqual(first, { type: 'message', data: '{"tick":1}', lastEventId: '' });
  await stream.reconnect();
  assert.equal((await stream.until(({ data }) => data === '{"tick":3}')).at(-1).data, '{"tick":3}');
  await stream.close();
});

test('does not keep the process alive for a stream that is never closed', async () => {
  const stream = await openStream(app, '/nothing');
  assert.equal(stream.status, 404);
});

test('shows in the error of a wait what was received', async () => {
  const stream = await openStream(app, '/clock', { timeoutMs: 50 });
  await assert.rejects(stream.untilText('never'), /^Error: Expected "never" from GET \\/clock, but 50 ms have passed/);
  await stream.close();
});

test('ends a request of supertest after the last event', async () => {
  const res = await request(app).get('/clock').buffer().parse(eventStream({ take: 3 }));
  assert.deepEqual(res.body.map(({ data }) => data), ['{"tick":1}', '{"tick":2}', '{"tick":3}']);
});
`;

const ASSERT = {
  esm: "import assert from 'node:assert/strict';",
  cjs: "const assert = require('node:assert/strict');",
};

/** A test with the runner's fake timers, which must not affect the waits. */
const FAKE = (runner: string) => `
test('uses the real clock under fake timers', async () => {
  ${runner}.useFakeTimers({ FAKED });
  try {
    const stream = await openStream(app, '/clock', { timeoutMs: 50 });
    ${runner}.advanceTimersByTime(60_000);
    await stream.take(2);
    await assert.rejects(stream.untilText('never'), /50 ms have passed/);
    await stream.close();
  } finally {
    ${runner}.useRealTimers();
  }
});
`;
const JEST_FAKE = FAKE('jest').replace('FAKED', "doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask']");
const VITEST_FAKE = FAKE('vi').replace(
  'FAKED',
  "toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date']",
);

/** Runs `file`, and resolves with its output, or rejects with it. */
function run(file: string, code: string, command: readonly string[]): Promise<string> {
  writeFileSync(join(folder, file), code);
  // The runner must not inherit the variables of this Jest.
  const { NODE_OPTIONS: _, JEST_WORKER_ID: __, NODE_ENV: ___, NODE_TEST_CONTEXT: ____, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env: { ...env, NO_COLOR: '1', CI: 'true' }, timeout: 100_000 };
    execFile(process.execPath, command, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${file} failed:\n${stdout}${stderr}`));
    });
  });
}

/** The path of a runner's program in its package. */
function program(name: string, path: string): string {
  return join(dirname(require.resolve(`${name}/package.json`)), path);
}

describe('express-yield/testing under', () => {
  it.each([
    ['import', 'node.test.mjs', `import { test } from 'node:test';${ASSERT.esm}${IMPORTS}${SUITE}`],
    ['require', 'node.test.cjs', `const { test } = require('node:test');${ASSERT.cjs}${REQUIRES}${SUITE}`],
  ])('node:test by %s', async (_how, file, code) => {
    expect(await run(file, code, ['--test', '--test-reporter=tap', file])).toMatch(/^# pass 4\n# fail 0$/m);
  });

  it.each([
    [
      'import',
      'vitest.test.mjs',
      `import { test, vi } from 'vitest';${ASSERT.esm}${IMPORTS}${SUITE}${VITEST_FAKE}`,
    ],
    [
      'require',
      'vitest.test.mts',
      `import { test, vi } from 'vitest';import { createRequire } from 'node:module';const require = createRequire(import.meta.url);${ASSERT.cjs}${REQUIRES}${SUITE.replace('data })', 'data }: { data: string })')}${VITEST_FAKE}`,
    ],
  ])('Vitest by %s', async (_how, file, code) => {
    const command = [program('vitest', 'vitest.mjs'), 'run', '--reporter=verbose', file];

    expect(await run(file, code, command)).toMatch(/Tests\s+5 passed \(5\)/);
  });

  it.each([
    [
      'import',
      'jest.test.mjs',
      `import { jest, test } from '@jest/globals';${ASSERT.esm}${IMPORTS}${SUITE}${JEST_FAKE}`,
    ],
    [
      'require',
      'jest.test.cjs',
      `const { jest, test } = require('@jest/globals');${ASSERT.cjs}${REQUIRES}${SUITE}${JEST_FAKE}`,
    ],
  ])('Jest by %s, without its globals', async (_how, file, code) => {
    const config = { injectGlobals: false, transform: {}, testMatch: ['**/jest.test.*'], moduleFileExtensions: ['js', 'mjs', 'cjs', 'json'] }; // biome-ignore format: one line
    const command = [
      '--experimental-vm-modules',
      program('jest', 'bin/jest.js'),
      '--config',
      JSON.stringify(config),
      '--rootDir',
      folder,
      file,
    ];

    expect(await run(file, code, command)).toMatch(/Tests:\s+5 passed, 5 total/);
  });
});
