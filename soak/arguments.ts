import { parseArgs } from 'node:util';

/** The command line's arguments. */
export interface Arguments {
  readonly minutes: number;
  /** The number of concurrent clients. */
  readonly streams: number;
  /** The mean time between two faults of a client. */
  readonly faultEveryMs: number;
  readonly seed: number;
}

/** A short run needs many faults to be significant; a long run must not use the whole machine. */
const SHORT = { minutes: 5, streams: 1_000, faultEveryMs: 8_000 };
const LONG = { streams: 2_000, faultEveryMs: 25_000 };

export function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { streams: { type: 'string' }, seed: { type: 'string' } },
  });
  const minutes = positive('minutes', positionals[0] ?? '1');
  const defaults = minutes < SHORT.minutes ? SHORT : LONG;
  const streams = positive('--streams', values.streams ?? String(defaults.streams));
  const seed = positive('--seed', values.seed ?? String(1 + Math.floor(Math.random() * 1e6)));
  return { minutes, streams, faultEveryMs: defaults.faultEveryMs, seed };
}

function positive(name: string, given: string): number {
  const number = Number(given);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new RangeError(`Expected ${name} to be a positive number, got '${given}'.`);
}
