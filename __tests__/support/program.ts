import { isCi } from '../../tools/program';

/**
 * A `describe` whose tests need a program. Without it they are skipped, loudly; under `CI` they fail.
 *
 * @param program its path, if there is one
 * @param missing what it is needed for, and how to get it
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
