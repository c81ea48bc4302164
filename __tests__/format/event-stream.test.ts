import { inspect, types } from 'node:util';
import { runInNewContext } from 'node:vm';
import {
  type EventSourceMessage as FetchMessage,
  getBytes,
  getLines,
  getMessages,
} from '@microsoft/fetch-event-source/lib/cjs/parse';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import fc from 'fast-check';
import { comment, event, ServerSentEvent } from '../../lib/format/event';
import { encode, encodeEnd } from '../../lib/format/event-stream';
import { recordOf } from '../../lib/format/record';
import type { Serialize } from '../../lib/format/serialize';
import { errorWith } from '../support/error-with';

describe('encode()', () => {
  describe('a string is sent unchanged as data', () => {
    it.each([
      ['one line', 'hello', 'data: hello\n\n'],
      ['the empty string', '', 'data: \n\n'],
      ['what looks like JSON', '{"n":1}', 'data: {"n":1}\n\n'],
      ['what looks like a field', 'id: 5', 'data: id: 5\n\n'],
      ['a leading space', ' a', 'data:  a\n\n'],
      ['a leading colon', ':a', 'data: :a\n\n'],
      ['NUL', 'a\0b', 'data: a\0b\n\n'],
      ['a BOM', '\ufeffa', 'data: \ufeffa\n\n'],
      ['U+2028 and U+2029', 'a\u2028b\u2029c', 'data: a\u2028b\u2029c\n\n'],
      ['U+0085, VT and FF', 'a\u0085b\vc\fd', 'data: a\u0085b\vc\fd\n\n'],
      ['a pair of surrogates', '😀', 'data: 😀\n\n'],
      ['a lone high surrogate', 'a\ud83d', 'data: a\ufffd\n\n'],
      ['a lone low surrogate', '\ude00b', 'data: \ufffdb\n\n'],
      ['a lone surrogate among lines', '\ud83d\n\ude00', 'data: \ufffd\ndata: \ufffd\n\n'],
      ['LF', 'a\nb', 'data: a\ndata: b\n\n'],
      ['CR', 'a\rb', 'data: a\ndata: b\n\n'],
      ['CRLF', 'a\r\nb', 'data: a\ndata: b\n\n'],
      ['LF CR, which are two line ends', 'a\n\rb', 'data: a\ndata: \ndata: b\n\n'],
      ['CR CR LF, which are two line ends', 'a\r\r\nb', 'data: a\ndata: \ndata: b\n\n'],
      ['an empty line', 'a\n\nb', 'data: a\ndata: \ndata: b\n\n'],
      ['a line end at the end', 'a\n', 'data: a\ndata: \n\n'],
      ['a line end alone', '\n', 'data: \ndata: \n\n'],
      [
        'a forged event',
        'a\n\nevent: admin\ndata: b',
        'data: a\ndata: \ndata: event: admin\ndata: data: b\n\n',
      ],
    ])('%s', (_name, text, bytes) => {
      expect(encode(text)).toBe(bytes);
    });
  });

  describe('every other value is sent as JSON', () => {
    it.each([
      [null, 'data: null\n\n'],
      [0, 'data: 0\n\n'],
      [-1.5, 'data: -1.5\n\n'],
      [false, 'data: false\n\n'],
      [[1, 'a'], 'data: [1,"a"]\n\n'],
      [{ text: 'a\nb' }, 'data: {"text":"a\\nb"}\n\n'],
      [{ text: '\ud800' }, 'data: {"text":"\\ud800"}\n\n'],
      [new Date(0), 'data: "1970-01-01T00:00:00.000Z"\n\n'],
    ])('%p', (value, bytes) => {
      expect(encode(value)).toBe(bytes);
    });

    it('an object with the keys of an event', () => {
      const payload = { event: 'admin', id: '7', retry: 1, comment: 'x', type: 'admin', data: 'a\n\nb' };

      expect(encode(payload)).toBe(`data: ${JSON.stringify(payload)}\n\n`);
    });

    it('a copy of an event', () => {
      expect(encode({ ...event('admin', 1, { id: 7 }) })).toBe(
        'data: {"type":"admin","data":1,"id":"7"}\n\n',
      );
    });
  });

  describe('only a ServerSentEvent has fields', () => {
    it.each([
      ['a type', event('tick', 'a'), 'event: tick\ndata: a\n\n'],
      ['the type error', event('error', 'a'), 'event: error\ndata: a\n\n'],
      ['an empty type', event('', 'a'), 'event: \ndata: a\n\n'],
      ['no data', event('tick', ''), 'event: tick\ndata: \n\n'],
      ['null as data', event('tick', null), 'event: tick\ndata: null\n\n'],
      ['an object', event('tick', { n: 1 }), 'event: tick\ndata: {"n":1}\n\n'],
      ['lines', event('tick', 'a\r\nb'), 'event: tick\ndata: a\ndata: b\n\n'],
      ['the id 0', event('tick', 'a', { id: 0 }), 'event: tick\nid: 0\ndata: a\n\n'],
      ["the id ''", event('tick', 'a', { id: '' }), 'event: tick\nid: \ndata: a\n\n'],
      [
        'a bigint',
        event('tick', 'a', { id: 2n ** 64n }),
        'event: tick\nid: 18446744073709551616\ndata: a\n\n',
      ],
      ['the retry 0', event('tick', 'a', { retry: 0 }), 'event: tick\nretry: 0\ndata: a\n\n'],
      [
        'the largest retry',
        event('tick', 'a', { retry: 2 ** 53 - 1 }),
        'event: tick\nretry: 9007199254740991\ndata: a\n\n',
      ],
      ['an empty comment', event('tick', 'a', { comment: '' }), ': \nevent: tick\ndata: a\n\n'],
      [
        'lone surrogates',
        event('\ud800', '\ud800', { id: '\ud800', comment: '\ud800' }),
        ': \ufffd\nevent: \ufffd\nid: \ufffd\ndata: \ufffd\n\n',
      ],
      ['an id alone', new ServerSentEvent(undefined, undefined, { id: 7 }), 'id: 7\n\n'],
      ['data without a type', new ServerSentEvent(undefined, { n: 1 }), 'data: {"n":1}\n\n'],
    ])('%s', (_name, made, bytes) => {
      expect(encode(made)).toBe(bytes);
    });

    it('in the order comment, event, id, retry, data', () => {
      const made = event('tick', 'a\nb', { retry: 5, id: 7, comment: 'c\nd' });

      expect(encode(made)).toBe(': c\n: d\nevent: tick\nid: 7\nretry: 5\ndata: a\ndata: b\n\n');
    });
  });

  describe('a comment', () => {
    it.each([
      ['one line', 'still here', ': still here\n\n'],
      ['no text', '', ': \n\n'],
      ['all three line ends', 'a\nb\rc\r\nd', ': a\n: b\n: c\n: d\n\n'],
      ['a forged event', 'a\n\ndata: b\n\n', ': a\n: \n: data: b\n: \n: \n\n'],
      ['a lone surrogate', '\udc00', ': \ufffd\n\n'],
    ])('of %s', (_name, text, bytes) => {
      expect(encode(comment(text))).toBe(bytes);
    });
  });

  describe('with a serialize function', () => {
    it.each([
      ['several lines', 'a\nb\rc\r\nd', 'data: a\ndata: b\ndata: c\ndata: d\n\n'],
      ['nothing', '', 'data: \n\n'],
      ['a lone surrogate', '\ud800', 'data: \ufffd\n\n'],
    ])('sends %s that it returns', (_name, text, bytes) => {
      expect(encode({ n: 1 }, () => text)).toBe(bytes);
    });

    it('does not call it for strings', () => {
      expect(encode('a', () => 'b')).toBe('data: a\n\n');
    });

    it('calls it for the data of an event', () => {
      expect(encode(event('tick', 5n, { id: 1 }), (data) => `${data}n`)).toBe(
        'event: tick\nid: 1\ndata: 5n\n\n',
      );
    });

    it.each([undefined, null, 5, {}])('refuses %p from it', (returned) => {
      const serialize = (() => returned) as Serialize;

      expect(() => encode({ n: 1 }, serialize)).toThrow(
        expect.objectContaining({
          code: 'ERR_SSE_INVALID_DATA',
          message: expect.stringContaining(
            'Expected serialize to return a string for { n: 1 } (object), got ',
          ),
        }),
      );
    });

    it('keeps its error as the cause', () => {
      const cause = new Error('no such codec\nat all');
      const serialize = () => {
        throw cause;
      };

      expect(() => encode({ n: 1 }, serialize)).toThrow(
        errorWith({
          name: 'TypeError',
          code: 'ERR_SSE_INVALID_DATA',
          message:
            'Expected a value that can be sent as data, got { n: 1 } (object). It could not be serialized: ' +
            'no such codec. Convert it, or pass a serialize option.',
          cause,
        }),
      );
    });

    it('does not call it for undefined or binary data', () => {
      const serialize = jest.fn(() => 'x');

      expect(() => encode(undefined, serialize)).toThrow(TypeError);
      expect(() => encode(Buffer.from('a'), serialize)).toThrow(TypeError);
      expect(serialize).not.toHaveBeenCalled();
    });
  });

  describe('refuses', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const binary =
      "An event stream is text: decode it, as with .setEncoding('utf8') or new TextDecoder(), or send it as base64.";
    const notJson = "Yield a string, a value that JSON can express, or '' for an event without data.";
    const values: [name: string, value: unknown, shown: string, remedy: string][] = [
      ['undefined', undefined, 'undefined', "Yield '' for an event without data, or null."],
      ['a function', parseInt, '[Function: parseInt] (function)', notJson],
      ['a symbol', Symbol('s'), 'Symbol(s) (symbol)', notJson],
      [
        'an object whose toJSON returns undefined',
        { toJSON() {} },
        '{ toJSON: [Function: toJSON] } (object)',
        notJson,
      ],
      ['a Uint8Array', new Uint8Array(1), 'Uint8Array(1) [ 0 ] (object)', binary],
      ['a Buffer', Buffer.from('a'), '<Buffer 61> (object)', binary],
      // Versions of Node differ in how they show it.
      ['an ArrayBuffer', new ArrayBuffer(1), `${inspect(new ArrayBuffer(1))} (object)`, binary],
      [
        'a BigInt',
        5n,
        '5n (bigint)',
        'It could not be serialized: Do not know how to serialize a BigInt. Convert it, or pass a serialize option.',
      ],
      [
        'a cycle',
        cycle,
        '<ref *1> { self: [Circular *1] } (object)',
        'It could not be serialized: Converting circular structure to JSON. Convert it, or pass a serialize option.',
      ],
    ];

    it('a promise, and names the remedy', () => {
      // Node shows more of a promise in a process that has enabled async hooks.
      expect(() => encode(Promise.resolve(1))).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          code: 'ERR_SSE_INVALID_DATA',
          message: expect.stringMatching(
            /^Expected .* got Promise \{ 1.* \(object\)\. Await it first\. See docs\/error-codes\.md#err_sse_invalid_data$/,
          ),
        }),
      );
    });

    it.each(values)('%s, and names the remedy', (_name, value, shown, remedy) => {
      expect(() => encode(value)).toThrow(
        errorWith({
          name: 'TypeError',
          code: 'ERR_SSE_INVALID_DATA',
          message: `Expected a value that can be sent as data, got ${shown}. ${remedy}`,
        }),
      );
    });

    it.each(values.slice(1))('%s as the data of an event', (_name, value) => {
      expect(() => encode(event('tick', value))).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          code: 'ERR_SSE_INVALID_DATA',
        }),
      );
    });

    it.each([
      ['a DataView', new DataView(new ArrayBuffer(1))],
      ['a SharedArrayBuffer', new SharedArrayBuffer(1)],
      ['a Float64Array', new Float64Array(1)],
    ])('%s as other binary data', (_name, value) => {
      expect(() => encode(value)).toThrow(binary);
    });
  });
});

