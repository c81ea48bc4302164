import { collect } from '../../lib/channel/batch';
import { Frames } from '../../lib/format/frames';
import { Entry } from '../../lib/log/entry';

const entry = (id: number, data = `d${id}`) =>
  new Entry(String(id), { kind: 'event', data, serialized: false });
const end = (id: number, kind: 'end' | 'error' = 'end') =>
  new Entry(String(id), { kind, data: '', serialized: false });
const from = (entries: Entry[]) => (offset: number) => entries[offset];

describe('collect()', () => {
  it('takes all entries up to the last one', () => {
    const entries = [entry(1), entry(2), entry(3)];

    expect(collect(from(entries), undefined)).toMatchObject({
      frames: { text: entries.map(({ frame }) => frame).join(''), events: 3 },
      length: 3,
      lastId: '3',
      closing: undefined,
    });
  });

  it.each(['end', 'error'] as const)('stops at the %s, which is not among the frames', (kind) => {
    const entries = [entry(1), end(2, kind), entry(3)];

    expect(collect(from(entries), undefined)).toMatchObject({
      frames: { text: entries[0]?.frame },
      length: 2,
      lastId: '2',
      closing: entries[1],
    });
  });

  it('has no frames if the filter accepts no entry', () => {
    const batch = collect(from([entry(1), entry(2)]), () => false);

    expect(batch).toMatchObject({ frames: undefined, length: 2, lastId: '2' });
  });

  it('includes the end and a gap without calling the filter', () => {
    const accepts = jest.fn(() => false);
    const gap = Entry.gap({ lastEventId: 'x', oldest: null });

    expect(collect(from([gap, end(1)]), accepts)).toMatchObject({ frames: { text: gap.frame }, length: 2 });
    expect(accepts).not.toHaveBeenCalled();
  });

  it('stops at about 64 KiB, but takes a larger event completely', () => {
    const small = Array.from({ length: 20 }, (_, index) => entry(index, 'x'.repeat(10_000)));
    const large = [entry(1, 'x'.repeat(200_000)), entry(2)];

    expect(collect(from(small), undefined).length).toBe(7);
    expect(collect(from(large), undefined).length).toBe(1);
  });

  it('scans at most 1,000 entries with a filter', () => {
    const entries = Array.from({ length: 5_000 }, (_, index) => entry(index));

    expect(collect(from(entries), () => false).length).toBe(1_000);
  });

  it('shares the frames of a single entry with other subscribers', () => {
    const entries = [entry(1), entry(2), entry(3)];
    const frames = new Frames(entries[1]?.frame ?? '', 1);
    const offsets: number[] = [];
    const single = (offset: number) => {
      offsets.push(offset);
      return frames;
    };

    expect(collect(from(entries), ({ id }) => id === '2', single).frames).toBe(frames);
    expect(offsets).toEqual([1]);
  });
});
