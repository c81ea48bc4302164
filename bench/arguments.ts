import { parseArgs } from 'node:util';

/** The command line's arguments. */
export interface Arguments {
  /** Prefixes of row names; empty means all rows. */
  readonly words: readonly string[];
  readonly rounds: number;
  /** Names of adapters; empty means all. */
  readonly adapters: readonly string[];
  /** File for every single sample. */
  readonly json: string | undefined;
  /** File for a chart of the table. */
  readonly svg: string | undefined;
  /** Folder for the servers' CPU profiles. */
  readonly profile: string | undefined;
}

export function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      adapters: { type: 'string', default: '' },
      json: { type: 'string' },
      svg: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`Expected --rounds to be a positive integer, got '${values.rounds}'.`);
  }
  const { json, svg, profile } = values;
  const adapters = values.adapters.split(',').filter((name) => name !== '');
  return { words: positionals, rounds, adapters, json, svg, profile };
}
