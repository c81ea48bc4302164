import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface Arguments {
  /** Beginnings of the wanted rows' names; none means all. */
  readonly words: readonly string[];
  readonly rounds: number;
  /** Where every sample goes, besides the table. */
  readonly json: string | undefined;
  /** Where the servers' CPU profiles go. */
  readonly profile: string | undefined;
}

export function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`Expected --rounds to be a positive integer, got '${values.rounds}'.`);
  }
  return { words: positionals, rounds, json: values.json, profile: values.profile };
}
