import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface Arguments {
  /** Beginnings of the wanted rows' names; none means all. */
  readonly words: readonly string[];
  readonly rounds: number;
  /** Names of the wanted adapters; none means all. */
  readonly adapters: readonly string[];
  /** Where every sample goes, besides the table. */
  readonly json: string | undefined;
  /** Where a chart of the table goes. */
  readonly svg: string | undefined;
  /** Where the servers' CPU profiles go. */
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
