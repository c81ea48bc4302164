import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../tools/free-port';
import { endDemos, runDemo } from '../support/demo';

const DOCS = join(__dirname, '../../docs');
const FILES = readdirSync(DOCS, { withFileTypes: true }).flatMap((entry) =>
  entry.isFile() ? entry.name : [],
);
const INDEX = read('README.md');
/** Pages of reference, which have tests of their own. */
const REFERENCE = ['clients.md', 'error-codes.md', 'runtimes.md', 'troubleshooting.md'];
const PAGES = FILES.filter(
  (file) => file.endsWith('.md') && file !== 'README.md' && !REFERENCE.includes(file),
);

/** Blocks in these languages are not from a file. Every other block is a file or a part of it. */
const NO_FILE = ['sh', 'text', 'sql'];

/** The recipes with their own page, which respond as soon as they run. */
const WITH_FRONT_END = FILES.filter(
  (file) => file.endsWith('.html') && FILES.includes(file.replace('.html', '.ts')),
);

function read(file: string): string {
  return readFileSync(join(DOCS, file), 'utf8');
}

/** The code blocks of a page, each with its language. */
function blocksOf(page: string): Array<{ language: string; code: string }> {
  return [...read(page).matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .map(([, language = '', code = '']) => ({ language, code }))
    .filter(({ language }) => !NO_FILE.includes(language));
}

/** The files that a page links to. */
function linksOf(page: string): string[] {
  return [...read(page).matchAll(/\]\((?!https:)([^)#]+)/g)].map(([, file = '']) => file);
}

/** Whether the code is a linked file or a part of it, such as indented code within a `<script>`. */
function isFromFile(page: string, code: string): boolean {
  const files = linksOf(page).filter((file) => !file.endsWith('.md'));
  return files.map(read).some((text) => text.includes(code) || text.replace(/^ {2}/gm, '').includes(code));
}

afterEach(() => endDemos('SIGKILL'));

describe('the recipes', () => {
  it('are exactly those of the index', () => {
    const named = [...INDEX.matchAll(/^\| \[[^\]]+\]\(([^)]+)\)/gm)].map(([, file]) => file);

    expect(named).toEqual(expect.arrayContaining(PAGES));
    expect(named.filter((file) => !FILES.includes(file ?? ''))).toEqual([]);
    expect(named).toHaveLength(new Set(named).size);
  });

  it.each(PAGES)('%s shows its file unchanged', (page) => {
    const blocks = blocksOf(page);

    expect(blocks.length).toBeGreaterThan(0);
    expect(blocks.filter(({ code }) => !isFromFile(page, code))).toEqual([]);
  });

  it.each(PAGES)('%s links only to existing files', (page) => {
    expect(linksOf(page).filter((file) => !existsSync(join(DOCS, file)))).toEqual([]);
  });

  it.each(PAGES)('%s has a test', (page) => {
    expect(existsSync(join(__dirname, 'recipes', page.replace('.md', '.test.ts')))).toBe(true);
  });

  it.each(WITH_FRONT_END)('%s is served by its recipe in a separate process', async (file) => {
    const port = await freePort();
    const recipe = runDemo(`docs/${file.replace('.html', '.ts')}`, { PORT: `${port}` });

    const response = await fetched(port, recipe.child);

    expect([response.status, await response.text()]).toEqual([200, read(file)]);
    expect(recipe.stderr).toBe('');
  });
});

/** The first response of the program. */
async function fetched(port: number, program: ChildProcess): Promise<Response> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}`).catch(() => undefined);
    if (response !== undefined) return response;
    if (program.exitCode !== null) throw new Error(`The recipe exited with ${program.exitCode}.`);
    await sleep(20);
  }
}
