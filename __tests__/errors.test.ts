import { runInNewContext } from 'node:vm';
import {
  describe as describeValue,
  isSseError,
  messageOf,
  outOfRange,
  propertyOf,
  SseError,
  sseError,
  warn,
  wrongType,
} from '../lib/errors';
import { THROWN } from './support/thrown';

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

describe('instanceof SseError', () => {
  class LogError extends SseError {}

  it('holds for an SseError and its subclasses', () => {
    const error = new SseError('ERR_SSE_LOG_UNAVAILABLE', 'The log is full.');
    const own = new LogError('ERR_SSE_LOG_UNAVAILABLE', 'The log is full.');

    expect([error, own].map((each) => each instanceof SseError)).toEqual([true, true]);
    expect([error, own].map((each) => each instanceof LogError)).toEqual([false, true]);
  });

  it('does not hold for an object with the properties of one', () => {
    const error = new SseError('ERR_SSE_FULL', 'Cannot open a stream.', { status: 503 });

    expect({ ...error } instanceof SseError).toBe(false);
    expect(JSON.parse(JSON.stringify(error)) instanceof SseError).toBe(false);
  });
});

describe('what stands on Object.prototype', () => {
  it.each(['status', 'headers', 'cause'])('is no detail of an SseError: %s', (name) => {
    Reflect.set(Object.prototype, name, 'polluted');
    try {
      const error = new SseError('ERR_SSE_OVERFLOW', 'Too slow.', {});

      expect([error.status, error.statusCode, error.headers]).toEqual([undefined, undefined, undefined]);
      expect(Object.hasOwn(error, 'cause')).toBe(false);
    } finally {
      Reflect.deleteProperty(Object.prototype, name);
    }
  });
});

describe('errors for mistakes in a call', () => {
  it.each([
    ['wrongType', wrongType, TypeError],
    ['outOfRange', outOfRange, RangeError],
  ])('%s() makes an error of its class with the code', (_name, make, expected) => {
    const error = make('ERR_SSE_INVALID_OPTION', 'Expected more.');

    expect(error).toBeInstanceOf(expected);
    expect(error).toMatchObject({
      code: 'ERR_SSE_INVALID_OPTION',
      message: 'Expected more. See docs/error-codes.md#err_sse_invalid_option',
    });
  });
});

describe('a message', () => {
  afterEach(() => jest.restoreAllMocks());

  it('of an SseError of the package ends with a pointer to the section of its code', () => {
    const { code, message, status, cause } = sseError('ERR_SSE_FULL', 'Cannot open a stream.', {
      status: 503,
      cause: 'full',
    });

    expect({ code, message, status, cause }).toEqual({
      code: 'ERR_SSE_FULL',
      message: 'Cannot open a stream. See docs/error-codes.md#err_sse_full',
      status: 503,
      cause: 'full',
    });
  });

  it.each(['The log is full.', '', 'See docs/error-codes.md#err_sse_full', 'a\nb'])(
    'that your own log gives its error stays unchanged: %p',
    (message) => {
      expect(new SseError('ERR_SSE_LOG_UNAVAILABLE', message).message).toBe(message);
    },
  );

  it('of several lines has the pointer on a line of its own', () => {
    expect(sseError('ERR_SSE_FULL', 'one\ntwo').message).toBe(
      'one\ntwo\nSee docs/error-codes.md#err_sse_full',
    );
  });

  it('that contains the message of another error has its own pointer only', () => {
    const inner = wrongType('ERR_SSE_INVALID_DATA', 'Cannot be sent.');
    const outer = sseError('ERR_SSE_CHANNEL_FAILED', `The run has failed: ${inner.message}`);

    expect(outer.message).toBe(
      'The run has failed: Cannot be sent. See docs/error-codes.md#err_sse_channel_failed',
    );
  });

  it('of a warning that shows an error has its own pointer only, after the stack', () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);

    warn(sseError('ERR_SSE_FULL', 'Cannot open a stream.'));

    const message = String(emitWarning.mock.calls[0]?.[0]);
    expect(message).toMatch(/^SseError: Cannot open a stream\.\n {4}at /);
    expect(message).toMatch(/\nSee docs\/error-codes\.md#sse_unhandled_error$/);
    expect(message.match(/See docs/g)).toHaveLength(1);
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

describe('whatever is thrown', () => {
  afterEach(() => jest.restoreAllMocks());

  it.each(THROWN)('is shown by describe(): %s', (_name, value) => {
    expect(describeValue(value)).toEqual(expect.any(String));
  });

  it.each(THROWN)('has a message of at least a character: %s', (_name, value) => {
    expect(messageOf(value).length).toBeGreaterThan(0);
  });

  it.each(THROWN)('becomes a warning that shows it: %s', (_name, value, shown) => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);

    warn(value);

    expect(emitWarning).toHaveBeenCalledWith(expect.stringContaining(shown), {
      type: 'SseWarning',
      code: 'SSE_UNHANDLED_ERROR',
    });
  });

  it.each(THROWN)('has no property that throws when it is read: %s', (_name, value) => {
    for (const name of ['status', 'name', 'message', 'stack', 'cause', Symbol.toStringTag]) {
      expect(() => propertyOf(value, name)).not.toThrow();
    }
  });

  it.each(THROWN)('is no SseError: %s', (_name, value) => {
    expect(isSseError(value)).toBe(false);
    expect(value instanceof SseError).toBe(false);
  });
});

describe('messageOf()', () => {
  it.each([
    [new Error('The disk is full.'), 'The disk is full.'],
    [runInNewContext("new Error('The disk is full.')"), 'The disk is full.'],
    [new AggregateError([new Error('a')]), expect.stringContaining('AggregateError')],
    ['full', "'full' (string)"],
    [undefined, 'undefined'],
  ])('of %p is %p', (value, expected) => {
    expect(messageOf(value)).toEqual(expected);
  });
});
