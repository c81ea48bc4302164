import { collect } from '../../lib/channel/batch';
import { Frames } from '../../lib/format/frames';
import { Entry } from '../../lib/log/entry';

const entry = (id: number, data = `d${id}`) =>
  new Entry(String(id), { kind: 'event', data, serialized: false });
const end = (id: number, kind: 'end' | 'error' = 'end') =>
  new Entry(String(id), { kind, data: '', serialized: false });
const from = (entries: Entry[]) => (offset: number) => entries[offset];

describe('collect()', () => {
  it('takes everything up to the last entry', () => {
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

  it('has no frames if there is nothing for this subscriber', () => {
    const batch = collect(from([entry(1), entry(2)]), () => false);

    expect(batch).toMatchObject({ frames: undefined, length: 2, lastId: '2' });
  });

  it('lets the end and a gap through every filter, which is not asked', () => {
    const accepts = jest.fn(() => false);
    const gap = Entry.gap({ lastEventId: 'x', oldest: null });

    expect(collect(from([gap, end(1)]), accepts)).toMatchObject({ frames: { text: gap.frame }, length: 2 });
    expect(accepts).not.toHaveBeenCalled();
  });

  it('stops at about 64 KiB, and takes one larger event whole', () => {
    const small = Array.from({ length: 20 }, (_, index) => entry(index, 'x'.repeat(10_000)));
    const large = [entry(1, 'x'.repeat(200_000)), entry(2)];

    expect(collect(from(small), undefined).length).toBe(7);
    expect(collect(from(large), undefined).length).toBe(1);
  });

  it('looks at so many entries at the most', () => {
    const entries = Array.from({ length: 5_000 }, (_, index) => entry(index));

    expect(collect(from(entries), () => false).length).toBe(1_000);
  });

  it('has the frames of a single entry in common with others', () => {
    const entries = [entry(1), entry(2), entry(3)];
    const frames = new Frames(entries[1]?.frame ?? '', 1);
    const asked: number[] = [];
    const single = (offset: number) => {
      asked.push(offset);
      return frames;
    };

    expect(collect(from(entries), ({ id }) => id === '2', single).frames).toBe(frames);
    expect(asked).toEqual([1]);
  });
});
