import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENTRIES, exportsOf, moduleOf } from '../support/api-examples';
import { compileWithBuilt, importingBuilt } from '../support/built';
import { describeWithRedis } from '../support/redis';

const ROOT = join(__dirname, '../..');
const WORLD = join(__dirname, '../support/api-world.ts');
const PAGE = join(__dirname, '../support/api-page.ts');

const EXPORTS = ENTRIES.flatMap(exportsOf);

/** Every example once, with its export. */
const EXAMPLES = [
  ...new Map(
    EXPORTS.flatMap(({ entry, name, examples }) =>
      examples.map((code) => [code, { entry, name, code }] as const),
    ),
  ).values(),
].map((example, index) => ({ ...example, name: `${index}-${example.name}` }));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-api-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'server.ts'), `export { market } from ${JSON.stringify(PAGE)};`);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Compiles these examples against the built types. @returns the diagnostics */
function compile(examples: ReadonlyArray<{ readonly name: string; readonly code: string }>): string[] {
  for (const { name, code } of examples) {
    writeFileSync(join(folder, `${name}.mts`), moduleOf(code, EXPORTS, WORLD));
  }
  return compileWithBuilt(
    examples.map(({ name }) => join(folder, `${name}.mts`)),
    { allowImportingTsExtensions: true, esModuleInterop: true, skipLibCheck: true, types: ['node', 'jest'] },
  );
}

/** Runs these examples in one separate process, against the built package. */
function run(examples: typeof EXAMPLES, env: NodeJS.ProcessEnv = {}) {
  for (const { name, code } of examples) {
    writeFileSync(join(folder, `run-${name}.mts`), importingBuilt(moduleOf(code, EXPORTS, WORLD)));
  }
  const list = examples.map(({ name, code }, index) => {
    const module = `import { run as run${index} } from './run-${name}.mts';`;
    return { module, example: `{ ...${JSON.stringify({ name, code })}, run: run${index} }` };
  });
  const main = join(folder, 'main.mts');
  writeFileSync(
    main,
    `import { runAll } from ${JSON.stringify(WORLD)};
${list.map(({ module }) => module).join('\n')}
await runAll([${list.map(({ example }) => example).join(',\n')}]);`,
  );
  return spawnSync(process.execPath, ['--import', 'tsx', main], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
}

function pagesIn(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.md'),
  );
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(directory, name), 'utf8')]));
}

describe('the docstrings', () => {
  it('cover every entry point of the package', () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object };
    const names = Object.keys(exports).filter((name) => !name.endsWith('.json'));

    expect(names.map((name) => name.slice(2) || 'index').sort()).toEqual([...ENTRIES].sort());
    const { entryPoints } = JSON.parse(readFileSync(join(ROOT, 'typedoc.json'), 'utf8')) as {
      entryPoints: string[];
    };
    expect(entryPoints).toEqual(ENTRIES.map((entry) => `lib/${entry}.ts`));
  });

  it('contain an example for every export', () => {
    const without = EXPORTS.filter(({ hasExample }) => !hasExample).map(({ name }) => name);

    expect(without).toEqual([]);
  });

  it('have examples that compile with the types of a browser', () => {
    expect(compile(EXAMPLES)).toEqual([]);
  });

  it('have examples in which a misspelt option does not compile', () => {
    const code = 'sse({ keepAlive: 5 });';

    expect(compile([{ name: 'wrong', code }])).toEqual([
      expect.stringContaining("Did you mean to write 'keepAliveMs'?"),
    ]);
  });

  it('have examples that run and whose routes respond', () => {
    const examples = EXAMPLES.filter(({ entry }) => entry === 'index' || entry === 'testing');

    const { status, stdout, stderr } = run(examples);

    expect(stderr).toBe('');
    expect(stdout).toContain(`${examples.length} run\n`);
    expect(status).toBe(0);
  });

  it('have browser examples that run and receive events, with npm eventsource as EventSource', () => {
    const examples = EXAMPLES.filter(({ entry }) => entry === 'client');
    const showing = examples.filter(({ code }) => /^events\.addEventListener\('price'/m.test(code));

    const { status, stdout, stderr } = run(examples);

    expect(stderr).toBe('');
    expect(stdout.split('\n').sort()).toEqual(
      ['', ...Array(showing.length).fill('ACME'), `${examples.length} run`].sort(),
    );
    expect(showing.length).toBeGreaterThan(2);
    expect(status).toBe(0);
  });

  it('have a runner that reports a failing example', () => {
    const { status, stderr } = run([
      { entry: 'index', name: 'wrong', code: "throw new Error('Out of order.');" },
    ]);

    expect(stderr).toContain('wrong: Out of order.');
    expect(status).toBe(1);
  });
});

describeWithRedis('the docstrings with Redis', (server) => {
  it('have examples that run', () => {
    const examples = EXAMPLES.filter(({ entry }) => entry === 'redis');

    const { status, stdout, stderr } = run(examples, { REDIS_URL: `redis://127.0.0.1:${server.port}` });

    expect(stderr).toBe('');
    expect(stdout).toContain(`${examples.length} run\n`);
    expect(status).toBe(0);
  });
});

describe('docs/api', () => {
  it('is the output of npm run docs', () => {
    const fresh = join(folder, 'docs');
    const typedoc = join(ROOT, 'node_modules/typedoc/bin/typedoc');

    const { status, stdout, stderr } = spawnSync(process.execPath, [typedoc, '--out', fresh], {
      cwd: ROOT,
      encoding: 'utf8',
    });

    expect({ status, problems: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, problems: '' });
    expect(pagesIn(fresh)).toEqual(pagesIn(join(ROOT, 'docs/api')));
  });

  it('contains no local path, line number or commit', () => {
    const text = Object.values(pagesIn(join(ROOT, 'docs/api'))).join('\n');

    expect(text).not.toMatch(/\/blob\/|file:\/\/|Defined in|node_modules/);
    expect(text).not.toContain(ROOT);
  });
});
