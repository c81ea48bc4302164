import { recordOf } from '../../lib/format/record';
import { encode, event } from '../../lib/index';
import { Entry } from '../../lib/log/entry';

const entryOf = (value: unknown, id = 'i-1') => new Entry(id, recordOf(value, JSON.stringify));

const VALUES: Array<[string, unknown]> = [
  ['a string', 'a'],
  ['an empty string', ''],
  ['a string of several lines', 'a\n\nb\n'],
  ['a string that looks like fields', 'data: x\ndata: y\nid: 5'],
  ['a number', 0],
  ['null', null],
  ['false', false],
  ['an object', { a: ['ü', '😀'] }],
  ['an event', event('t', { n: 1 })],
  ['an event with all fields', event('t', 'x\ny', { retry: 0, comment: 'a\nb' })],
  ['an event without data', event('t', '')],
];

describe('Entry', () => {
  it.each(VALUES)('created from %s returns an equal record', (_name, value) => {
    const record = recordOf(value, JSON.stringify);

    expect(new Entry('i-1', record).record).toEqual(record);
  });

  it.each(VALUES)('created from %s returns the type and data', (_name, value) => {
    const { type, data } = entryOf(value).event(JSON.parse);

    const { type: expectedType, data: expectedData } =
      value instanceof Object && 'retry' in value
        ? (value as typeof event.prototype)
        : { type: undefined, data: value };
    expect([type, data]).toEqual([expectedType, expectedData]);
  });

  it.each(VALUES)('created from %s has the frame and the byte length of its event', (_name, value) => {
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

  it('of a string is not parsed', () => {
    expect(entryOf('{"n":1}').event(JSON.parse).data).toBe('{"n":1}');
  });

  it('is returned unchanged by Entry.of(), which converts a plain log entry', () => {
    const entry = entryOf(1);

    expect(Entry.of(entry)).toBe(entry);
    expect(Entry.of({ id: 'i-1', record: entry.record })).toEqual(entry);
  });

  it('for a gap has no id on the wire', () => {
    const gap = Entry.gap({ lastEventId: 'a\nid: b', oldest: null });

    expect(gap.frame).toBe('event: gap\ndata: {"lastEventId":"a\\nid: b","oldest":null}\n\n');
    expect(gap.event(JSON.parse)).toMatchObject({
      type: 'gap',
      data: { lastEventId: 'a\nid: b', oldest: null },
      id: undefined,
    });
  });

  it('for the end has the reserved id on the wire, but its event has no id', () => {
    const end = new Entry('i-9', { kind: 'end', data: '{"n":1}', serialized: true });

    expect(end.frame).toBe('event: end\nid: ~end\ndata: {"n":1}\n\n');
    expect(end.event(JSON.parse)).toEqual(event('end', { n: 1 }));
  });
});
