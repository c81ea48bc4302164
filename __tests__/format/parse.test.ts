import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { type DispatchedEvent, EventStreamParser } from '../../lib/format/parse';

/** Everything that a client receives from one stream. */
interface Received {
  readonly events: DispatchedEvent[];
  readonly comments: string[];
  readonly lastEventId: string;
  readonly retryMs: number | undefined;
}

function parse(pieces: readonly string[], before = ''): Received {
  const events: DispatchedEvent[] = [];
  const comments: string[] = [];
  const parser = new EventStreamParser(
    { onEvent: (event) => events.push(event), onComment: (text) => comments.push(text) },
    before,
  );
  for (const piece of pieces) parser.push(piece);
  return { events, comments, lastEventId: parser.lastEventId, retryMs: parser.retryMs };
}

function eventsOf(...pieces: string[]): DispatchedEvent[] {
  return parse(pieces).events;
}

/** Divides `text` at these positions. */
function cut(text: string, places: readonly number[]): string[] {
  const cuts = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [...cuts, text.length].map((end, index) => text.slice(index === 0 ? 0 : cuts[index - 1], end));
}

function message(data: string, lastEventId = '', type = 'message'): DispatchedEvent {
  return { type, data, lastEventId };
}

/** Lines of a stream, many of them close to the special cases of the specification. */
const line = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 4, arbitrary: fc.constantFrom('data', 'data:', 'data: ', 'data:  a', 'data:a', 'data: b:c', 'event:', 'event: e', 'event:f', 'id', 'id: 1', 'id:2', 'id: a\0b', 'retry: 5', 'retry:07', 'retry: x', 'retry: 1 ', 'retry: -1', 'Data: no', ' data: no', 'data : no', ':', ': c', ':d', '\uFEFFdata: no', 'other: 1') }, // biome-ignore format: a list
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }).map((text) => text.replace(/[\r\n]/g, '')) }, // biome-ignore format: a list
);

const stream = fc
  .tuple(
    fc.constantFrom('', '\uFEFF'),
    fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 30 }),
    fc.constantFrom('', 'data: unfinished', 'id: 9'),
  )
  .map(([mark, lines, rest]) => mark + lines.map((parts) => parts.join('')).join('') + rest);

const cuts = fc.array(fc.nat(400), { maxLength: 40 });

/** The algorithm of 9.2.6, applied literally to a whole stream. */
function model(text: string, before: string): Received {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  lines.pop();
  const received = { events: [] as DispatchedEvent[], comments: [] as string[] };
  let [data, type, buffer, lastEventId, retryMs] = ['', '', before, before, undefined as number | undefined];
  for (const line of lines) {
    const [, field = line, value = ''] = /^([^:]*): ?(.*)$/s.exec(line) ?? [];
    if (line === '') {
      lastEventId = buffer;
      if (data !== '') received.events.push(message(data.slice(0, -1), lastEventId, type || 'message'));
      [data, type] = ['', ''];
    } else if (line.startsWith(':')) received.comments.push(value);
    else if (field === 'event') type = value;
    else if (field === 'data') data += `${value}\n`;
    else if (field === 'id' && !value.includes('\0')) buffer = value;
    else if (field === 'retry' && /^[0-9]+$/.test(value)) retryMs = Number(value);
  }
  return { ...received, lastEventId, retryMs };
}

