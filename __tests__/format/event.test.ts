import {
  comment,
  END_ID,
  type EventFields,
  event,
  MAX_ID_BYTES,
  ServerSentEvent,
} from '../../lib/format/event';
import { errorWith } from '../support/error-with';

/** A value as plain JavaScript would pass it. */
function untyped<Type>(value: unknown): Type {
  return value as Type;
}

describe('event()', () => {
  it('makes a ServerSentEvent with the given fields', () => {
    const made = event('tick', { n: 1 }, { id: 'a', retry: 5, comment: 'c' });

    expect(made).toBeInstanceOf(ServerSentEvent);
    expect({ ...made }).toEqual({ type: 'tick', data: { n: 1 }, id: 'a', retry: 5, comment: 'c' });
  });

  it('makes the other fields undefined', () => {
    expect({ ...event('tick', null) }).toEqual({
      type: 'tick',
      data: null,
      id: undefined,
      retry: undefined,
      comment: undefined,
    });
  });

  it('makes a frozen event', () => {
    const made = event('tick', 1);

    expect(() => Object.assign(made, { id: 'a\nb' })).toThrow(TypeError);
  });

  it('keeps its data unchanged', () => {
    const data = { n: 1 };

    expect(event('tick', data).data).toBe(data);
  });

  it.each(['', 'error', 'message', 'end', 'two words', ': ', '✓', 'a\u2028b', 'a\0b'])(
    'accepts the type %p',
    (type) => {
      expect(event(type, 1).type).toBe(type);
    },
  );

  it.each([
    ['a LF', 'a\nb'],
    ['a CR', 'a\rb'],
    ['a CRLF at the end', 'a\r\n'],
  ])('refuses a type with %s', (_name, type) => {
    expect(() => event(type, 1)).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: `Expected type of an event to be without CR or LF, got ${JSON.stringify(type).replaceAll('"', "'")} (string). Put text of several lines in data.`,
      }),
    );
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [5, '5 (number)'],
    [{}, '{} (object)'],
  ])('refuses %p as a type', (type, shown) => {
    expect(() => event(untyped<string>(type), 1)).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: `Expected type of an event to be a string, got ${shown}. Use 'message' for an event without a type of its own.`,
      }),
    );
  });

  it.each([
    ['Id', "Unknown field 'Id' of an event. Did you mean 'id'?"],
    ['ID', "Unknown field 'ID' of an event. Did you mean 'id'?"],
    ['retryMs', "Unknown field 'retryMs' of an event. Did you mean 'retry'?"],
    ['coment', "Unknown field 'coment' of an event. Did you mean 'comment'?"],
    ['event', "Unknown field 'event' of an event. Known fields: id, retry, comment."],
    ['x', "Unknown field 'x' of an event. Known fields: id, retry, comment."],
    ['toString', "Unknown field 'toString' of an event. Known fields: id, retry, comment."],
  ])('refuses the unknown field %s, and suggests the similar name', (name, message) => {
    expect(() => event('tick', 1, untyped<object>({ [name]: 5 }))).toThrow(
      errorWith({ name: 'TypeError', code: 'ERR_SSE_INVALID_EVENT', message }),
    );
  });

  it('counts fields that are undefined as omitted', () => {
    expect({ ...event('tick', 1, { id: undefined, retry: undefined, comment: undefined }) }).toEqual({
      ...event('tick', 1),
    });
  });

  it.each([
    ['an array', ['id']],
    ['an empty array', []],
    ['a Map', new Map([['id', 1]])],
    ['a URLSearchParams', new URLSearchParams('id=1')],
    ['a string', 'id'],
    ['null', null],
  ])('refuses %s in place of fields', (_name, fields) => {
    expect(() => event('tick', 1, untyped<object>(fields))).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: expect.stringContaining('to be an object like { id, retry, comment }, got '),
      }),
    );
  });

  it('refuses undefined as data', () => {
    expect(() => event('tick', undefined)).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_DATA',
        message: "Expected data for the event 'tick', got undefined. Pass '' for an event without data.",
      }),
    );
  });

  it.each([null, 'a', 5])('refuses %p as fields', (fields) => {
    expect(() => event('tick', 1, untyped<EventFields>(fields))).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: expect.stringContaining(
          'Expected the fields of an event to be an object like { id, retry, comment }',
        ),
      }),
    );
  });
});

