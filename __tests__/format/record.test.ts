import { encodeEnd } from '../../lib/format/event-stream';
import { dataOf, encodeRecord, endRecordOf, recordOf } from '../../lib/format/record';
import { comment, encode, event } from '../../lib/index';

const TEXTS = [
  '',
  'a',
  'a\nb',
  '\n',
  '\n\n',
  'data: ',
  'x\ndata: y',
  'data: \ndata: ',
  ' a ',
  'ü\u2028\u0085😀',
  ':c',
  'a\n\nb\n',
];

const VALUES: Array<[string, unknown]> = [
  ...TEXTS.map((text): [string, unknown] => [JSON.stringify(text), text]),
  ['a number', 0],
  ['null', null],
  ['an object', { a: [1, 'b\nc'] }],
  [
    'a class',
    new (class Price {
      readonly cents = 5;
    })(),
  ],
  ['a date', new Date(0)],
  ['an event', event('t', [1])],
  ['an event of lines', event('t', 'a\nb', { retry: 0, comment: 'c\r\nd' })],
];

const PRETTY = (data: unknown) => JSON.stringify(data, null, 1);

describe('recordOf()', () => {
  it.each(VALUES)('has the bytes of encode() for %s, apart from the id', (_name, value) => {
    for (const serialize of [JSON.stringify, PRETTY]) {
      expect(encodeRecord(recordOf(value, serialize), undefined).frame).toBe(encode(value, serialize));
    }
  });

  it('treats CRLF and CR as line ends', () => {
    const { frame, dataOffset } = encodeRecord(recordOf('a\r\nb\rc', JSON.stringify), 'i');

    expect(frame).toBe('id: i\ndata: a\ndata: b\ndata: c\n\n');
    expect(dataOf(frame, dataOffset)).toBe('a\nb\nc');
  });

  it('marks data that serialize has made', () => {
    expect(recordOf('1', JSON.stringify)).toMatchObject({ kind: 'event', data: '1', serialized: false });
    expect(recordOf(1, JSON.stringify)).toMatchObject({ kind: 'event', data: '1', serialized: true });
  });

  it('replaces lone surrogates by U+FFFD', () => {
    expect(recordOf('a\ud800', JSON.stringify).data).toBe('a\ufffd');
  });

  it.each([
    ['undefined', undefined, 'ERR_SSE_INVALID_DATA'],
    ['a bigint', 1n, 'ERR_SSE_INVALID_DATA'],
    ['a comment', comment('c'), 'ERR_SSE_INVALID_EVENT'],
    ['an event with the id 0', event('t', 1, { id: 0 }), 'ERR_SSE_INVALID_EVENT'],
    ['an event with an empty id', event('t', 1, { id: '' }), 'ERR_SSE_INVALID_EVENT'],
  ])('refuses %s', (_name, value, code) => {
    for (const make of [recordOf, endRecordOf]) {
      if (make === endRecordOf && value === undefined) continue;
      expect(() => make(value, JSON.stringify)).toThrow(expect.objectContaining({ name: 'TypeError', code }));
    }
  });
});

describe('endRecordOf()', () => {
  it.each([
    ['nothing', undefined],
    ['text', 'a\nb'],
    ['an object', { a: 1 }],
    ['null', null],
    ['an event', event('done', { a: 1 }, { retry: 5, comment: 'c' })],
  ])('has the bytes of the last frame of a generator for %s', (_name, value) => {
    const { frame } = encodeRecord(endRecordOf(value, JSON.stringify), 'any');

    expect(frame).toBe(encodeEnd(value, JSON.stringify));
  });
});

describe('dataOf()', () => {
  it.each(TEXTS)('returns the text %j', (text) => {
    for (const value of [text, event('t', text, { comment: 'data: \ndata: ', retry: 1 })]) {
      const { frame, dataOffset } = encodeRecord(recordOf(value, JSON.stringify), 'i');
      expect(dataOf(frame, dataOffset)).toBe(text);
    }
  });
});
