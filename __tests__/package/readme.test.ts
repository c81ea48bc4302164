import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { resolveChannelOptions, resolveRunOptions } from '../../lib/channel/options';
import { resolveMemoryLogOptions } from '../../lib/log/options';
import { resolveRedisLogOptions, resolveRedisLogsOptions } from '../../lib/redis/options';
import { resolveSseOptions } from '../../lib/stream/options';
import { type OpenedStream, openStream } from '../../lib/testing';
import { freePort } from '../../tools/free-port';
import { compileWithBuilt, importingBuilt } from '../support/built';
import { describeWithRedis } from '../support/redis';

const ROOT = join(__dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const BLOCKS = [...README.matchAll(/```(js|ts)\n(.*?)```/gs)].map(([, language = '', code = '']) => ({
  language,
  code,
}));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-readme-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Resolves when the program responds on its port. */
async function opened(program: ChildProcess, url: string): Promise<OpenedStream> {
  for (;;) {
    if (program.exitCode !== null) throw new Error(`The program exited with ${program.exitCode}.`);
    const client = await openStream(url, '', { headers: { Connection: 'close' } }).catch(() => undefined);
    if (client !== undefined) return client;
    await sleep(20);
  }
}

/** Every block as a TypeScript module (named by its first comment, if any); JavaScript blocks also as JavaScript. */
const FILES = BLOCKS.flatMap(({ language, code }, index) => {
  const [, own] = /^\/\/ (\w+\.ts)\n/.exec(code) ?? [];
  if (own !== undefined) return [{ name: own, code }];
  return (language === 'js' ? ['mjs', 'mts'] : ['mts']).map((extension) => ({
    name: `block-${index}.${extension}`,
    code,
  }));
});

/** Compiles `files` in one program, which reads the type libraries only once. @returns the diagnostics */
function compile(files: typeof FILES): string[] {
  for (const { name, code } of files) writeFileSync(join(folder, name), code);
  return compileWithBuilt(
    files.map(({ name }) => join(folder, name)),
    { allowJs: true, checkJs: true, types: ['node'] },
  );
}

const REDIS = "'express-yield/redis'";

const NUMBERED = BLOCKS.map(({ code }, index) => ({ index, code }));

/** The blocks that are a server, a test, or a script for a page. */
const RUNNING = NUMBERED.filter(({ code }) => code.includes('listen('));
const TESTING = NUMBERED.filter(({ code }) => code.includes("'node:test'"));
const PAGES = NUMBERED.filter(({ code }) => code.includes("'express-yield/client'"));

async function runAndStream(
  { index, code }: (typeof RUNNING)[number],
  env?: NodeJS.ProcessEnv,
): Promise<void> {
  const port = await freePort();
  const paths = [...code.matchAll(/app\.get\('([^']+)'/g)].map(([, path = '']) => path);
  if (paths.length === 0) paths.push('/');
  const name = writeBuilt(index, code.replace('listen(3000)', `listen(${port})`));
  const program = spawn(process.execPath, ['--import', 'tsx', name], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });

  try {
    await (await opened(program, `http://127.0.0.1:${port}`)).close();
    for (const path of paths) await expectStream(`http://127.0.0.1:${port}${path}`, path === paths[0]);
  } finally {
    program.kill();
    await once(program, 'exit');
  }
}

/** An event, or the first frame of a stream whose filter may accept none. */
async function expectStream(url: string, hasEvents: boolean): Promise<void> {
  const client = await openStream(url);
  expect([url, client.headers['content-type']]).toEqual([url, 'text/event-stream; charset=utf-8']);
  await (hasEvents ? client.next() : client.untilText('\n\n'));
  await client.close();
}

/** @returns the path of a module with this code, which imports the built package */
function writeBuilt(index: number, code: string): string {
  const name = join(folder, `run-${index}.mts`);
  writeFileSync(name, importingBuilt(code));
  return name;
}

/** The rows of the first table after this text. */
function rowsAfter(words: string): Array<Array<string | undefined>> {
  const lines = README.slice(README.indexOf(words)).split('\n');
  const begin = lines.findIndex((line) => line.startsWith('|'));
  const length = lines.slice(begin).findIndex((line) => !line.startsWith('|'));
  return lines.slice(begin, begin + length).flatMap((line) => {
    const [, name, value] = /^\| `(\w+)` \| `([^`]+)` \|/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value]];
  });
}

function defaultsOf(options: object): Array<[string, string]> {
  return Object.entries(options).map(([name, value]) => [name, shown(name, value)]);
}

describeWithRedis('the README with Redis', (server) => {
  it.each(RUNNING.filter(({ code }) => code.includes(REDIS)))('block $index runs and streams', (block) =>
    runAndStream(block, { REDIS_URL: `redis://127.0.0.1:${server.port}` }),
  );
});

