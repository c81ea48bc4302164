import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isCi } from '../../tools/program';
import { compatibilityTable, DEBIAN } from '../support/compatibility';
import { ROOT } from '../support/demo';

/** The table below a heading of the README. */
function tableBelow(heading: string): string {
  const section = readFileSync(join(ROOT, 'README.md'), 'utf8').split(`\n## ${heading}\n`)[1] ?? '';
  return /^\|.*(?:\n\|.*)*/m.exec(section)?.[0] ?? '';
}

describe('the compatibility table of the README', () => {
  it('has the versions that the suites use', () => {
    expect(tableBelow('Compatibility')).toBe(compatibilityTable());
  });

  it('has every Node on which .ci/run runs the tests, and no other', () => {
    const script = readFileSync(join(ROOT, '.ci/run'), 'utf8');
    const versions = [...script.matchAll(/^for other in ([\d ]+); do$/gm)].flatMap(([, list = '']) =>
      list.split(' '),
    );

    expect(tableBelow('Compatibility')).toContain(`| Node | ${versions.sort().join(', ')} |`);
  });
});

(isCi() ? describe : describe.skip)('the servers of CI', () => {
  it('have the versions of the table', () => {
    const redis = execFileSync('redis-server', ['--version'], { encoding: 'utf8' });

    expect(redis).toContain(` v=${DEBIAN.redis}.`);
    expect(readdirSync('/usr/lib/postgresql')).toContain(DEBIAN.postgresql);
  });
});
