import type { HttpRequest } from '../../lib/connection/http';
import { resolveCloseOptions, resolveSseOptions, type SseOptions } from '../../lib/stream/options';
import { errorWith } from '../support/error-with';

const MAX_DELAY_MS = 2_147_483_647;

/** Options as plain JavaScript would pass them. */
function untyped(options: unknown): SseOptions {
  return options as SseOptions;
}

describe('resolveSseOptions()', () => {
  it('has a default for every option', () => {
    expect(resolveSseOptions()).toEqual({
      client: 'auto',
      keepAliveMs: 15_000,
      retryMs: false,
      commitAfterMs: 50,
      end: 'stop',
      headers: [],
      serialize: JSON.stringify,
      compress: false,
      onError: undefined,
      maxStreams: Number.POSITIVE_INFINITY,
      maxStreamsPerKey: Number.POSITIVE_INFINITY,
      keyOf: expect.any(Function),
      whenFull: 'retry',
      maxDurationMs: false,
      stallTimeoutMs: 60_000,
      cleanupWarnMs: 30_000,
      fetch: { commitAfterMs: 15_000, whenFull: 'refuse' },
    });
  });

  it.each([
    [
      'the keepAliveMs and a refusal by default',
      { keepAliveMs: 7 },
      { commitAfterMs: 7, whenFull: 'refuse' },
    ],
    ['no limit without keep-alives', { keepAliveMs: false }, { commitAfterMs: false, whenFull: 'refuse' }],
    ['given options', { commitAfterMs: 5, whenFull: 'retry' }, { commitAfterMs: 5, whenFull: 'retry' }],
  ] as const)('has for fetch clients: %s', (_name, options, fetch) => {
    expect(resolveSseOptions(options).fetch).toEqual(fetch);
  });

  it.each([
    ['the address of the socket', { socket: { remoteAddress: '10.0.0.1' } }, '10.0.0.1'],
    ["Express's req.ip", { ip: '10.0.0.2', socket: { remoteAddress: '10.0.0.1' } }, '10.0.0.2'],
  ])('has the default key: %s', (_name, req, key) => {
    expect(resolveSseOptions().keyOf(req as HttpRequest)).toBe(key);
  });

  it.each([
    ['3 seconds with a maxStreams', { maxStreams: 5 }, 3_000],
    ['none with an infinite maxStreams', { maxStreams: Number.POSITIVE_INFINITY }, false],
    ['the given one with a maxStreams', { maxStreams: 5, retryMs: 100 }, 100],
    ['none with a maxStreams if it is turned off', { maxStreams: 5, retryMs: false }, false],
  ] as const)('has the reconnection time: %s', (_name, options, retryMs) => {
    expect(resolveSseOptions(options).retryMs).toBe(retryMs);
  });

  const serialize = () => 'x';
  const onError = () => undefined;
  const keyOf = () => 'x';

  it.each([
    ['client', 'auto'],
    ['client', 'eventsource'],
    ['client', 'fetch'],
    ['keepAliveMs', 1],
    ['keepAliveMs', MAX_DELAY_MS],
    ['keepAliveMs', false],
    ['retryMs', 0],
    ['retryMs', false],
    ['commitAfterMs', 0],
    ['commitAfterMs', false],
    ['end', 'reconnect'],
    ['serialize', serialize],
    ['compress', true],
    ['onError', onError],
    ['maxStreams', 1],
    ['maxStreams', Number.POSITIVE_INFINITY],
    ['maxStreamsPerKey', 1],
    ['maxStreamsPerKey', Number.POSITIVE_INFINITY],
    ['keyOf', keyOf],
    ['whenFull', 'refuse'],
    ['maxDurationMs', 1],
    ['maxDurationMs', false],
    ['stallTimeoutMs', 1],
    ['stallTimeoutMs', false],
    ['cleanupWarnMs', 1],
    ['cleanupWarnMs', false],
  ])('accepts %s: %p', (name, value) => {
    expect(resolveSseOptions(untyped({ [name]: value }))).toHaveProperty(name, value);
  });

  const { fetch: _, ...defaults } = resolveSseOptions();

  it.each(Object.keys(defaults))('treats %s: undefined as omitted', (name) => {
    expect(resolveSseOptions(untyped({ [name]: undefined }))).toEqual(resolveSseOptions());
  });
});

