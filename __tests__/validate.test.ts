import { type Check, checked, count, delay, headerObject, limit, ofType, oneOf } from '../lib/validate';
import { errorWith } from './support/error-with';

const MAX_DELAY_MS = 2_147_483_647;

/** Accepts every value. */
const ANY: Check = () => undefined;

/** The option names of `sse()`, which have many pairs of similar names. */
const CHECKS: Readonly<Record<string, Check>> = {
  keepAliveMs: ANY,
  retryMs: ANY,
  commitAfterMs: ANY,
  end: ANY,
  headers: ANY,
  serialize: ANY,
  compress: ANY,
  onError: ANY,
  maxStreams: ANY,
  whenFull: ANY,
  maxDurationMs: ANY,
  stallTimeoutMs: ANY,
  cleanupWarnMs: ANY,
};

/** Options as plain JavaScript would pass them. */
function untyped(options: unknown): object {
  return options as object;
}

const CODE = 'ERR_SSE_INVALID_OPTION';

function invalidOption(name: 'TypeError' | 'RangeError', message: string): Error {
  return errorWith({ name, code: CODE, message });
}

describe('checked()', () => {
  it('returns no options for undefined', () => {
    expect(checked(undefined, CHECKS)).toEqual({});
  });

  it('returns the options without those that are undefined', () => {
    const options = checked({ end: 'stop', retryMs: undefined, maxStreams: 0 }, CHECKS);

    expect(Object.entries(options)).toEqual([
      ['end', 'stop'],
      ['maxStreams', 0],
    ]);
  });

  it('ignores what stands on Object.prototype', () => {
    Reflect.set(Object.prototype, 'keepAliveMs', 'polluted');
    try {
      expect(checked({ end: 'stop' }, CHECKS)).not.toHaveProperty('keepAliveMs');
    } finally {
      Reflect.deleteProperty(Object.prototype, 'keepAliveMs');
    }
  });

  it('calls the check of each option with its name and value', () => {
    const check = jest.fn();

    checked({ a: 1, b: undefined, c: false }, { a: check, b: check, c: check });

    expect(check.mock.calls).toEqual([
      ['a', 1],
      ['c', false],
    ]);
  });

  it.each([null, [], 'off', 5, true])('refuses %p as the options', (options) => {
    expect(() => checked(untyped(options), CHECKS)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: CODE,
        message: expect.stringContaining('Expected options to be an object, got '),
      }),
    );
  });

  it.each([
    ['keepaliveMs', 'keepAliveMs'],
    ['keepAlive', 'keepAliveMs'],
    ['keepAilveMs', 'keepAliveMs'],
    ['retry', 'retryMs'],
    ['ends', 'end'],
    ['header', 'headers'],
    ['serialise', 'serialize'],
    ['compression', 'compress'],
    ['onerror', 'onError'],
    ['maxStream', 'maxStreams'],
    ['maxDuration', 'maxDurationMs'],
    ['stallTimeout', 'stallTimeoutMs'],
  ])('refuses the unknown option %s, and suggests the similar name %s', (name, similar) => {
    expect(() => checked({ [name]: 5 }, CHECKS)).toThrow(
      invalidOption('TypeError', `Unknown option '${name}'. Did you mean '${similar}'?`),
    );
  });

  it.each(['heartbeat', 'x', 'toString', 'constructor', 'hasOwnProperty'])(
    'refuses the unknown option %s, and lists all options if none has a similar name',
    (name) => {
      expect(() => checked({ [name]: 5 }, CHECKS)).toThrow(
        `Unknown option '${name}'. Known options: keepAliveMs, retryMs, commitAfterMs, end, headers, serialize, ` +
          'compress, onError, maxStreams, whenFull, maxDurationMs, stallTimeoutMs, cleanupWarnMs.',
      );
    },
  );

  it('refuses an own __proto__, as JSON.parse makes it', () => {
    expect(() => checked(JSON.parse('{ "__proto__": { "end": "reconnect" } }'), CHECKS)).toThrow(
      "Unknown option '__proto__'.",
    );
  });
});

