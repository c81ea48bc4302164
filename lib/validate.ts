import { describe, outOfRange, wrongType } from './errors';

/** Checks one option; throws a `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` that names it. */
export type Check = (name: string, value: unknown) => void;

/** The checks of a set of options, one for each name that is known. */
export type Checks<Options> = Readonly<Record<keyof Options, Check>>;

/** The longest delay of Node's timers; a longer one fires immediately. */
const MAX_DELAY_MS = 2_147_483_647;

/**
 * Checks options and drops those that are `undefined`.
 *
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` that names the option, the value and the remedy
 */
export function checked<Options extends object>(
  options: Options | undefined,
  checks: Readonly<Record<string, Check>>,
): Partial<Options> {
  if (options === undefined) return {};
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw wrongType('ERR_SSE_INVALID_OPTION', `Expected options to be an object, got ${describe(options)}.`);
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) throw unknownOption(name, Object.keys(checks));
    check(name, value);
  }
  // Without a prototype, so that an option that was not given cannot be found there either.
  return Object.assign(Object.create(null), Object.fromEntries(given));
}

/** Milliseconds, at least `least`; `false` turns the option off where it is `optional`. */
export function delay(least: number, optional: 'optional' | 'required'): Check {
  const positive = least > 0 ? 'a positive integer' : 'a non-negative integer';
  const expected = optional === 'optional' ? `${positive} or false` : positive;
  const remedy = optional === 'optional' ? ' Use false to turn it off.' : '';
  return (name, value) => {
    if (optional === 'optional' && value === false) return;
    const message = `Expected ${name} to be ${expected}, got ${describe(value)}.${remedy}`;
    if (typeof value !== 'number') throw wrongType('ERR_SSE_INVALID_OPTION', message);
    if (Number.isInteger(value) && value >= least && value <= MAX_DELAY_MS) return;
    throw outOfRange(
      'ERR_SSE_INVALID_OPTION',
      value > MAX_DELAY_MS ? `${message} A timer holds at most ${MAX_DELAY_MS} ms.` : message,
    );
  };
}

/** A positive integer, or `Infinity` for no limit. */
export function limit(name: string, value: unknown): void {
  if (value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && Number(value) > 0)) return;
  const message = `Expected ${name} to be a positive integer or Infinity, got ${describe(value)}. Use Infinity to turn it off.`;
  if (typeof value === 'number') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

/** A positive integer. */
export function count(name: string, value: unknown): void {
  if (Number.isSafeInteger(value) && Number(value) > 0) return;
  const message = `Expected ${name} to be a positive integer, got ${describe(value)}.`;
  if (typeof value === 'number') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

/** One of these strings. */
export function oneOf(...choices: readonly string[]): Check {
  const expected = choices.map((choice) => `'${choice}'`).join(' or ');
  return (name, value) => {
    if (typeof value === 'string' && choices.includes(value)) return;
    throw wrongType('ERR_SSE_INVALID_OPTION', `Expected ${name} to be ${expected}, got ${describe(value)}.`);
  };
}

/** @param expected how the error message describes the type */
export function ofType(type: 'boolean' | 'function' | 'object' | 'string', expected: string): Check {
  return (name, value) => {
    if (typeof value === type && value !== null) return;
    throw wrongType('ERR_SSE_INVALID_OPTION', `Expected ${name} to be ${expected}, got ${describe(value)}.`);
  };
}

/** A plain object of header names and values. The entries of a `Map` or of `Headers` would be ignored silently. */
export function headerObject(option: string, value: unknown): asserts value is object {
  if (value === null || typeof value !== 'object' || Symbol.iterator in value) {
    throw wrongType(
      'ERR_SSE_INVALID_OPTION',
      `Expected ${option} to be a plain object of header names and values, got ${describe(value)}.`,
    );
  }
}

function unknownOption(name: string, known: readonly string[]): TypeError {
  const hint = suggestion('options', name, known);
  return wrongType('ERR_SSE_INVALID_OPTION', `Unknown option '${name}'. ${hint}`);
}

/** For a name that is not known: the nearest one that is, or all of them. */
export function suggestion(kind: string, name: string, known: readonly string[]): string {
  const nearest = known
    .map((candidate) => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const isNear =
    nearest !== undefined &&
    nearest.distance <= Math.max(2, name.length / 3) &&
    nearest.distance < nearest.candidate.length;
  return isNear ? `Did you mean '${nearest.candidate}'?` : `Known ${kind}: ${known.join(', ')}.`;
}

/** The Levenshtein distance between two words, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