describe('data that JSON would turn into {}', () => {
  const PROMISE_LIKE = Object.fromEntries([['then', () => undefined]]);
  const foreign = (code: string): unknown => runInNewContext(code);
  const message = 'JSON drops its message. Yield { message: error.message }, or throw it to end the stream.';
  const kinds: [name: string, value: unknown, remedy: string][] = [
    ['an Error', new Error('x'), message],
    ['an Error with properties', Object.assign(new RangeError('x'), { code: 'E' }), message],
    ['an AggregateError', new AggregateError([], 'x'), message],
    ['a DOMException', new DOMException('x', 'AbortError'), message],
    ['a Map', new Map([[1, 2]]), 'JSON drops its entries. Yield Object.fromEntries(map), or [...map].'],
    ['an empty Map', new Map(), 'JSON drops its entries. Yield Object.fromEntries(map), or [...map].'],
    ['a Set', new Set([1]), 'JSON drops its values. Yield [...set].'],
    ['a WeakMap', new WeakMap(), 'Its entries cannot be listed. Yield a plain object of them.'],
    ['a WeakSet', new WeakSet(), 'Its values cannot be listed. Yield an array of them.'],
    ['a WeakRef', new WeakRef({}), 'JSON drops its target. Yield ref.deref().'],
    ['a RegExp', /x/, 'JSON drops its pattern. Yield String(regexp).'],
    [
      'a Response',
      new Response('x'),
      'JSON drops its body. Yield await response.json(), or await response.text().',
    ],
    [
      'a Request',
      new Request('http://a/'),
      'JSON drops its body. Yield await request.json(), or await request.text().',
    ],
    ['a promise-like object', { ...PROMISE_LIKE }, 'Await it first.'],
    [
      'an instance of a promise-like class',
      Object.assign(new (class Query {})(), { sql: 'x' }, PROMISE_LIKE),
      'Await it first.',
    ],
    ['a generator', (function* () {})(), 'JSON drops its values. Yield an array: [...values].'],
    ['an iterator', new Map().keys(), 'JSON drops its values. Yield an array: [...values].'],
    ['URLSearchParams', new URLSearchParams('a=1'), 'JSON drops its values. Yield an array: [...values].'],
    [
      'an iterable that hides its values',
      { [Symbol.iterator]: () => [1].values() },
      'JSON drops its values. Yield an array: [...values].',
    ],
    [
      'a boxed symbol',
      Object(Symbol('x')),
      'JSON makes {} of it. Yield a plain object, or pass a serialize option.',
    ],
    [
      'an AbortSignal',
      new AbortController().signal,
      'JSON makes {} of it. Yield a plain object, or pass a serialize option.',
    ],
    ['an Error of another realm', foreign("new TypeError('x')"), message],
    [
      'a Map of another realm',
      foreign('new Map()'),
      'JSON drops its entries. Yield Object.fromEntries(map), or [...map].',
    ],
    ['a Set of another realm', foreign('new Set()'), 'JSON drops its values. Yield [...set].'],
    [
      'a WeakMap of another realm',
      foreign('new WeakMap()'),
      'Its entries cannot be listed. Yield a plain object of them.',
    ],
    ['a RegExp of another realm', foreign('/x/'), 'JSON drops its pattern. Yield String(regexp).'],
    ['a promise of another realm', foreign('Promise.resolve(1)'), 'Await it first.'],
    ['a promise-like object of another realm', foreign('({ then() {} })'), 'Await it first.'],
  ];

  it.each(kinds)('is refused, with the remedy: %s', (_name, value, remedy) => {
    const refused = expect.objectContaining({
      name: 'TypeError',
      code: 'ERR_SSE_INVALID_DATA',
      message: expect.stringMatching(/^Expected a value that can be sent as data, got .* \(object\)\. /),
    });

    for (const send of [
      () => encode(value),
      () => encode(event('tick', value)),
      () => recordOf(value, JSON.stringify),
    ]) {
      expect(send).toThrow(refused);
      expect(send).toThrow(remedy);
    }
  });

  it.each(kinds.filter(([, value]) => !types.isPromise(value)))(
    'is passed to a serialize function: %s',
    (_name, value) => {
      expect(encode(value, () => 'text')).toBe('data: text\n\n');
    },
  );

  it.each<[string, object]>([
    ['an Error', new Error('x')],
    ['a Map', new Map()],
    ['a promise-like object', { ...PROMISE_LIKE }],
    ['an iterable', { *[Symbol.iterator]() {} }],
  ])('is sent if it has a toJSON(): %s', (_name, value) => {
    expect(encode(Object.assign(value, { toJSON: () => ({ n: 1 }) }))).toBe('data: {"n":1}\n\n');
    expect(encode(Object.assign(value, { toJSON: () => ({}) }))).toBe('data: {}\n\n');
  });

  it.each<[string, unknown, string]>([
    ['an empty object', {}, '{}'],
    ['an object of another realm', foreign('({ n: 1 })'), '{"n":1}'],
    ['an empty object of another realm', foreign('({})'), '{}'],
    ['an object without a prototype', Object.create(null), '{}'],
    ['an instance of a class without properties', new (class Ping {})(), '{}'],
    [
      'an instance of a class with properties',
      new (class Point {
        x = 1;
      })(),
      '{"x":1}',
    ],
    ['an iterable with properties', { n: 1, *[Symbol.iterator]() {} }, '{"n":1}'],
    ['a Date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ['a URL', new URL('http://a/'), '"http://a/"'],
    ['boxed primitives', [Object(1), Object('a'), Object(true)], '[1,"a",true]'],
    // A search of nested values would cost as much as the serialization.
    ['a Map in an object, as by JSON.stringify anywhere', { map: new Map() }, '{"map":{}}'],
  ])('is not what is sent for %s', (_name, value, text) => {
    expect(encode(value)).toBe(`data: ${text}\n\n`);
  });
});

describe('a JSON.stringify that was replaced', () => {
  const { stringify } = JSON;
  const indented = (value: unknown) => stringify(value, null, 1);

  afterEach(() => {
    JSON.stringify = stringify;
  });

  /** This package, loaded while `JSON.stringify` is this function. */
  function loadWith(replacement: typeof JSON.stringify): typeof import('../../lib') {
    let copy: typeof import('../../lib') | undefined;
    JSON.stringify = replacement;
    jest.isolateModules(() => {
      copy = jest.requireActual('../../lib');
    });
    if (copy === undefined) throw new Error('Expected the modules to be loaded.');
    return copy;
  }

  it.each<[string, (value: unknown) => string]>([
    ['indents', indented],
    ['indents, as a bound function', indented.bind(undefined)],
    [
      'indents, as a Proxy of the native function',
      new Proxy(stringify, { apply: (_to, _self, [value]) => indented(value) }),
    ],
  ])('before this package was loaded has its lines split if it %s', (_name, replacement) => {
    const copy = loadWith(replacement as typeof JSON.stringify);

    expect(copy.encode({ n: 1 })).toBe('data: {\ndata:  "n": 1\ndata: }\n\n');
    expect(copy.encode(copy.event('tick', { n: 1 }))).toBe(
      'event: tick\ndata: {\ndata:  "n": 1\ndata: }\n\n',
    );
  });

  it('before this package was loaded has CR and CRLF split, too', () => {
    const copy = loadWith(() => 'a\r\nb\rc');

    expect(copy.encode({ n: 1 })).toBe('data: a\ndata: b\ndata: c\n\n');
  });

  it('after this package was loaded changes nothing', () => {
    const copy = loadWith(stringify);
    JSON.stringify = indented as typeof JSON.stringify;

    expect(copy.encode({ n: 1 })).toBe('data: {"n":1}\n\n');
  });

  it('is used if it is passed as serialize', () => {
    const copy = loadWith(stringify);

    expect(copy.encode({ n: 1 }, indented)).toBe('data: {\ndata:  "n": 1\ndata: }\n\n');
  });
});

describe('encodeEnd()', () => {
  const end = (value: unknown) => encodeEnd(value, JSON.stringify);

  it.each([
    ['nothing', undefined, 'event: end\nid: ~end\ndata: null\n\n'],
    ["''", '', 'event: end\nid: ~end\ndata: \n\n'],
    ['a string', 'done', 'event: end\nid: ~end\ndata: done\n\n'],
    ['lines', 'a\r\nb', 'event: end\nid: ~end\ndata: a\ndata: b\n\n'],
    ['0', 0, 'event: end\nid: ~end\ndata: 0\n\n'],
    ['false', false, 'event: end\nid: ~end\ndata: false\n\n'],
    ['an object', { rows: 5 }, 'event: end\nid: ~end\ndata: {"rows":5}\n\n'],
    [
      'an object with the keys of an event',
      { event: 'x', id: 1 },
      'event: end\nid: ~end\ndata: {"event":"x","id":1}\n\n',
    ],
    ['an event', event('done', { n: 1 }), 'event: done\nid: ~end\ndata: {"n":1}\n\n'],
    ['an event without data', event('done', ''), 'event: done\nid: ~end\ndata: \n\n'],
    [
      'an event with fields',
      event('done', 'a', { retry: 5, comment: 'c\nd' }),
      ': c\n: d\nevent: done\nid: ~end\nretry: 5\ndata: a\n\n',
    ],
    ['a comment', comment('bye'), ': bye\nevent: end\nid: ~end\ndata: null\n\n'],
  ])('sends %s', (_name, value, bytes) => {
    expect(end(value)).toBe(bytes);
  });

  it.each(['', 0, 'a'])('refuses an event with the id %p', (id) => {
    expect(() => end(event('done', 1, { id }))).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_EVENT',
        message: `Expected a returned event to have no id, got '${id}' (string). Its id is '~end', which stops the client.`,
      }),
    );
  });

  it.each([
    ['binary data', Buffer.from('a')],
    ['a function', () => 1],
    ['a BigInt', 5n],
    ['an event of binary data', event('done', Buffer.from('a'))],
  ])('refuses %s', (_name, value) => {
    expect(() => end(value)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_DATA' }),
    );
  });

  it('sends the data of an event without a type', () => {
    expect(end(new ServerSentEvent(undefined, { n: 1 }))).toBe('event: end\nid: ~end\ndata: {"n":1}\n\n');
  });

  it('passes data through serialize', () => {
    expect(encodeEnd({ n: 1 }, () => 'a\nb')).toBe('event: end\nid: ~end\ndata: a\ndata: b\n\n');
  });
});

