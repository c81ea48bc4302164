import { memoryLog } from '../lib';
import { resolveChannelOptions, resolveRunOptions } from '../lib/channel/options';
import { resolveMemoryLogOptions } from '../lib/log/options';
import { resolveRedisLogOptions, resolveRedisLogsOptions } from '../lib/redis/options';
import { resolveCloseOptions, resolveSseOptions, type SseOptions } from '../lib/stream/options';

const MAX_DELAY_MS = 2_147_483_647;

/** Options as plain JavaScript would pass them. */
function untyped(options: unknown): SseOptions {
  return options as SseOptions;
}

describe('resolveSseOptions()', () => {
  it('has a default for every option', () => {
    expect(resolveSseOptions()).toEqual({
      keepAliveMs: 15_000,
      retryMs: false,
      commitAfterMs: 50,
      end: 'stop',
      headers: [],
      serialize: JSON.stringify,
      compress: false,
      onError: undefined,
      maxStreams: Number.POSITIVE_INFINITY,
      whenFull: 'retry',
      maxDurationMs: false,
      stallTimeoutMs: 60_000,
      cleanupWarnMs: 30_000,
    });
  });

  it.each([
    ['3 seconds with maxStreams', { maxStreams: 5 }, 3_000],
    ['nothing with an infinite maxStreams', { maxStreams: Number.POSITIVE_INFINITY }, false],
    ['what is given with maxStreams', { maxStreams: 5, retryMs: 100 }, 100],
    ['nothing with maxStreams when off', { maxStreams: 5, retryMs: false }, false],
  ] as const)('sends as reconnection time %s', (_name, options, retryMs) => {
    expect(resolveSseOptions(options).retryMs).toBe(retryMs);
  });

  const serialize = () => 'x';
  const onError = () => undefined;

  it.each([
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
    ['whenFull', 'refuse'],
    ['maxDurationMs', 1],
    ['maxDurationMs', false],
    ['stallTimeoutMs', 1],
    ['stallTimeoutMs', false],
    ['cleanupWarnMs', 1],
    ['cleanupWarnMs', false],
  ])('takes %s: %p', (name, value) => {
    expect(resolveSseOptions(untyped({ [name]: value }))).toHaveProperty(name, value);
  });

  it.each(Object.keys(resolveSseOptions()))('reads %s: undefined as not given', (name) => {
    expect(resolveSseOptions(untyped({ [name]: undefined }))).toEqual(resolveSseOptions());
  });
});

describe('layers of options', () => {
  it('lets the later layer win, option by option', () => {
    const settings = resolveSseOptions({ keepAliveMs: 1, end: 'reconnect' }, { keepAliveMs: 2 });

    expect(settings).toMatchObject({ keepAliveMs: 2, end: 'reconnect' });
  });

  it('does not let an undefined of a later layer win', () => {
    expect(resolveSseOptions({ keepAliveMs: 1 }, { keepAliveMs: undefined }).keepAliveMs).toBe(1);
  });

  it('lets a later layer turn an option off', () => {
    expect(resolveSseOptions({ keepAliveMs: 1 }, { keepAliveMs: false }).keepAliveMs).toBe(false);
  });

  it('leaves out a layer that is not given', () => {
    expect(resolveSseOptions(undefined, { retryMs: 5 }, undefined).retryMs).toBe(5);
  });

  it('checks the earlier layers, too', () => {
    expect(() => resolveSseOptions(untyped({ keepAliveMs: 0 }), { keepAliveMs: 1 })).toThrow(RangeError);
  });

  it('does not change what it was given', () => {
    const layer = Object.freeze({ keepAliveMs: 1 });

    expect(() => resolveSseOptions(layer, { keepAliveMs: 2 })).not.toThrow();
  });
});

describe('a value that an option does not take', () => {
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
  ])('%s: %p is told with the name, the value and the remedy', (name, value, kind, message) => {
    expect(() => resolveSseOptions(untyped({ [name]: value }))).toThrow(
      expect.objectContaining({ name: kind.name, code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });

  it.each([null, [], 'off', 5, true])('refuses %p in the place of the options', (options) => {
    expect(() => resolveSseOptions(untyped(options))).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_OPTION',
        message: expect.stringContaining('Expected options to be an object, got '),
      }),
    );
  });
});

