import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface Arguments {
  readonly minutes: number;
  /** How many clients there are at a time. */
  readonly streams: number;
  /** How long nothing happens to a client on average. */
  readonly calmMs: number;
  readonly seed: number;
}

/** A few minutes must say something, too; many must leave the machine to others as well. */
const SHORT = { minutes: 5, streams: 1_000, calmMs: 8_000 };
const LONG = { streams: 2_000, calmMs: 25_000 };

export function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { streams: { type: 'string' }, seed: { type: 'string' } },
  });
  const minutes = positive('minutes', positionals[0] ?? '1');
  const usual = minutes < SHORT.minutes ? SHORT : LONG;
  const streams = positive('--streams', values.streams ?? String(usual.streams));
  const seed = positive('--seed', values.seed ?? String(1 + Math.floor(Math.random() * 1e6)));
  return { minutes, streams, calmMs: usual.calmMs, seed };
}

function positive(name: string, given: string): number {
  const number = Number(given);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new RangeError(`Expected ${name} to be a positive number, got '${given}'.`);
}
