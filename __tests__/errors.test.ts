import { describe as describeValue, outOfRange, SseError, wrongType } from '../lib/errors';

describe('SseError', () => {
  const full = new SseError('ERR_SSE_FULL', 'Cannot open a stream.', {
    status: 503,
    headers: { 'Retry-After': '7' },
  });

  it('is an Error with its own name', () => {
    expect(full).toBeInstanceOf(Error);
    expect(String(full)).toBe('SseError: Cannot open a stream.');
  });

  it('has its code', () => {
    expect(full.code).toBe('ERR_SSE_FULL');
  });

  it('has the status and headers that Express and connect send', () => {
    const { status, statusCode, headers } = full;

    expect({ status, statusCode, headers }).toEqual({
      status: 503,
      statusCode: 503,
      headers: { 'Retry-After': '7' },
    });
  });

  it('has no status if none is given', () => {
    const { status, statusCode, headers } = new SseError('ERR_SSE_EXPRESS_VERSION', 'Too old.');

    expect([status, statusCode, headers]).toEqual([undefined, undefined, undefined]);
  });
});

describe('errors for mistakes in a call', () => {
  it.each([
    ['wrongType', wrongType, TypeError],
    ['outOfRange', outOfRange, RangeError],
  ])('%s() makes an error of its class with the code', (_name, make, expected) => {
    const error = make('ERR_SSE_INVALID_OPTION', 'Expected more.');

    expect(error).toBeInstanceOf(expected);
    expect(error).toMatchObject({ code: 'ERR_SSE_INVALID_OPTION', message: 'Expected more.' });
  });
});

describe('describe()', () => {
  it.each([
    [null, 'null'],
    [undefined, 'undefined'],
    [0, '0 (number)'],
    [-0, '-0 (number)'],
    [Number.NaN, 'NaN (number)'],
    [5n, '5n (bigint)'],
    ['', "'' (string)"],
    ['soon', "'soon' (string)"],
    ['a\nb', "'a\\nb' (string)"],
    [true, 'true (boolean)'],
    [Symbol('s'), 'Symbol(s) (symbol)'],
    [parseInt, '[Function: parseInt] (function)'],
    [{ a: { b: 1 } }, '{ a: [Object] } (object)'],
    [[1, 2], '[ 1, 2 ] (object)'],
  ])('shows %p with its type', (value, shown) => {
    expect(describeValue(value)).toBe(shown);
  });

  it.each([
    ['string', 'x'.repeat(10_000)],
    ['object', Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`key${n}`, n]))],
    ['symbol', Symbol('x'.repeat(10_000))],
  ])('shortens a long %s', (_kind, value) => {
    expect(describeValue(value).length).toBeLessThan(120);
  });
});
