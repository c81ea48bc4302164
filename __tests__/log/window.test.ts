import { setTimeout as sleep } from 'node:timers/promises';
import { Entry } from '../../lib/log/entry';
import { Window, type WindowLimits } from '../../lib/log/window';

const number = (id: string) => (/^\d+$/.test(id) ? Number(id) : Number.NaN);

function windowOf(bounds: Partial<WindowLimits> = {}): Window {
  const all = { maxEvents: 1_000, maxBytes: 1_000_000, maxAgeMs: false, ...bounds } as const;
  return new Window(all, (a, b) => number(a) - number(b), '0');
}

function push(window: Window, ...ids: number[]): void {
  for (const id of ids) {
    window.push(new Entry(String(id), { kind: 'event', data: 'x'.repeat(10), serialized: false }));
  }
}

function ids(window: Window): string[] {
  return Array.from({ length: window.size }, (_, index) => window.at(window.first + index).id);
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('Window', () => {
  it('is empty at first, and starts after the id given to its constructor', () => {
    const window = windowOf();

    expect([window.first, window.head, window.size, window.headId, window.idFrom(window.first)]).toEqual([
      0,
      0,
      0,
      '0',
      null,
    ]);
    expect([window.after('0'), window.after('1'), window.after('')]).toEqual([0, undefined, undefined]);
  });

  it('keeps positions while it is trimmed, also when it copies its arrays', () => {
    const window = windowOf({ maxEvents: 3 });

    for (const id of upTo(1_000)) {
      push(window, id);
      expect(window.at(window.head - 1).id).toBe(String(id));
      expect(window.at(window.first).id).toBe(String(Math.max(1, id - 2)));
    }

    expect([window.first, window.head, window.before, ids(window)]).toEqual([
      997,
      1_000,
      '997',
      ['998', '999', '1000'],
    ]);
  });

  it('finds the position after every id that it holds, and after the last trimmed id', () => {
    const window = windowOf({ maxEvents: 5 });
    push(window, ...upTo(20).map((id) => id * 2));

    expect(['30', '32', '34', '36', '38', '40'].map((id) => window.after(id))).toEqual([
      15, 16, 17, 18, 19, 20,
    ]);
  });

  it.each(['28', '31', '33', '39', '41', '', 'x', '030', '1e9'])('does not find %p', (id) => {
    const window = windowOf({ maxEvents: 5 });
    push(window, ...upTo(20).map((each) => each * 2));

    expect(window.after(id)).toBeUndefined();
  });

  it('holds at most maxBytes, but always the newest entry', () => {
    const { bytes } = new Entry('1', { kind: 'event', data: 'x'.repeat(10), serialized: false });
    const three = windowOf({ maxBytes: bytes * 3 });
    const none = windowOf({ maxBytes: 1 });

    push(three, 1, 2, 3, 4, 5);
    push(none, 1, 2);

    expect([ids(three), ids(none)]).toEqual([['3', '4', '5'], ['2']]);
  });

  it('drops entries that are too old on push() and trim(), also the last one', async () => {
    const window = windowOf({ maxAgeMs: 20 });
    push(window, 1, 2);
    await sleep(25);
    push(window, 3);
    expect(ids(window)).toEqual(['3']);
    await sleep(25);
    window.trim();

    expect([window.size, window.headId, window.after('3'), window.after('2')]).toEqual([
      0,
      '3',
      3,
      undefined,
    ]);
    push(window, 4);
    expect([window.after('3'), window.at(3).id]).toEqual([3, '4']);
  });

  it('keeps the end at any age', async () => {
    const window = windowOf({ maxAgeMs: 10 });
    push(window, 1);
    window.push(new Entry('2', { kind: 'end', data: '', serialized: false }));
    await sleep(15);

    window.trim();

    expect(ids(window)).toEqual(['2']);
  });

  it('resumes at a gap after the id before it, and does not find an id that is lost in the gap', () => {
    const window = windowOf();
    push(window, 1, 2);
    window.push(Entry.gap({ lastEventId: '2', oldest: '7' }));
    push(window, 7, 8);

    expect(['1', '2', '7', '5'].map((id) => window.after(id))).toEqual([1, 2, 4, undefined]);
  });

  it('finds ids before and after they have begun again lower, also when it is trimmed', () => {
    const window = windowOf({ maxEvents: 6 });
    push(window, 7, 8);
    window.push(Entry.gap({ lastEventId: '8', oldest: '3' }));
    push(window, 3, 4);
    expect(['7', '8', '3', '4', '5', '2'].map((id) => window.after(id))).toEqual([
      1,
      2,
      4,
      5,
      undefined,
      undefined,
    ]);
    expect(window.headId).toBe('4');

    window.push(Entry.gap({ lastEventId: '4', oldest: '1' }));
    push(window, 1, 2, 9);

    expect(['8', '3', '4', '1', '2', '9'].map((id) => window.after(id))).toEqual([undefined, 4, 5, 7, 8, 9]);
  });

  it('does not know the id before its oldest entry after a gap was trimmed', () => {
    const window = windowOf({ maxEvents: 2 });
    push(window, 1);
    window.push(Entry.gap({ lastEventId: '1', oldest: '7' }));
    push(window, 7, 8);

    expect([window.before, window.after('1'), window.after('7')]).toEqual([undefined, undefined, 3]);
  });

  it('has the oldest id that a client receives, which is never that of a gap', () => {
    const window = windowOf();
    window.push(Entry.gap({ lastEventId: '0', oldest: '7' }));
    expect(window.idFrom(window.first)).toBeNull();

    push(window, 7);

    expect(window.idFrom(window.first)).toBe('7');
  });
});