describe('delay()', () => {
  it.each([
    [delay(1, 'optional'), 1],
    [delay(1, 'optional'), MAX_DELAY_MS],
    [delay(1, 'optional'), false],
    [delay(0, 'required'), 0],
  ])('accepts a valid value: %#', (check, value) => {
    expect(() => check('waitMs', value)).not.toThrow();
  });

  it.each([
    [delay(1, 'required'), false, 'TypeError', 'a positive integer, got false (boolean).'],
    [delay(1, 'required'), 0, 'RangeError', 'a positive integer, got 0 (number).'],
    [delay(0, 'required'), -1, 'RangeError', 'a non-negative integer, got -1 (number).'],
    [
      delay(0, 'optional'),
      1.5,
      'RangeError',
      'a non-negative integer or false, got 1.5 (number). Use false to turn it off.',
    ],
    [
      delay(1, 'required'),
      MAX_DELAY_MS + 1,
      'RangeError',
      'a positive integer, got 2147483648 (number). A timer holds at most 2147483647 ms.',
    ],
  ] as const)('refuses an invalid value: %#', (check, value, name, message) => {
    expect(() => check('waitMs', value)).toThrow(invalidOption(name, `Expected waitMs to be ${message}`));
  });
});

describe('limit()', () => {
  it.each([1, Number.POSITIVE_INFINITY])('accepts %p', (value) => {
    expect(() => limit('max', value)).not.toThrow();
  });

  it.each([
    [0, 'RangeError', '0 (number)'],
    [1.5, 'RangeError', '1.5 (number)'],
    [false, 'TypeError', 'false (boolean)'],
  ] as const)('refuses %p', (value, name, shown) => {
    const message = `Expected max to be a positive integer or Infinity, got ${shown}. Use Infinity to turn it off.`;

    expect(() => limit('max', value)).toThrow(invalidOption(name, message));
  });
});

describe('count()', () => {
  it.each([1, Number.MAX_SAFE_INTEGER])('accepts %p', (value) => {
    expect(() => count('take', value)).not.toThrow();
  });

  it.each([
    [0, 'RangeError', '0 (number)'],
    [1.5, 'RangeError', '1.5 (number)'],
    [Number.POSITIVE_INFINITY, 'RangeError', 'Infinity (number)'],
    ['1', 'TypeError', "'1' (string)"],
  ] as const)('refuses %p', (value, name, shown) => {
    const message = `Expected take to be a positive integer, got ${shown}.`;

    expect(() => count('take', value)).toThrow(invalidOption(name, message));
  });
});

describe('oneOf()', () => {
  it('accepts only the given strings', () => {
    const check = oneOf('stop', 'reconnect');

    expect(() => check('end', 'stop')).not.toThrow();
    expect(() => check('end', 'never')).toThrow(
      invalidOption('TypeError', "Expected end to be 'stop' or 'reconnect', got 'never' (string)."),
    );
  });
});

describe('ofType()', () => {
  it('accepts only values of the type, and not null', () => {
    const check = ofType('object', 'an object');

    expect(() => check('tls', {})).not.toThrow();
    for (const [value, shown] of [
      [null, 'null'],
      ['a', "'a' (string)"],
    ]) {
      expect(() => check('tls', value)).toThrow(
        invalidOption('TypeError', `Expected tls to be an object, got ${shown}.`),
      );
    }
  });
});

describe('headerObject()', () => {
  it('accepts a plain object', () => {
    expect(() => headerObject('headers', { 'X-A': '1' })).not.toThrow();
  });

  it.each([
    ['null', null],
    ['a string', 'X-A: 1'],
    ['an array', ['X-A']],
    ['a Map', new Map([['X-A', 'a']])],
    ['Headers', new Headers({ 'X-A': 'a' })],
  ])('refuses %s', (_name, value) => {
    const message = /^Expected headers to be a plain object of header names and values, got /;

    expect(() => headerObject('headers', value)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: CODE, message: expect.stringMatching(message) }),
    );
  });
});
