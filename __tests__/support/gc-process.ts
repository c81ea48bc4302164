import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '../..');

/**
 * Runs code in a separate process, so that nothing else changes its memory. The code is the body of an async function.
 * It has the main entry point of the package as `lib`, `turn()` for a turn of the event loop, `collect()` for a complete
 * garbage collection, and `heap()` for the bytes of the heap after one.
 *
 * @returns what the code returns, as JSON carries it
 */
export async function runWithGc(code: string): Promise<unknown> {
  const script = `
    const lib = require(${JSON.stringify(join(ROOT, 'lib/index.ts'))});
    const turn = () => new Promise(setImmediate);
    const collect = async () => { for (let i = 0; i < 4; i++) { await turn(); gc(); } };
    const heap = async () => { await collect(); return process.memoryUsage().heapUsed; };
    (async () => { ${code} })().then((result) => process.stdout.write(JSON.stringify(result), () => process.exit()));
  `;
  const args = ['--expose-gc', '--import', 'tsx', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  return JSON.parse(stdout);
}