describe('the README', () => {
  it('shows complete code of at most 12 lines by line 10', () => {
    expect(README.split('\n').slice(0, 10).join('\n')).toContain('```js\nimport express');
    expect(BLOCKS[0]?.code.trim().split('\n').length).toBeLessThanOrEqual(12);
  });

  it('has code that compiles', () => {
    expect(compile(FILES)).toEqual([]);
  });

  it('has code in which a misspelt option does not compile', () => {
    const code = "import { sse } from 'express-yield';\nsse({ keepAlive: 5 });\n";

    expect(compile([{ name: 'wrong.mts', code }])).toEqual([
      expect.stringContaining("Did you mean to write 'keepAliveMs'?"),
    ]);
  });

  it.each(RUNNING.filter(({ code }) => !code.includes(REDIS)))('block $index runs and streams', (block) =>
    runAndStream(block),
  );

  it.each(TESTING)('block $index is a test that passes', async ({ index, code }) => {
    const program = spawn(process.execPath, ['--import', 'tsx', writeBuilt(index, code)], { cwd: ROOT });
    let output = '';
    program.stdout.on('data', (text) => {
      output += text;
    });

    expect(await once(program, 'close')).toEqual([0, null]);
    expect(output).toMatch(/(# |ℹ )pass 1\n/);
  });

  it.each(PAGES)(
    'block $index builds into a script that opens its stream in a page',
    async ({ index, code }) => {
      const { outputFiles } = await build({
        entryPoints: [writeBuilt(index, code)],
        bundle: true,
        write: false,
      });
      const opened: string[] = [];
      class EventSource {
        constructor(url: string) {
          opened.push(url);
        }
        addEventListener(): void {}
      }

      runInNewContext(outputFiles[0]?.text ?? '', { EventSource });

      expect(opened).toEqual(['/market']);
    },
  );

  it('has no block without a test', () => {
    expect(RUNNING.length + TESTING.length + PAGES.length).toBe(BLOCKS.length);
  });

  it('has no broken link', () => {
    const anchors = [...README.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
    const broken = [...README.matchAll(/\]\((?!https:)([^)]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) =>
        target.startsWith('#') ? !anchors.includes(target) : !existsSync(join(ROOT, target)),
      );

    expect(broken).toEqual([]);
  });

  it('lists all defaults of options.ts', () => {
    // `fetch` holds the defaults for fetch clients, which the rows explain.
    const { fetch: _, ...options } = resolveSseOptions();
    expect(rowsAfter('\n## Options')).toEqual(defaultsOf(options));
    expect(rowsAfter('\n| option of `new Channel()`')).toEqual([
      ['log', 'memoryLog()'],
      ...defaultsOf(resolveChannelOptions(undefined)),
    ]);
    expect(rowsAfter('\n| option of `memoryLog()`')).toEqual(defaultsOf(resolveMemoryLogOptions(undefined)));
    const { ttlMs, replay } = resolveRunOptions(undefined);
    expect(README).toContain(`\`ttlMs\` (\`${shown('ttlMs', ttlMs)}\``);
    expect(README).toContain(`(\`replay\` is \`${replay}\`)`);
  });

  it('lists the defaults of the logs on Redis', () => {
    const rows = [...README.matchAll(/^\| `(?:redisLogs|logs)\(\w+, \{ (\w+) \}\)` \| `([^`]+)` \|/gm)];

    expect(rows.map(([, name, value]) => [name, value])).toEqual([
      ...defaultsOf(resolveRedisLogsOptions(undefined)),
      ...defaultsOf(resolveRedisLogOptions(undefined)),
    ]);
  });

  it('names the commands of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };

    expect(README).toContain('npm ci && npm run demo\nnpm ci && npm test\n');
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['demo', 'test', 'bench']));
  });
});

/** The anchor that repository hosts generate for a heading. */
function anchorOf(heading: string): string {
  return `#${heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-')}`;
}

function shown(name: string, value: unknown): string {
  if (name === 'headers') return '{}';
  if (name === 'keyOf') return '(req) => req.ip';
  if (value === JSON.stringify) return 'JSON.stringify';
  if (value === JSON.parse) return 'JSON.parse';
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'number' && Number.isFinite(value)
    ? value.toLocaleString('en').replaceAll(',', '_')
    : String(value);
}
