import { resolveMemoryLogOptions } from '../../lib/log/options';
import { errorWith } from '../support/error-with';

const MAX_DELAY_MS = 2_147_483_647;

/** Options as plain JavaScript would pass them. */
function untyped(options: unknown): object {
  return options as object;
}

describe('resolveMemoryLogOptions()', () => {
  it.each([
    ['no options', undefined],
    ['an empty object', {}],
    ['undefined options', { maxEvents: undefined, maxBytes: undefined, maxAgeMs: undefined }],
  ])('has a default for every option, with %s', (_name, options) => {
    expect(resolveMemoryLogOptions(options)).toMatchObject({
      maxEvents: 1_000,
      maxBytes: 16_777_216,
      maxAgeMs: false,
    });
  });

  it.each([
    ['the smallest values', { maxEvents: 1, maxBytes: 1, maxAgeMs: 1 }],
    ['the longest maxAgeMs', { maxAgeMs: MAX_DELAY_MS }],
  ])('keeps %s', (_name, options) => {
    expect(resolveMemoryLogOptions(options)).toMatchObject(options);
  });

  it.each([
    [{ maxEvents: 0 }, 'Expected maxEvents to be a positive integer, got 0 (number).'],
    [{ maxBytes: '1' }, "Expected maxBytes to be a positive integer, got '1' (string)."],
    [{ maxevents: 5 }, "Unknown option 'maxevents'. Did you mean 'maxEvents'?"],
  ])('refuses %p with the remedy', (options, message) => {
    expect(() => resolveMemoryLogOptions(untyped(options))).toThrow(
      errorWith({ code: 'ERR_SSE_INVALID_OPTION', message }),
    );
  });
});
