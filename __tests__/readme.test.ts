import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import ts from 'typescript';
import { resolveOptions } from '../lib/options';
import { Client } from './support/client';

const ROOT = join(__dirname, '..');
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves once the program answers on its port. */
async function opened(program: ChildProcess, url: string): Promise<Client> {
  for (;;) {
    if (program.exitCode !== null) throw new Error(`The program exited with ${program.exitCode}.`);
    const client = await Client.open(url, { headers: { Connection: 'close' } }).catch(() => undefined);
    if (client !== undefined) return client;
    await sleep(20);
  }
}

/** Every block as a TypeScript module, and those in JavaScript as that, too. */
const FILES = BLOCKS.flatMap(({ language, code }, index) =>
  (language === 'js' ? ['mjs', 'mts'] : ['mts']).map((extension) => ({
    name: `block-${index}.${extension}`,
    code,
  })),
);

/** What the compiler says of each of `files`; one program for all of them is one library to read. */
function compile(files: typeof FILES): string[] {
  for (const { name, code } of files) writeFileSync(join(folder, name), code);
  const program = ts.createProgram(
    files.map(({ name }) => join(folder, name)),
    {
      strict: true,
      noEmit: true,
      allowJs: true,
      checkJs: true,
      module: ts.ModuleKind.Node20,
      target: ts.ScriptTarget.ES2022,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
      paths: { 'express-yield': [join(ROOT, 'dist/index.d.mts')] },
    },
  );
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
}

describe('the README', () => {
  it('shows complete code of at most 12 lines by line 10', () => {
    expect(README.split('\n').slice(0, 10).join('\n')).toContain('```js\nimport express');
    expect(BLOCKS[0]?.code.trim().split('\n').length).toBeLessThanOrEqual(12);
  });

  it('has code that compiles', () => {
    expect(compile(FILES)).toEqual([]);
  }, 60_000);

  it('has code that would not compile with a misspelt option', () => {
    const code = "import { sse } from 'express-yield';\nsse({ keepAlive: 5 });\n";

    expect(compile([{ name: 'wrong.mts', code }])).toEqual([
      expect.stringContaining("Did you mean to write 'keepAliveMs'?"),
    ]);
  }, 60_000);

  it.each(BLOCKS.map(({ code }, index) => [index, code]))(
    'block %i runs and streams',
    async (index, code) => {
      const port = await freePort();
      const [, path = '/'] = String(code).match(/app\.get\('([^']+)'/) ?? [];
      const name = join(folder, `run-${index}.mts`);
      writeFileSync(name, String(code).replace('listen(3000)', `listen(${port})`).replace("'express-yield'", JSON.stringify(join(ROOT, 'dist/index.mjs')))); // biome-ignore format: one line
      const program = spawn(process.execPath, ['--import', 'tsx', name], {
        cwd: ROOT,
        stdio: ['ignore', 'ignore', 'inherit'],
      });

      const client = await opened(program, `http://127.0.0.1:${port}${path}`);

      expect(client.headers['content-type']).toBe('text/event-stream');
      await client.until('data: ');
      client.leave();
      program.kill();
      await once(program, 'exit');
    },
  );

  it('gives the defaults of options.ts, all of them', () => {
    const table = README.slice(README.indexOf('\n## Options'));
    const rows = [...table.matchAll(/^\| `(\w+)` \| `([^`]+)` \|/gm)].map(([, name, value]) => [name, value]);
    const defaults = Object.entries(resolveOptions()).map(([name, value]) => [name, shown(name, value)]);

    expect(rows).toEqual(defaults);
  });

  it('names the two commands that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };

    expect(README).toContain('npm ci && npm run demo\nnpm ci && npm test\n');
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['demo', 'test', 'bench']));
  });
});

function shown(name: string, value: unknown): string {
  if (name === 'headers') return '{}';
  if (value === JSON.stringify) return 'JSON.stringify';
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'number' && Number.isFinite(value)
    ? value.toLocaleString('en').replaceAll(',', '_')
    : String(value);
}
