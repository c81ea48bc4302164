import { recordOf } from '../../lib/format/record';
import { encode, event } from '../../lib/index';
import { Entry } from '../../lib/log/entry';

const entryOf = (value: unknown, id = 'i-1') => new Entry(id, recordOf(value, JSON.stringify));

const VALUES: Array<[string, unknown]> = [
  ['text', 'a'],
  ['no text', ''],
  ['lines', 'a\n\nb\n'],
  ['text like fields', 'data: x\ndata: y\nid: 5'],
  ['a number', 0],
  ['null', null],
  ['false', false],
  ['an object', { a: ['ü', '😀'] }],
  ['an event', event('t', { n: 1 })],
  ['an event with everything', event('t', 'x\ny', { retry: 0, comment: 'a\nb' })],
  ['an event without data', event('t', '')],
];

describe('Entry', () => {
  it.each(VALUES)('made of %s has its record again', (_name, value) => {
    const record = recordOf(value, JSON.stringify);

    expect(new Entry('i-1', record).record).toEqual(record);
  });

  it.each(VALUES)('made of %s has the value again', (_name, value) => {
    const { type, data } = entryOf(value).event(JSON.parse);

    const { type: given, data: was } =
      value instanceof Object && 'retry' in value
        ? (value as typeof event.prototype)
        : { type: undefined, data: value };
    expect([type, data]).toEqual([given, was]);
  });

  it.each(VALUES)('made of %s is yielded as its very frame', (_name, value) => {
    const entry = entryOf(value);

    expect(encode(entry.event(JSON.parse))).toBe(entry.frame);
    expect(entry.bytes).toBe(Buffer.byteLength(entry.frame));
  });

  it('is parsed once', () => {
    const parse = jest.fn(JSON.parse);
    const entry = entryOf([1]);

    expect(entry.event(parse)).toBe(entry.event(parse));
    expect(parse).toHaveBeenCalledTimes(1);
  });

  it('of text is not parsed', () => {
    expect(entryOf('{"n":1}').event(JSON.parse).data).toBe('{"n":1}');
  });

  it('knows itself', () => {
    const entry = entryOf(1);

    expect(Entry.of(entry)).toBe(entry);
    expect(Entry.of({ id: 'i-1', record: entry.record })).toEqual(entry);
  });

  it('that stands for a gap has no id on the wire', () => {
    const gap = Entry.gap({ lastEventId: 'a\nid: b', oldest: null });

    expect(gap.frame).toBe('event: gap\ndata: {"lastEventId":"a\\nid: b","oldest":null}\n\n');
    expect(gap.event(JSON.parse)).toMatchObject({
      type: 'gap',
      data: { lastEventId: 'a\nid: b', oldest: null },
      id: undefined,
    });
  });

  it('that is the end has the reserved id on the wire and none as an event', () => {
    const end = new Entry('i-9', { kind: 'end', data: '{"n":1}', serialized: true });

    expect(end.frame).toBe('event: end\nid: ~end\ndata: {"n":1}\n\n');
    expect(end.event(JSON.parse)).toEqual(event('end', { n: 1 }));
  });
});
