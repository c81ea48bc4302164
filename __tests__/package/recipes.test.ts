import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../tools/free-port';
import { type DemoProcess, endDemos, runInProject } from '../support/demo';
import { UserProject } from '../support/user-project';

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

const CODE = readdirSync(DOCS, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
/** The recipes that respond as soon as they run, without a page of their own. */
const WITHOUT_FRONT_END = CODE.filter(
  (file) =>
    /app\.listen\(/.test(read(file)) &&
    !/redis|postgres/i.test(read(file)) &&
    !WITH_FRONT_END.includes(file.replace('.ts', '.html')),
);
/** Those that need a server, are part of another one, or run in a test runner. */
const OTHERS = CODE.filter(
  (file) => !WITHOUT_FRONT_END.includes(file) && !WITH_FRONT_END.includes(file.replace('.ts', '.html')),
);

function read(file: string): string {
  return readFileSync(join(DOCS, file), 'utf8');
}

/** Node 20 cannot strip types: there a recipe runs with tsx. */
const { stripTypeScriptTypes = String } = nodeModule as { stripTypeScriptTypes?: (code: string) => string };

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
});

// As `node file.ts`, where Node runs TypeScript.
describe('in a project of a user', () => {
  let project: UserProject;

  beforeAll(() => {
    project = new UserProject();
    project.copy('docs');
    project.copy('tsconfig.json');
  });

  afterAll(() => project.remove());

  it.each(WITH_FRONT_END)('%s is served by its recipe', async (file) => {
    const [response, recipe] = await respond(file.replace('.html', '.ts'));

    expect([response.status, await response.text()]).toEqual([200, read(file)]);
    expect(recipe.stderr).toBe('');
  });

  it.each(WITHOUT_FRONT_END)('%s runs', async (file) => {
    const [, recipe] = await respond(file);

    expect(recipe.stderr).toBe('');
  });

  it.each(OTHERS)('%s has nothing that Node cannot strip of its types', (file) => {
    expect(() => stripTypeScriptTypes(read(file))).not.toThrow();
    expect(read(file)).not.toMatch(/require\.main|__dirname|from '\.\.?\/[^']*(?<!\.tsx?)'/);
  });

  /** Starts a recipe. @returns its first response */
  async function respond(file: string): Promise<[Response, DemoProcess]> {
    const port = await freePort();
    const recipe = runInProject(project, `docs/${file}`, { PORT: `${port}` });
    return [await fetched(port, recipe.child), recipe];
  }
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