/** One frame, and what a client must read from it. */
interface Frame {
  readonly bytes: string;
  readonly type?: string;
  readonly id?: string;
  readonly retry?: number;
  /** Missing for a comment, for which nothing is dispatched. */
  readonly data?: string;
  readonly comment?: string;
}

/** A thousand round trips take 1 to 2 s, and longer while other tests run. */
const ROUND_TRIPS_MS = 60_000;

describe('round trips through other parsers', () => {
  it(
    'eventsource-parser reads each event with its fields',
    () => {
      fc.assert(
        fc.property(fc.array(anyFrame(), { maxLength: 6 }), anyCuts(), (frames, cuts) => {
          const events = frames.filter(({ data }) => data !== undefined);

          expect(readByEventSourceParser(chunksOf(frames, cuts))).toEqual({
            events: events.map(({ type, id, data }) => ({ event: type || undefined, id, data })),
            retries: frames.flatMap(({ retry }) => retry ?? []),
            comments: frames.flatMap(({ comment }) => comment?.split('\n') ?? []),
          });
        }),
        { numRuns: 1_000 },
      );
    },
    ROUND_TRIPS_MS,
  );

  it(
    'fetch-event-source reads each event with its fields',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyFrame(), { maxLength: 6 }), anyCuts(), async (frames, cuts) => {
          expect(await readByFetchEventSource(chunksOf(frames, cuts))).toEqual(
            frames.map(asFetchEventSource),
          );
        }),
        { numRuns: 1_000 },
      );
    },
    ROUND_TRIPS_MS,
  );

  it(
    'JSON.parse() returns the encoded value',
    () => {
      fc.assert(
        fc.property(fc.jsonValue(), (value) => {
          const chunks = [new TextEncoder().encode(encode([value]))];

          const data = readByEventSourceParser(chunks).events.map((message) => JSON.parse(message.data));

          expect(data).toEqual([JSON.parse(JSON.stringify([value]))]);
        }),
        { numRuns: 1_000 },
      );
    },
    ROUND_TRIPS_MS,
  );

  function readByEventSourceParser(chunks: Iterable<Uint8Array>) {
    const events: EventSourceMessage[] = [];
    const retries: number[] = [];
    const comments: string[] = [];
    const parser = createParser({
      onEvent: (message) => events.push(message),
      onRetry: (retry) => retries.push(retry),
      onComment: (text) => comments.push(text),
      onError: (error) => {
        throw error;
      },
    });
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
    return { events, retries, comments };
  }

  async function readByFetchEventSource(chunks: Iterable<Uint8Array>) {
    const messages: FetchMessage[] = [];
    const onLine = getMessages(
      () => undefined,
      () => undefined,
      (message) => messages.push(message),
    );
    await getBytes(ReadableStream.from(chunks) as ReadableStream<Uint8Array>, getLines(onLine));
    return messages;
  }

  /**
   * What fetch-event-source reads. It dispatches at each blank line, so also for comments. It has two defects: it drops
   * a BOM at the beginning of each value, and empty lines of data before the first non-empty one.
   */
  function asFetchEventSource({ type = '', id = '', data = '', retry }: Frame): FetchMessage {
    const value = (text: string) => text.replace(/^\ufeff/, '');
    const lines = data.split('\n').map(value);
    return {
      event: value(type),
      id: value(id),
      data: lines.reduce((text, line) => (text ? `${text}\n${line}` : line), ''),
      retry,
    };
  }

  /** Text with many special characters and forged fields. */
  function anyText(): fc.Arbitrary<string> {
    const awkward = fc.constantFrom(
      ...[
        '\n',
        '\r',
        '\r\n',
        '\n\n',
        ' ',
        ':',
        '\0',
        '\ufeff',
        '\u0085',
        '\u2028',
        '\u2029',
        '\ud800',
        '\udc00',
      ],
      ...['data: ', 'event: ', 'id: ', 'retry: 1', '~end', '😀', 'é', '\v', '\f', '\t'],
    );
    const unit = fc.oneof(awkward, fc.string({ unit: 'binary', maxLength: 3 }));
    return fc.array(unit, { maxLength: 8 }).map((units) => units.join(''));
  }

  function anyFrame(): fc.Arbitrary<Frame> {
    const line = anyText().map((text) => text.replace(/[\r\n]/g, ''));
    const id = fc.oneof(line.map(idOf), fc.integer(), fc.bigInt());
    const data = fc.oneof(anyText(), fc.jsonValue({ maxDepth: 1 }));
    const fields = fc.record({ id, retry: fc.maxSafeNat(), comment: anyText() }, { requiredKeys: [] });
    return fc.oneof(
      data.map((value) => ({ bytes: encode(value), data: dataOf(value) })),
      anyText().map((text) => ({ bytes: encode(comment(text)), comment: received(text) })),
      fc.tuple(line, data, fields).map(([type, value, rest]) => ({
        bytes: encode(event(type, value, rest)),
        type: received(type),
        id: rest.id === undefined ? undefined : received(String(rest.id)),
        retry: rest.retry,
        data: dataOf(value),
        comment: rest.comment === undefined ? undefined : received(rest.comment),
      })),
    );
  }

  /** The part of a text that is valid as an id, and unchanged by a header. */
  function idOf(text: string): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression removes them
    return text.replace(/[\0-\x08\x0a-\x1f\x7f]/g, '').replace(/^[~\t ]+|[\t ]+$/g, '');
  }

  /** The lengths of the chunks in bytes, used repeatedly. */
  function anyCuts(): fc.Arbitrary<number[]> {
    return fc.array(fc.constantFrom(1, 2, 3, 5, 16, 64), { minLength: 1, maxLength: 20 });
  }

  /** Text as a client receives it: UTF-8 has no lone surrogates, and every line end is LF. */
  function received(text: string): string {
    return text.replace(/\r\n?/g, '\n').toWellFormed();
  }

  function dataOf(value: unknown): string {
    return typeof value === 'string' ? received(value) : JSON.stringify(value);
  }

  /** The bytes of all frames, divided at random, also within a character. */
  function* chunksOf(frames: readonly Frame[], cuts: readonly number[]): Generator<Uint8Array> {
    const bytes = new TextEncoder().encode(frames.map((frame) => frame.bytes).join(''));
    for (let at = 0, index = 0; at < bytes.length; index++) {
      const end = at + (cuts[index % cuts.length] ?? 1);
      yield bytes.slice(at, end);
      at = end;
    }
  }
});
