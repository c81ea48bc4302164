import { collect, collectView } from '../../lib/channel/batch';
import { SingleCache } from '../../lib/channel/frame-cache';
import { MapLanes } from '../../lib/channel/lane';
import { ParsedEvents } from '../../lib/channel/parsed-events';
import { scanClock } from '../../lib/channel/scan-clock';
import { type UntypedFilter, View, viewSteps } from '../../lib/channel/view';
import { Entry } from '../../lib/log/entry';

const entry = (id: number, data = `d${id}`) =>
  new Entry(String(id), { kind: 'event', data, serialized: false });
const end = (id: number, kind: 'end' | 'error' = 'end') =>
  new Entry(String(id), { kind, data: '', serialized: false });
const ignore = () => undefined;

beforeEach(() => scanClock.renew());

function collectAll(entries: Entry[], singles = new SingleCache(ignore)) {
  return collect({ at: (position) => entries[position] as Entry }, 0, entries.length, singles);
}

/** Reads batches with a filter until all entries are covered. */
function filtered(entries: Entry[], filter: UntypedFilter, singles = new SingleCache(ignore)) {
  const events = new ParsedEvents(JSON.parse, ignore);
  const steps = viewSteps([{ kind: 'filter', filter }]);
  if (steps === undefined) throw new Error('Expected steps.');
  const view = new View(steps, new MapLanes({ events, serialize: JSON.stringify, onUsed: ignore }), events);
  const source = { at: (position: number) => entries[position] as Entry };
  const batches = [];
  for (let position = 0; position < entries.length; ) {
    const batch = collectView(source, position, entries.length, singles, view);
    batches.push(batch);
    if (batch.failure !== undefined) break;
    position += batch.length;
  }
  return batches;
}

describe('collect()', () => {
  it('takes all entries up to the last one', () => {
    const entries = [entry(1), entry(2), entry(3)];

    expect(collectAll(entries)).toMatchObject({
      frames: { text: entries.map(({ frame }) => frame).join(''), events: 3 },
      length: 3,
      lastId: '3',
      closing: undefined,
    });
  });

  it.each(['end', 'error'] as const)('stops at the %s, which is not among the frames', (kind) => {
    const entries = [entry(1), end(2, kind), entry(3)];

    expect(collectAll(entries)).toMatchObject({
      frames: { text: entries[0]?.frame },
      length: 2,
      lastId: '2',
      closing: entries[1],
    });
  });

  it('stops at about 64 KiB, but takes a larger event completely', () => {
    const small = Array.from({ length: 20 }, (_, index) => entry(index, 'x'.repeat(10_000)));
    const large = [entry(1, 'x'.repeat(200_000)), entry(2)];

    expect(collectAll(small).length).toBe(7);
    expect(collectAll(large).length).toBe(1);
  });
});

describe('collectView()', () => {
  it('has no frames if the filter accepts no entry', () => {
    expect(filtered([entry(1), entry(2)], () => false)).toMatchObject([
      { frames: undefined, length: 2, lastId: '2' },
    ]);
  });

  it('includes the end and a gap without calling the filter', () => {
    const accepts = jest.fn(() => false);
    const gap = Entry.gap({ lastEventId: 'x', oldest: null });

    expect(filtered([gap, end(1)], accepts)).toMatchObject([{ frames: { text: gap.frame }, length: 2 }]);
    expect(accepts).not.toHaveBeenCalled();
  });

  it('scans at most 1,000 entries', () => {
    const entries = Array.from({ length: 5_000 }, (_, index) => entry(index));

    expect(Math.max(...filtered(entries, () => false).map(({ length }) => length))).toBeLessThanOrEqual(
      1_000,
    );
  });

  it('stops at about 16 KiB', () => {
    const entries = Array.from({ length: 20 }, (_, index) => entry(index, 'x'.repeat(5_000)));

    const [first] = filtered(entries, () => true);

    expect(first?.length).toBe(4);
  });

  it('shares the frames of a single entry with other subscribers', () => {
    const entries = [entry(1), entry(2), entry(3)];
    const singles = new SingleCache(ignore);
    const second: UntypedFilter = (_data, { id }) => id === '2';

    const frames = [1, 2].map(() => filtered(entries, second, singles)[0]?.frames);

    expect(frames[0]?.text).toBe(entries[1]?.frame);
    expect(frames[1]).toBe(frames[0]);
  });

  it('sends a large entry alone, and calls the filter once for each entry', () => {
    const entries = [entry(1), entry(2, 'x'.repeat(100_000)), entry(3)];
    const accepts = jest.fn(() => true);

    const batches = filtered(entries, accepts);

    expect(batches.map(({ frames }) => frames?.text)).toEqual(entries.map(({ frame }) => frame));
    expect(accepts).toHaveBeenCalledTimes(3);
  });

  it('delivers the entries before the one at which the filter throws', () => {
    const boom = new Error('boom');
    const [batch] = filtered([entry(1), entry(2)], (data) => {
      if (data === 'd2') throw boom;
      return true;
    });

    expect(batch).toMatchObject({ frames: { events: 1 }, length: 1, failure: { error: boom } });
  });
});