describe('an option that does not exist', () => {
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
  ])('%s is told the near one, %s', (name, near) => {
    expect(() => resolveSseOptions(untyped({ [name]: 5 }))).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_OPTION',
        message: `Unknown option '${name}'. Did you mean '${near}'?`,
      }),
    );
  });

  it.each(['heartbeat', 'x', 'toString', 'constructor', 'hasOwnProperty'])('%s is told them all', (name) => {
    expect(() => resolveSseOptions(untyped({ [name]: 5 }))).toThrow(
      `Unknown option '${name}'. Known options: keepAliveMs, retryMs, commitAfterMs, end, headers, serialize, ` +
        'compress, onError, maxStreams, whenFull, maxDurationMs, stallTimeoutMs, cleanupWarnMs.',
    );
  });

  it('refuses an own __proto__, as JSON.parse makes it', () => {
    expect(() => resolveSseOptions(JSON.parse('{ "__proto__": { "end": "reconnect" } }'))).toThrow(
      "Unknown option '__proto__'.",
    );
  });
});

describe('headers', () => {
  it('become a list of names and values', () => {
    const { headers } = resolveSseOptions({
      headers: { 'X-A': 'a', 'X-N': 5, 'Set-Cookie': ['b=1', 'c=2'] },
    });

    expect(headers).toEqual([
      ['X-A', 'a'],
      ['X-N', 5],
      ['Set-Cookie', ['b=1', 'c=2']],
    ]);
  });

  it('may take the place of those the package would send', () => {
    expect(() => resolveSseOptions({ headers: { 'Cache-Control': 'no-store' } })).not.toThrow();
  });

  it.each(['Content-Type', 'content-length', 'Transfer-Encoding', 'CONNECTION', 'Keep-Alive'])(
    'leave %s to the stream',
    (name) => {
      expect(() => resolveSseOptions({ headers: { [name]: 'x' } })).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          code: 'ERR_SSE_INVALID_OPTION',
          message: `Expected headers not to set '${name}', which belongs to the stream itself. Leave it out.`,
        }),
      );
    },
  );

  it.each([
    ['a name with a space', 'X A', 'x', "'X A': 'x' (string)"],
    ['an empty name', '', 'x', "'': 'x' (string)"],
    ['a value with a line end', 'X-A', 'a\r\nX-B: b', "'X-A': 'a\\r\\nX-B: b' (string)"],
    ['a value beyond latin1', 'X-A', '✓', "'X-A': '✓' (string)"],
    ['a bad value in a list', 'X-A', ['a', 'b\n'], "'X-A': [ 'a', 'b\\n' ] (object)"],
    ['undefined', 'X-A', undefined, "'X-A': undefined"],
  ])('refuse %s', (_name, name, value, shown) => {
    expect(() => resolveSseOptions(untyped({ headers: { [name]: value } }))).toThrow(
      expect.objectContaining({
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
    ['nothing', undefined, { spreadMs: 1_000, graceMs: 5_000 }],
    ['an undefined', { spreadMs: undefined }, { spreadMs: 1_000, graceMs: 5_000 }],
    ['zero', { spreadMs: 0, graceMs: 0 }, { spreadMs: 0, graceMs: 0 }],
    ['one of them', { graceMs: 7 }, { spreadMs: 1_000, graceMs: 7 }],
  ])('takes %s', (_name, options, resolved) => {
    expect(resolveCloseOptions(options)).toEqual(resolved);
  });

  it.each([
    [{ spreadMs: false }, TypeError, 'Expected spreadMs to be a non-negative integer, got false (boolean).'],
    [{ graceMs: -1 }, RangeError, 'Expected graceMs to be a non-negative integer, got -1 (number).'],
    [{ spread: 5 }, TypeError, "Unknown option 'spread'. Did you mean 'spreadMs'?"],
    [{ keepAliveMs: 5 }, TypeError, "Unknown option 'keepAliveMs'. Known options: spreadMs, graceMs."],
  ])('refuses %p', (options, kind, message) => {
    expect(() => resolveCloseOptions(untyped(options) as object)).toThrow(
      expect.objectContaining({ name: kind.name, code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });
});

describe('the options of channels and logs', () => {
  const channel = { overflow: 'disconnect', replay: false, serialize: JSON.stringify, parse: JSON.parse };
  const log = memoryLog();

  it.each([
    ['a channel', resolveChannelOptions, channel],
    ['a run', resolveRunOptions, { ...channel, replay: true, ttlMs: 60_000 }],
    ['memoryLog()', resolveMemoryLogOptions, { maxEvents: 1_000, maxBytes: 16_777_216, maxAgeMs: false }],
    ['redisLogs()', resolveRedisLogsOptions, { prefix: 'sse:' }],
    ['a log on Redis', resolveRedisLogOptions, { maxEvents: 1_000, maxAgeMs: false, cacheSize: 1_000 }],
  ] as const)('of %s have a default each, also for undefined', (_name, resolve, defaults) => {
    const resolved = resolve as (options: object | undefined) => unknown;
    const undefinedOnes = Object.fromEntries(Object.keys(defaults).map((name) => [name, undefined]));

    expect(resolved(undefined)).toMatchObject(defaults);
    expect(resolved({})).toMatchObject(defaults);
    expect(resolved(undefinedOnes)).toMatchObject(defaults);
  });

  it.each([
    [resolveChannelOptions, { overflow: 'skip', replay: true, serialize: String, parse: String }],
    [resolveRunOptions, { ttlMs: 1, replay: false, log }],
    [resolveRunOptions, { ttlMs: false }],
    [resolveMemoryLogOptions, { maxEvents: 1, maxBytes: 1, maxAgeMs: 1 }],
    [resolveMemoryLogOptions, { maxAgeMs: MAX_DELAY_MS }],
    [resolveRedisLogsOptions, { prefix: '' }],
    [resolveRedisLogOptions, { maxEvents: 1, maxAgeMs: 1, cacheSize: 1 }],
  ] as const)('are taken as they are given: %#', (resolve, options) => {
    expect((resolve as (given: object) => unknown)(options)).toMatchObject(options);
  });

  it.each([
    [
      resolveChannelOptions,
      { overflow: 'drop' },
      "Expected overflow to be 'disconnect' or 'skip', got 'drop' (string).",
    ],
    [resolveChannelOptions, { replay: 1 }, 'Expected replay to be true or false, got 1 (number).'],
    [
      resolveChannelOptions,
      { parse: 'json' },
      "Expected parse to be a function like JSON.parse, got 'json' (string).",
    ],
    [
      resolveChannelOptions,
      { log: null },
      'Expected log to be an event log, got null. Use memoryLog(), or redisLogs(client)(key).',
    ],
    [
      resolveChannelOptions,
      { ttlMs: 5 },
      "Unknown option 'ttlMs'. Known options: log, overflow, replay, serialize, parse.",
    ],
    [
      resolveRunOptions,
      { ttlMs: 0 },
      'Expected ttlMs to be a positive integer or false, got 0 (number). Use false to turn it off.',
    ],
    [
      resolveMemoryLogOptions,
      { maxEvents: 0 },
      'Expected maxEvents to be a positive integer, got 0 (number).',
    ],
    [
      resolveMemoryLogOptions,
      { maxBytes: '1' },
      "Expected maxBytes to be a positive integer, got '1' (string).",
    ],
    [resolveMemoryLogOptions, { maxevents: 5 }, "Unknown option 'maxevents'. Did you mean 'maxEvents'?"],
    [resolveRedisLogsOptions, { prefix: 5 }, 'Expected prefix to be a string, got 5 (number).'],
    [
      resolveRedisLogOptions,
      { cacheSize: 1.5 },
      'Expected cacheSize to be a positive integer, got 1.5 (number).',
    ],
    [resolveRedisLogOptions, [], 'Expected options to be an object, got [] (object).'],
  ] as const)('are refused with a remedy: %#', (resolve, options, message) => {
    expect(() => (resolve as (given: unknown) => unknown)(options)).toThrow(
      expect.objectContaining({ code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });
});