describe('layers of options', () => {
  it('are merged, and a later one overrides each of its options', () => {
    const resolved = resolveSseOptions({ keepAliveMs: 1, end: 'reconnect' }, { keepAliveMs: 2 });

    expect(resolved).toMatchObject({ keepAliveMs: 2, end: 'reconnect' });
  });

  it('keep an option that is undefined in a later one', () => {
    expect(resolveSseOptions({ keepAliveMs: 1 }, { keepAliveMs: undefined }).keepAliveMs).toBe(1);
  });

  it('turn an option off that an earlier one has set', () => {
    expect(resolveSseOptions({ keepAliveMs: 1 }, { keepAliveMs: false }).keepAliveMs).toBe(false);
  });

  it('may be undefined', () => {
    expect(resolveSseOptions(undefined, { retryMs: 5 }, undefined).retryMs).toBe(5);
  });

  it('are all checked, also the overridden ones', () => {
    expect(() => resolveSseOptions(untyped({ keepAliveMs: 0 }), { keepAliveMs: 1 })).toThrow(RangeError);
  });

  it('are not changed', () => {
    const layer = Object.freeze({ keepAliveMs: 1 });

    expect(() => resolveSseOptions(layer, { keepAliveMs: 2 })).not.toThrow();
  });
});

describe('an invalid value', () => {
  const OFF = 'Use false to turn it off.';
  const TOO_LONG = `${OFF} A timer holds at most ${MAX_DELAY_MS} ms.`;

  const positive = ['keepAliveMs', 'maxDurationMs', 'stallTimeoutMs', 'cleanupWarnMs'].flatMap(
    (name): [string, unknown, typeof TypeError | typeof RangeError, string][] => [
      [name, 0, RangeError, `Expected ${name} to be a positive integer or false, got 0 (number). ${OFF}`],
      [name, -1, RangeError, `Expected ${name} to be a positive integer or false, got -1 (number). ${OFF}`],
      [name, '5', TypeError, `Expected ${name} to be a positive integer or false, got '5' (string). ${OFF}`],
      [
        name,
        true,
        TypeError,
        `Expected ${name} to be a positive integer or false, got true (boolean). ${OFF}`,
      ],
      [name, null, TypeError, `Expected ${name} to be a positive integer or false, got null. ${OFF}`],
    ],
  );
  const nonNegative = ['retryMs', 'commitAfterMs'].flatMap(
    (name): [string, unknown, typeof TypeError | typeof RangeError, string][] => [
      [
        name,
        -1,
        RangeError,
        `Expected ${name} to be a non-negative integer or false, got -1 (number). ${OFF}`,
      ],
      [
        name,
        1n,
        TypeError,
        `Expected ${name} to be a non-negative integer or false, got 1n (bigint). ${OFF}`,
      ],
    ],
  );

  it.each<[string, unknown, typeof TypeError | typeof RangeError, string]>([
    ...positive,
    ...nonNegative,
    [
      'keepAliveMs',
      1.5,
      RangeError,
      `Expected keepAliveMs to be a positive integer or false, got 1.5 (number). ${OFF}`,
    ],
    [
      'keepAliveMs',
      Number.NaN,
      RangeError,
      `Expected keepAliveMs to be a positive integer or false, got NaN (number). ${OFF}`,
    ],
    [
      'keepAliveMs',
      MAX_DELAY_MS + 1,
      RangeError,
      `Expected keepAliveMs to be a positive integer or false, got 2147483648 (number). ${TOO_LONG}`,
    ],
    [
      'maxDurationMs',
      Number.POSITIVE_INFINITY,
      RangeError,
      `Expected maxDurationMs to be a positive integer or false, got Infinity (number). ${TOO_LONG}`,
    ],
    ['end', 'never', TypeError, "Expected end to be 'stop' or 'reconnect', got 'never' (string)."],
    ['end', false, TypeError, "Expected end to be 'stop' or 'reconnect', got false (boolean)."],
    ['whenFull', 'wait', TypeError, "Expected whenFull to be 'retry' or 'refuse', got 'wait' (string)."],
    [
      'client',
      'sse',
      TypeError,
      "Expected client to be 'auto' or 'eventsource' or 'fetch', got 'sse' (string).",
    ],
    ['keyOf', 'ip', TypeError, "Expected keyOf to be a function (req) => string, got 'ip' (string)."],
    [
      'maxStreamsPerKey',
      0,
      RangeError,
      'Expected maxStreamsPerKey to be a positive integer or Infinity, got 0 (number). Use Infinity to turn it off.',
    ],
    [
      'serialize',
      'json',
      TypeError,
      "Expected serialize to be a function like JSON.stringify, got 'json' (string).",
    ],
    ['compress', 1, TypeError, 'Expected compress to be true or false, got 1 (number).'],
    ['onError', null, TypeError, 'Expected onError to be a function (err, req) => value, got null.'],
    [
      'maxStreams',
      0,
      RangeError,
      'Expected maxStreams to be a positive integer or Infinity, got 0 (number). Use Infinity to turn it off.',
    ],
    [
      'maxStreams',
      1.5,
      RangeError,
      'Expected maxStreams to be a positive integer or Infinity, got 1.5 (number). Use Infinity to turn it off.',
    ],
    [
      'maxStreams',
      false,
      TypeError,
      'Expected maxStreams to be a positive integer or Infinity, got false (boolean). Use Infinity to turn it off.',
    ],
    [
      'headers',
      'X-A: 1',
      TypeError,
      "Expected headers to be a plain object of header names and values, got 'X-A: 1' (string).",
    ],
    [
      'headers',
      null,
      TypeError,
      'Expected headers to be a plain object of header names and values, got null.',
    ],
    [
      'headers',
      ['X-A'],
      TypeError,
      "Expected headers to be a plain object of header names and values, got [ 'X-A' ] (object).",
    ],
  ])('of %s, %p, is refused with the name, the value and the remedy', (name, value, kind, message) => {
    expect(() => resolveSseOptions(untyped({ [name]: value }))).toThrow(
      errorWith({ name: kind.name, code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });
});

describe('invalid options', () => {
  it.each([null, [], 'off', 5, true])('include %p in place of an object', (options) => {
    expect(() => resolveSseOptions(untyped(options))).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_OPTION',
        message: expect.stringContaining('Expected options to be an object, got '),
      }),
    );
  });

  it('include an unknown name, for which the error lists all options', () => {
    expect(() => resolveSseOptions(untyped({ heartbeat: 5 }))).toThrow(
      "Unknown option 'heartbeat'. Known options: client, keepAliveMs, retryMs, commitAfterMs, end, headers, formats, " +
        'serialize, compress, onError, maxStreams, maxStreamsPerKey, keyOf, whenFull, maxDurationMs, ' +
        'stallTimeoutMs, cleanupWarnMs.',
    );
  });
});

