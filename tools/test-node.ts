/**
 * Runs the tests on the newest Node of a major version, which it installs from the npm registry.
 *
 * @example
 * tsx tools/test-node.ts 26
 * tsx tools/test-node.ts 22 __tests__/stream
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { installProgram, newestVersion } from './npm-program';

const ROOT = join(__dirname, '..');
const JEST = join(ROOT, 'node_modules/jest/bin/jest.js');

async function main(major = '', ...jestArgs: readonly string[]): Promise<number> {
  if (!/^\d+$/.test(major)) throw new Error(`Expected a major version of Node, such as 24, got '${major}'.`);
  const name = `node-${process.platform}-${process.arch}`;
  const version = newestVersion(name, major);
  const node = installProgram({ package: name, version, path: 'bin/node' });
  console.log(`Tests on Node ${version} (${name} of npm)`);
  // Programs that the tests start must be the same Node.
  const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` };
  const jest = spawn(node, [JEST, ...jestArgs], { cwd: ROOT, env, stdio: 'inherit' });
  // CI ends a run that exceeds its limit; then the reporter shows what was open.
  process.on('SIGTERM', () => jest.kill('SIGTERM'));
  const [code] = await once(jest, 'exit');
  return code ?? 1;
}

main(...process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
