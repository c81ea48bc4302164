import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');

/** Without `--lib`, the compiler includes the types of a browser. */
const WITHOUT_DOM = ['--lib', 'es2023,esnext.disposable'];

jest.setTimeout(120_000);

let folder: string;
let files: string[];

/** A project of a user: the packed tarball, extracted into node_modules next to Express. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-package-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, 'express-yield'), { recursive: true });
  for (const name of ['express', '@types'])
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  // The build is up to date; the lifecycle scripts would delete it while other tests use it.
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const [{ filename, files: packed }] = JSON.parse(execFileSync('npm', pack, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })); // biome-ignore format: one line
  files = packed.map(({ path }: { path: string }) => path);
  execFileSync('tar', [
    '-xzf',
    join(folder, filename),
    '-C',
    join(modules, 'express-yield'),
    '--strip-components=1',
  ]);
});

afterAll(() => rmSync(folder, { recursive: true }));

function run(name: string, code: string): string {
  writeFileSync(join(folder, name), code);
  return execFileSync(process.execPath, [name], { cwd: folder, encoding: 'utf8' });
}

function typesOf(name: string, code: string, more: readonly string[] = []): string {
  writeFileSync(join(folder, name), code);
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'node20',
    '--target',
    'es2022',
    '--types',
    'node',
    '--ignoreConfig',
  ];
  try {
    return execFileSync(process.execPath, [tsc, ...options, ...more, name], {
      cwd: folder,
      encoding: 'utf8',
    });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

describe('the packed tarball', () => {
  it('contains the build, the documents and nothing else', () => {
    const others = files.filter((path) => !/^dist\/.*\.(js|mjs|d\.ts|d\.mts)$/.test(path));

    expect(others.sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'docs/error-codes.md', // to which each message points
      'docs/troubleshooting.md',
      'package.json',
    ]);
    expect(files).toEqual(
      expect.arrayContaining(['dist/index.js', 'dist/index.mjs', 'dist/index.d.ts', 'dist/index.d.mts']),
    );
  });

  it('has no runtime dependencies, and names Express as an optional peer', () => {
    const manifest = JSON.parse(
      readFileSync(join(folder, 'node_modules/express-yield/package.json'), 'utf8'),
    );

    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.peerDependencies).toEqual({ express: '>=4.18' });
    expect(manifest.peerDependenciesMeta).toEqual({ express: { optional: true } });
    expect(manifest.engines).toEqual({ node: '>=20' });
  });

  it('is one instance for import and require', () => {
    const code = `
      import { createRequire } from 'node:module';
      import * as esm from 'express-yield';
      const cjs = createRequire(import.meta.url)('express-yield');
      console.log(Object.keys(esm).sort().join() === Object.keys(cjs).sort().join(), Object.keys(esm).every((name) => esm[name] === cjs[name]));`;

    expect(run('one.mjs', code)).toBe('true true\n');
  });

  const main = `
    const app = express();
    app.use(sse());
    app.get('/', async function* () { yield event('tick', { n: 1 }, { id: 7 }); });
    const server = app.listen(0, async () => {
      const response = await fetch('http://127.0.0.1:' + (server.address() ADDRESS).port, { headers: { Accept: 'text/event-stream' } });
      console.log(JSON.stringify(await response.text()));
      server.close();
    });`;
  const expected = `${JSON.stringify('event: tick\nid: 7\ndata: {"n":1}\n\nevent: end\nid: ~end\ndata: null\n\n')}\n`;
  const js = main.replace('ADDRESS', '');
  const typed = main.replace('ADDRESS', "as import('node:net').AddressInfo");

  it.each([
    [
      'import',
      'main.mjs',
      `import express from 'express'; import { event, sse } from 'express-yield'; ${js}`,
    ],
    [
      'require',
      'main.cjs',
      `const express = require('express'); const { event, sse } = require('express-yield'); ${js}`,
    ],
  ])('runs in JavaScript by %s', (_how, name, code) => {
    expect(run(name, code)).toBe(expected);
  });

  it.each([
    [
      'import',
      'main.mts',
      `import express from 'express'; import { event, sse } from 'express-yield'; ${typed}`,
    ],
    [
      'require',
      'main.cts',
      `import express = require('express'); import { event, sse } from 'express-yield'; ${typed}`,
    ],
  ])('type-checks in TypeScript by %s, including its own declarations', (_how, name, code) => {
    expect(typesOf(name, code)).toBe('');
  });

  it.each([
    ['import', 'client.mjs', "import * as client from 'express-yield/client';"],
    ['require', 'client.cjs', "const client = require('express-yield/client');"],
  ])('provides the client by %s', (_how, name, code) => {
    const show = 'console.log(Object.keys(client).sort().join(), client.parse(\'{"n":1}\').n);';

    expect(run(name, `${code} ${show}`)).toBe('parse,typedEventSource 1\n');
  });

  it.each(['client.mts', 'client.cts'])('type-checks a client in %s, with and without the DOM', (name) => {
    const code = `import type { Channel, Events } from 'express-yield';
      import { parse, typedEventSource } from 'express-yield/client';
      declare const market: Channel<Events<{ price: { cents: number } }>>;
      typedEventSource<typeof market>('/').addEventListener('price', ({ data }) => parse(data).cents.toFixed());`;

    expect(typesOf(name, code)).toBe('');
    expect(typesOf(name, code, WITHOUT_DOM)).toBe('');
  });

  it.each(['server.mts', 'server.cts'])('type-checks a server in %s without the DOM', (name) => {
    const code = `import { sse } from 'express-yield';
      import type { TypedEventSource } from 'express-yield/client';
      const handler = sse(async function* () { yield 1; });
      declare const events: TypedEventSource<() => AsyncGenerator<number>>;
      events.onmessage = ({ data }) => data.length;
      new XMLHttpRequest();`;

    expect(typesOf(name, code, WITHOUT_DOM)).toMatch(
      /^server\.[mc]ts\(6,11\): error TS2304: Cannot find name 'XMLHttpRequest'\.\n$/,
    );
  });

  it('type-checks without Express', () => {
    rmSync(join(folder, 'node_modules/express'));

    const code = `import { createServer } from 'node:http'; import { sse } from 'express-yield';
      createServer(sse(async function* (req, res) { yield req.url; yield res.sse.lastEventId; }));`;

    expect(typesOf('plain.mts', code)).toBe('');
  });
});
