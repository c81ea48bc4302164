/**
 * Sets the owner of the repository in all fields of package.json that contain it.
 *
 * @example
 * tsx tools/set-owner.ts some-organisation
 */
import { execFileSync } from 'node:child_process';

const [, , owner = ''] = process.argv;
if (!/^[\w-]+$/.test(owner)) throw new Error(`Expected the name of an owner on GitHub, got '${owner}'.`);

const url = `https://github.com/${owner}/express-yield`;
const fields = [`repository.url=git+${url}.git`, `homepage=${url}#readme`, `bugs.url=${url}/issues`];
execFileSync('npm', ['pkg', 'set', ...fields], { stdio: 'inherit' });
