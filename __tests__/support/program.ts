import { isCi } from '../../tools/program';

/**
 * A `describe` whose tests need a program. Without it they are skipped with a warning; with `CI` set they fail.
 *
 * @param program its path, if it is installed
 * @param missing what needs the program, and how to install it
 */
export function describeWithProgram(
  program: string | undefined,
  missing: string,
  name: string,
  tests: () => void,
): void {
  const skipped = program === undefined && !isCi();
  if (skipped) console.warn(`SKIPPED: ${name}. ${missing}`);
  (skipped ? describe.skip : describe)(name, () => {
    beforeAll(() => {
      if (program === undefined) throw new Error(missing);
    });
    tests();
  });
}