describe('9.2.6 last event ID', () => {
  it.each<[string | number | bigint, string]>([
    [0, '0'],
    ['', ''],
    [-1.5, '-1.5'],
    [9_007_199_254_740_993n, '9007199254740993'],
    ['a~', 'a~'],
    ['é ✓', 'é ✓'],
    ['a\u2028b', 'a\u2028b'],
    ['\ud800', '\ufffd'],
  ])('accepts %p', (id, text) => {
    expect(event('tick', 1, { id }).id).toBe(text);
  });

  it.each([
    ['a LF', 'a\nb', 'without CR, LF, NUL, other control characters or outer spaces', "'a\\nb' (string)"],
    ['a CR', 'a\rb', 'without CR, LF, NUL, other control characters or outer spaces', "'a\\rb' (string)"],
    ['NUL', 'a\0b', 'without CR, LF, NUL, other control characters or outer spaces', "'a\\x00b' (string)"],
    [
      'a control character',
      'a\x01b',
      'without CR, LF, NUL, other control characters or outer spaces',
      "'a\\x01b' (string)",
    ],
    ['DEL', 'a\x7fb', 'without CR, LF, NUL, other control characters or outer spaces', "'a\\x7Fb' (string)"],
    [
      'a leading space',
      ' a',
      'without CR, LF, NUL, other control characters or outer spaces',
      "' a' (string)",
    ],
    [
      'a trailing space',
      'a ',
      'without CR, LF, NUL, other control characters or outer spaces',
      "'a ' (string)",
    ],
    ['NaN', Number.NaN, 'a string, a finite number or a bigint', 'NaN (number)'],
    ['Infinity', Number.POSITIVE_INFINITY, 'a string, a finite number or a bigint', 'Infinity (number)'],
    ['null', null, 'a string, a finite number or a bigint', 'null'],
    ['true', true, 'a string, a finite number or a bigint', 'true (boolean)'],
    ['an object', {}, 'a string, a finite number or a bigint', '{} (object)'],
  ])('refuses %s', (_name, id, expected, shown) => {
    expect(() => event('tick', 1, { id: untyped<string>(id) })).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: `Expected id of an event to be ${expected}, got ${shown}.`,
      }),
    );
  });

  it.each(['~', END_ID, '~other'])('reserves %p', (id) => {
    expect(() => event('tick', 1, { id })).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: `Expected id of an event to be one that does not begin with '~', got '${id}' (string). Such ids are reserved for the end of a stream.`,
      }),
    );
  });

  it.each([
    ['ASCII', 'x'],
    ['two-byte characters', 'é'],
    ['three-byte characters', '✓'],
    ['four-byte characters', '😀'],
  ])('is bounded in bytes of UTF-8, not in characters: %s', (_name, character) => {
    const longest = character.repeat(Math.floor(MAX_ID_BYTES / Buffer.byteLength(character)));

    expect(event('tick', 1, { id: longest }).id).toBe(longest);
    expect(() => event('tick', 1, { id: longest + character })).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: expect.stringMatching(
          /^Expected id of an event to be of at most 4096 bytes, got .* request header\. See docs\/error-codes\.md#err_sse_invalid_event$/,
        ),
      }),
    );
  });
});

describe('9.2.6 reconnection time', () => {
  it.each([0, 1, Number.MAX_SAFE_INTEGER])('accepts %p', (retry) => {
    expect(event('tick', 1, { retry }).retry).toBe(retry);
  });

  it.each([
    [-1, '-1 (number)'],
    [1.5, '1.5 (number)'],
    [Number.NaN, 'NaN (number)'],
    [Number.POSITIVE_INFINITY, 'Infinity (number)'],
    [2 ** 53, '9007199254740992 (number)'],
    ['5', "'5' (string)"],
    [5n, '5n (bigint)'],
    [null, 'null'],
    [false, 'false (boolean)'],
  ])('refuses %p', (retry, shown) => {
    expect(() => event('tick', 1, { retry: untyped<number>(retry) })).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: `Expected retry of an event to be a non-negative integer of milliseconds, got ${shown}.`,
      }),
    );
  });
});

describe('comment()', () => {
  it('makes a ServerSentEvent without type and data', () => {
    expect({ ...comment('still here') }).toEqual({
      type: undefined,
      data: undefined,
      id: undefined,
      retry: undefined,
      comment: 'still here',
    });
  });

  it.each([undefined, null, 5, {}])('refuses %p', (text) => {
    expect(() => comment(untyped<string>(text))).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: expect.stringContaining('Expected comment of an event to be a string, got '),
      }),
    );
  });

  it('checks the comment of an event in the same way', () => {
    expect(() => event('tick', 1, { comment: untyped<string>(5) })).toThrow(TypeError);
  });
});

describe('new ServerSentEvent()', () => {
  it('checks its fields in the same way as event()', () => {
    expect(() => new ServerSentEvent('a\nb', 1)).toThrow(TypeError);
    expect(() => new ServerSentEvent('tick', 1, { id: 'a\nb' })).toThrow(TypeError);
    expect(() => new ServerSentEvent(untyped<string>(5), 1)).toThrow(TypeError);
  });
});

describe('what stands on Object.prototype', () => {
  afterEach(() => {
    for (const name of ['id', 'retry', 'comment', 'enumerable'])
      Reflect.deleteProperty(Object.prototype, name);
  });

  it.each(['id', 'retry', 'comment', 'enumerable'])('is no field of an event: %s', (name) => {
    Reflect.set(Object.prototype, name, 5);

    expect(Object.values(event('tick', 1))).toEqual(['tick', 1, undefined, undefined, undefined]);
    expect(Object.values(event('tick', 1, {}))).toEqual(['tick', 1, undefined, undefined, undefined]);
    expect(Object.values(comment('c'))).toEqual([undefined, undefined, undefined, undefined, 'c']);
  });

  it('is not read, even if reading it throws', () => {
    Object.defineProperty(Object.prototype, 'retry', {
      configurable: true,
      enumerable: true,
      get: () => {
        throw new Error('Nothing reads this.');
      },
      set: () => undefined,
    });

    expect(event('tick', 1, { id: 7 })).toMatchObject({ id: '7' });
  });

  it('does not replace the fields that are given', () => {
    Reflect.set(Object.prototype, 'id', 5);

    expect(event('tick', 1, { id: 7 }).id).toBe('7');
    expect(event('tick', 1, Object.assign(Object.create(null), { id: 7 })).id).toBe('7');
  });
});
