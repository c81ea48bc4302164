import { memoryLog } from '../../lib';
import { resolveChannelOptions, resolveRunOptions } from '../../lib/channel/options';
import { errorWith } from '../support/error-with';

/** Options as plain JavaScript would pass them. */
function untyped(options: unknown): object {
  return options as object;
}

const CHANNEL_DEFAULTS = {
  overflow: 'disconnect',
  replay: false,
  serialize: JSON.stringify,
  parse: JSON.parse,
};
const RUN_DEFAULTS = { ...CHANNEL_DEFAULTS, replay: true, ttlMs: 60_000 };

describe.each([
  ['resolveChannelOptions()', resolveChannelOptions, CHANNEL_DEFAULTS],
  ['resolveRunOptions()', resolveRunOptions, RUN_DEFAULTS],
] as const)('%s', (_name, resolve, defaults) => {
  it('has a default for every option, also if it is undefined', () => {
    const allUndefined = Object.fromEntries(Object.keys(defaults).map((name) => [name, undefined]));

    expect(resolve(undefined)).toMatchObject(defaults);
    expect(resolve({})).toMatchObject(defaults);
    expect(resolve(allUndefined)).toMatchObject(defaults);
  });
});

describe('resolveChannelOptions()', () => {
  it('keeps valid options', () => {
    const options = { overflow: 'skip', replay: true, serialize: String } as const;

    const { parse, ...resolved } = resolveChannelOptions({ ...options, parse: (text) => `parsed ${text}` });

    expect(resolved).toMatchObject(options);
    expect(parse('7')).toBe('parsed 7');
  });

  it.each([
    [{ overflow: 'drop' }, "Expected overflow to be 'disconnect' or 'skip', got 'drop' (string)."],
    [{ replay: 1 }, 'Expected replay to be true or false, got 1 (number).'],
    [{ parse: 'json' }, "Expected parse to be a function like JSON.parse, got 'json' (string)."],
    [{ log: null }, 'Expected log to be an event log, got null. Use memoryLog(), or redisLogs(client)(key).'],
    [
      { ttlMs: 5 },
      "Unknown option 'ttlMs'. Known options: log, overflow, replay, maxReplayEvents, serialize, parse.",
    ],
  ])('refuses %p with the remedy', (options, message) => {
    expect(() => resolveChannelOptions(untyped(options))).toThrow(
      errorWith({ code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });
});

describe('resolveRunOptions()', () => {
  it.each([
    ['a ttlMs, a replay and a log', { ttlMs: 1, replay: false, log: memoryLog() }],
    ['ttlMs: false', { ttlMs: false }],
  ] as const)('keeps %s', (_name, options) => {
    expect(resolveRunOptions(options)).toMatchObject(options);
  });

  it('refuses a ttlMs of 0 with the remedy', () => {
    expect(() => resolveRunOptions({ ttlMs: 0 })).toThrow(
      errorWith({
        code: 'ERR_SSE_INVALID_OPTION',
        message:
          'Expected ttlMs to be a positive integer or false, got 0 (number). Use false to turn it off.',
      }),
    );
  });
});