describe('headers', () => {
  it('are resolved to a list of names and values', () => {
    const { headers } = resolveSseOptions({
      headers: { 'X-A': 'a', 'X-N': 5, 'Set-Cookie': ['b=1', 'c=2'] },
    });

    expect(headers).toEqual([
      ['X-A', 'a'],
      ['X-N', 5],
      ['Set-Cookie', ['b=1', 'c=2']],
    ]);
  });

  it('may override the headers of the package', () => {
    expect(() => resolveSseOptions({ headers: { 'Cache-Control': 'no-store' } })).not.toThrow();
  });

  it.each(['content-length', 'Transfer-Encoding', 'CONNECTION', 'Keep-Alive'])(
    'cannot set %s, which belongs to the stream',
    (name) => {
      expect(() => resolveSseOptions({ headers: { [name]: 'x' } })).toThrow(
        errorWith({
          name: 'TypeError',
          code: 'ERR_SSE_INVALID_OPTION',
          message: `Expected headers not to set '${name}', which belongs to the stream itself. Leave it out.`,
        }),
      );
    },
  );

  it.each(['text/event-stream', 'text/event-stream; charset=utf-8', 'Text/Event-Stream;charset=UTF-8'])(
    'may set the Content-Type of an event stream: %s',
    (type) => {
      expect(resolveSseOptions({ headers: { 'Content-Type': type } }).headers).toEqual([
        ['Content-Type', type],
      ]);
    },
  );

  it.each([
    ['Content-Type', 'x', "'x' (string)"],
    ['content-type', 'text/event-streams', "'text/event-streams' (string)"],
    ['CONTENT-TYPE', ['text/event-stream'], "[ 'text/event-stream' ] (object)"],
  ])('cannot set %s to another type: %p', (name, type, shown) => {
    expect(() => resolveSseOptions({ headers: { [name]: type } })).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_OPTION',
        message: `Expected the Content-Type in headers to be text/event-stream, got ${shown}. An EventSource fails on any other.`,
      }),
    );
  });

  it.each([
    ['a name with a space', 'X A', 'x', "'X A': 'x' (string)"],
    ['an empty name', '', 'x', "'': 'x' (string)"],
    ['a value with a line end', 'X-A', 'a\r\nX-B: b', "'X-A': 'a\\r\\nX-B: b' (string)"],
    ['a value beyond latin1', 'X-A', '✓', "'X-A': '✓' (string)"],
    ['a bad value in a list', 'X-A', ['a', 'b\n'], "'X-A': [ 'a', 'b\\n' ] (object)"],
    ['undefined', 'X-A', undefined, "'X-A': undefined"],
  ])('refuse %s', (_name, name, value, shown) => {
    expect(() => resolveSseOptions(untyped({ headers: { [name]: value } }))).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_OPTION',
        message: `Expected headers to be valid in HTTP, got ${shown}.`,
      }),
    );
  });

  it.each([[null], [true], [{}], [Number.NaN], [['a', null]]])(
    'refuse the value %p, which is neither a string nor a number',
    (value) => {
      expect(() => resolveSseOptions(untyped({ headers: { 'X-A': value } }))).toThrow(TypeError);
    },
  );

  it.each([
    ['Headers', new Headers({ 'X-A': 'a' })],
    ['a Map', new Map([['X-A', 'a']])],
  ])('refuse %s', (_kind, headers) => {
    expect(() => resolveSseOptions(untyped({ headers }))).toThrow(TypeError);
  });
});

