import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './demo';
import { isForeign, type ProjectFiles, TypeProject, type TypeSetup } from './type-project';

const run = promisify(execFile);

/** The package of each compiler. */
const COMPILERS = { '5.4': 'typescript54', '5.9': 'typescript59', '6': 'typescript', '7': 'typescript7' };

/** How many compilers run at the same time. */
const PARALLEL = 2;
const MAX_OUTPUT = 64 * 1024 * 1024;

/** An error of a compiler. */
export interface CompileError {
  /** The path in the project; `''` for an error that belongs to no file. */
  readonly file: string;
  readonly code: string;
  readonly message: string;
}

export type ErrorsBySetup = ReadonlyMap<TypeSetup, readonly CompileError[]>;

/**
 * Compiles a project for each setup.
 *
 * @param filesOf the files of a setup, as for {@link TypeProject}
 * @returns the errors, without those of the declarations of other packages
 */
export async function compileMatrix(
  setups: readonly TypeSetup[],
  filesOf: (setup: TypeSetup) => ProjectFiles,
): Promise<ErrorsBySetup> {
  const projects = setups.map((setup) => new TypeProject(setup, filesOf(setup)));
  try {
    const compilers = [...new Set(setups.map(({ typescript }) => typescript))];
    const jobs = compilers.map(
      (compiler) => () =>
        compile(
          compiler,
          projects.filter(({ setup }) => setup.typescript === compiler),
        ),
    );
    return new Map((await runAll(jobs)).flat());
  } finally {
    for (const project of projects) project.remove();
  }
}

async function runAll<Result>(jobs: Array<() => Promise<Result>>): Promise<Result[]> {
  const results: Result[] = [];
  const lanes = Array.from({ length: PARALLEL }, async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) results.push(await job());
  });
  await Promise.all(lanes);
  return results;
}

async function compile(compiler: TypeSetup['typescript'], projects: readonly TypeProject[]) {
  const run = compiler === '7' ? compileNatively : compileByApi;
  const texts = await run(
    COMPILERS[compiler],
    projects.map(({ folder }) => folder),
  );
  return projects.map(({ setup }, index) => [setup, parse(texts[index] ?? '')] as const);
}

async function compileByApi(compiler: string, folders: readonly string[]): Promise<string[]> {
  const args = ['--import', 'tsx', `${__dirname}/type-checker.ts`, compiler, ...folders];
  return JSON.parse(
    (await run(process.execPath, args, { cwd: ROOT, maxBuffer: MAX_OUTPUT })).stdout,
  ) as string[];
}

/** TypeScript 7 is a native program without an API; it checks all files in little time. */
async function compileNatively(compiler: string, folders: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (const folder of folders) texts.push(await outputOf(compiler, folder));
  return texts;
}

async function outputOf(compiler: string, folder: string): Promise<string> {
  const args = [join(ROOT, 'node_modules', compiler, 'bin/tsc'), '--project', folder, '--pretty', 'false'];
  try {
    return (await run(process.execPath, args, { cwd: folder, maxBuffer: MAX_OUTPUT })).stdout;
  } catch (error) {
    const { stdout, code } = error as { stdout?: string; code?: unknown };
    // The exit codes of a compiler that has found errors.
    if (stdout !== undefined && (code === 1 || code === 2)) return stdout;
    throw error;
  }
}

function parse(text: string): CompileError[] {
  return [...text.matchAll(/^(?:(\S+?)\(\d+,\d+\): )?error (TS\d+): (.*(?:\n +.*)*)/gm)]
    .map(([, file = '', code = '', message = '']) => ({ file, code, message }))
    .filter(({ file }) => !isForeign(file));
}