describe('EventStreamParser', () => {
  it('reads the same from a stream that is divided at any positions', () => {
    fc.assert(
      fc.property(stream, cuts, fc.constantFrom('', 'before'), (text, places, before) => {
        expect(parse(cut(text, places), before)).toEqual(model(text, before));
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads the same as eventsource-parser', () => {
    fc.assert(
      fc.property(stream, cuts, (text, places) => {
        const theirs: Array<[type: string, data: string]> = [];
        const comments: string[] = [];
        let retryMs: number | undefined;
        const reference = createParser({
          onEvent: ({ event, data }) => theirs.push([event || 'message', data]),
          onComment: (comment) => comments.push(comment),
          onRetry: (retry) => {
            retryMs = retry;
          },
        });
        // It expects that the decoder has removed the byte order mark.
        reference.feed(text.replace(/^\uFEFF/, ''));
        // After a CR at the end of a piece it waits for a possible LF.
        if (text.endsWith('\r')) reference.feed('\n');

        const ours = parse(cut(text, places));

        expect(ours.events.map(({ type, data }) => [type, data])).toEqual(theirs);
        expect([ours.comments, ours.retryMs]).toEqual([comments, retryMs]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads a stream that is divided into single characters', () => {
    const text = '\uFEFF: c\r\nretry: 7\revent: e\r\nid: 1\ndata: ü 🚀\r\rdata\r\n\r\n';

    expect(parse(text.split(''))).toEqual({
      events: [message('ü 🚀', '1', 'e'), message('', '1')],
      comments: ['c'],
      lastEventId: '1',
      retryMs: 7,
    });
  });
});

describe('9.2.6, the examples of the specification', () => {
  it('has one event of three lines', () => {
    expect(eventsOf('data: YHOO\ndata: +2\ndata: 10\n\n')).toEqual([message('YHOO\n+2\n10')]);
  });

  it('has a comment, and ids that are set, kept and reset', () => {
    const received = parse([
      ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n',
    ]);

    expect(received.comments).toEqual(['test stream']);
    expect(received.events).toEqual([
      message('first event', '1'),
      message('second event'),
      message(' third event'),
    ]);
  });

  it('has empty data, data of one line end, and an incomplete event', () => {
    expect(eventsOf('data\n\ndata\ndata\n\ndata:')).toEqual([message(''), message('\n')]);
  });

  it('ignores one space after the colon', () => {
    expect(eventsOf('data:test\n\ndata: test\n\n')).toEqual([message('test'), message('test')]);
  });
});

describe('9.2.5 lines', () => {
  it.each([
    ['LF', '\n'],
    ['CR', '\r'],
    ['CRLF', '\r\n'],
  ])('end in %s', (_name, end) => {
    expect(eventsOf(`data: a${end}data: b${end}${end}`)).toEqual([message('a\nb')]);
  });

  it('dispatch at a CR, without waiting for the LF that may follow', () => {
    expect(eventsOf('data: a\r\n\r')).toEqual([message('a')]);
  });

  it('end once at a CRLF that is divided between two pieces', () => {
    expect(eventsOf('data: a\r', '\ndata: b\r', '\n\r', '\n', 'data: c\n\n')).toEqual([
      message('a\nb'),
      message('c'),
    ]);
  });

  it.each([
    ['alone', ['\uFEFF', 'data: a\n\n'], ['a']],
    ['before the first line', ['\uFEFFdata: a\n\n'], ['a']],
    ['only once', ['\uFEFF\uFEFFdata: a\n\n'], []],
    ['nowhere else', ['data: a\n\n', '\uFEFFdata: b\n\n'], ['a']],
    ['after an empty piece', ['', '\uFEFFdata: a\n\n'], ['a']],
  ])('begin after a byte order mark (%s)', (_where, pieces, data) => {
    expect(eventsOf(...pieces).map((event) => event.data)).toEqual(data);
  });

  it('of 20,000 pieces are read in linear time', () => {
    const pieces = Array.from({ length: 20_000 }, () => 'x'.repeat(1_000));
    const start = performance.now();

    const [event] = eventsOf('data: ', ...pieces, '\n\n');

    expect(event?.data).toHaveLength(20_000_000);
    expect(performance.now() - start).toBeLessThan(3_000);
  });
});

describe('9.2.6 last event ID', () => {
  it('is the id of the last event that had one', () => {
    expect(eventsOf('id: 1\ndata: a\n\ndata: b\n\n')).toEqual([message('a', '1'), message('b', '1')]);
  });

  it('changes at the blank line, also without data', () => {
    expect(parse(['id: 1\n\nid: 2\n']).lastEventId).toBe('1');
  });

  it('ignores an id that contains NULL', () => {
    expect(eventsOf('id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n').at(-1)).toEqual(message('b', '1'));
  });

  it('is the id of the earlier connection until the stream has one', () => {
    expect(parse(['data: a\n\n'], 'before').events).toEqual([message('a', 'before')]);
  });
});

describe('9.2.6 reconnection time', () => {
  it.each([
    ['5', 5],
    ['007', 7],
    ['0', 0],
    ['', undefined],
    ['1.5', undefined],
    ['-1', undefined],
    [' 1', undefined],
    ['1 ', undefined],
    ['١', undefined],
  ])('%p', (text, retryMs) => {
    expect(parse([`retry:${text === ' 1' ? '  1' : text}\n`]).retryMs).toBe(retryMs);
  });
});

describe('reset()', () => {
  it('discards an incomplete event, and keeps the last event ID and the reconnection time', () => {
    const events: DispatchedEvent[] = [];
    const parser = new EventStreamParser({ onEvent: (event) => events.push(event) });

    parser.push('id: 1\nretry: 5\ndata: a\n\nid: 2\nevent: e\ndata: lost\nda\r');
    parser.reset();
    parser.push('\uFEFF\ndata: b\n\n');

    expect(events).toEqual([message('a', '1'), message('b', '1')]);
    expect([parser.lastEventId, parser.retryMs]).toEqual(['1', 5]);
  });
});
