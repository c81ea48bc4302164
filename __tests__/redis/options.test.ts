import { resolveRedisLogOptions, resolveRedisLogsOptions } from '../../lib/redis/options';
import { errorWith } from '../support/error-with';

/** Options as plain JavaScript would pass them. */
function untyped(options: unknown): object {
  return options as object;
}

describe('resolveRedisLogsOptions()', () => {
  it.each([
    ['no options', undefined],
    ['an empty object', {}],
    ['an undefined option', { prefix: undefined }],
  ])('has a default for every option, with %s', (_name, options) => {
    expect(resolveRedisLogsOptions(options)).toMatchObject({ prefix: 'sse:' });
  });

  it('keeps an empty prefix', () => {
    expect(resolveRedisLogsOptions({ prefix: '' })).toMatchObject({ prefix: '' });
  });

  it('refuses a prefix that is not a string', () => {
    expect(() => resolveRedisLogsOptions(untyped({ prefix: 5 }))).toThrow(
      errorWith({
        code: 'ERR_SSE_INVALID_OPTION',
        message: 'Expected prefix to be a string, got 5 (number).',
      }),
    );
  });
});

describe('resolveRedisLogOptions()', () => {
  it.each([
    ['no options', undefined],
    ['an empty object', {}],
    ['undefined options', { maxEvents: undefined, maxAgeMs: undefined, cacheSize: undefined }],
  ])('has a default for every option, with %s', (_name, options) => {
    expect(resolveRedisLogOptions(options)).toMatchObject({
      maxEvents: 1_000,
      maxAgeMs: false,
      cacheSize: 1_000,
    });
  });

  it('keeps valid options', () => {
    const options = { maxEvents: 1, maxAgeMs: 1, cacheSize: 1 };

    expect(resolveRedisLogOptions(options)).toMatchObject(options);
  });

  it.each([
    [{ cacheSize: 1.5 }, 'Expected cacheSize to be a positive integer, got 1.5 (number).'],
    [[], 'Expected options to be an object, got [] (object).'],
  ])('refuses %p', (options, message) => {
    expect(() => resolveRedisLogOptions(untyped(options))).toThrow(
      errorWith({ code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });
});