describe('resolveCloseOptions()', () => {
  it.each([
    ['no options', undefined, { spreadMs: 1_000, graceMs: 5_000, drainMs: 10_000 }],
    ['an undefined option', { spreadMs: undefined }, { spreadMs: 1_000, graceMs: 5_000, drainMs: 10_000 }],
    ['zeros', { spreadMs: 0, graceMs: 0, drainMs: 0 }, { spreadMs: 0, graceMs: 0, drainMs: 0 }],
    ['only one option', { graceMs: 7 }, { spreadMs: 1_000, graceMs: 7, drainMs: 10_000 }],
  ])('resolves %s', (_name, options, resolved) => {
    expect(resolveCloseOptions(options)).toEqual(resolved);
  });

  it.each([
    [{ spreadMs: false }, TypeError, 'Expected spreadMs to be a non-negative integer, got false (boolean).'],
    [{ graceMs: -1 }, RangeError, 'Expected graceMs to be a non-negative integer, got -1 (number).'],
    [{ drainMs: false }, TypeError, 'Expected drainMs to be a non-negative integer, got false (boolean).'],
    [{ spread: 5 }, TypeError, "Unknown option 'spread'. Did you mean 'spreadMs'?"],
    [
      { keepAliveMs: 5 },
      TypeError,
      "Unknown option 'keepAliveMs'. Known options: spreadMs, graceMs, drainMs.",
    ],
  ])('refuses %p', (options, kind, message) => {
    expect(() => resolveCloseOptions(untyped(options) as object)).toThrow(
      errorWith({ name: kind.name, code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });
});
