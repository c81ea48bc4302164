import { setTimeout as sleep } from 'node:timers/promises';
import { type EventRecord, type MemoryLogOptions, memoryLog } from '../../lib/index';
import { LibTimers } from '../support/timers';

const record = (data: string): EventRecord => ({ kind: 'event', data, serialized: false });

/** The retained data after an id, with the prefix `gap` if earlier events are missing. */
async function retained(log: ReturnType<typeof memoryLog>, after = ''): Promise<string> {
  const { entries, gap } = await log.read(after, 10_000);
  return (gap ? 'gap ' : '') + entries.map((entry) => entry.record.data).join('');
}

describe('memoryLog()', () => {
  it('retains 1,000 events by default', async () => {
    const log = memoryLog();

    for (let n = 0; n < 1_500; n++) await log.append(record('x'));

    expect((await retained(log)).length).toBe(1_000);
  });

  it('retains 16 MiB by default', async () => {
    const log = memoryLog();
    const bytes = 1024 * 1024;

    for (let n = 0; n < 20; n++) await log.append(record('x'.repeat(bytes - 100)));

    expect(Math.floor((await retained(log)).length / (bytes - 100))).toBe(16);
  });

  it.each<[MemoryLogOptions, string]>([
    [{ maxEvents: 1 }, 'c'],
    [{ maxEvents: 2 }, 'bc'],
    [{ maxBytes: 1 }, 'c'],
    [{ maxEvents: 2, maxBytes: 1 }, 'c'],
    [{ maxEvents: undefined, maxAgeMs: false }, 'abc'],
  ])('with %p retains %s', async (options, data) => {
    const log = memoryLog(options);

    for (const each of 'abc') await log.append(record(each));

    expect(await retained(log)).toBe(data);
  });

  it('counts the bytes of the frames in UTF-8', async () => {
    const log = memoryLog({ maxBytes: 400 });

    for (let n = 0; n < 3; n++) await log.append(record('ü'.repeat(80)));

    expect(await retained(log)).toBe('ü'.repeat(160));
  });

  it('drops events by age, also the last one, and continues with the next', async () => {
    const timers = new LibTimers();
    const log = memoryLog({ maxAgeMs: 200 });
    const first = await log.append(record('a'));
    const second = await log.append(record('b'));
    expect([await retained(log), await retained(log, first)]).toEqual(['ab', 'b']);

    await sleep(205);
    expect([await retained(log), await retained(log, second), (await log.head()).id]).toEqual([
      '',
      '',
      second,
    ]);
    await log.append(record('c'));

    expect(['', second, first].map((id) => log.read(id, 5))).toMatchObject([
      { gap: false, entries: [{ record: { data: 'c' } }] },
      { gap: false, entries: [{ record: { data: 'c' } }] },
      { gap: true, entries: [{ record: { data: 'c' } }] },
    ]);
    // Its timer goes when nothing is retained any more.
    while (timers.active().length > 0) await sleep(5);
    timers.stop();
  });

  it('appends nothing after an end or an error', async () => {
    for (const kind of ['end', 'error'] as const) {
      const log = memoryLog({ maxEvents: 1 });
      await log.append(record('a'));
      await log.append({ ...record('b'), kind });

      expect(() => log.append(record('c'))).toThrow(
        expect.objectContaining({ code: 'ERR_SSE_CHANNEL_CLOSED' }),
      );
      expect([await retained(log), (await log.head()).ended]).toEqual(['ab', true]);
    }
  });

  it('notifies a subscriber of every later event until it closes', async () => {
    const log = memoryLog();
    const received: string[] = [];
    const first = await log.append(record('a'));

    const subscription = log.subscribe({
      onEntries: (entries, missed) => {
        received.push(...entries.map(({ id }) => `${id} ${missed}`));
      },
    });
    const second = await log.append(record('b'));
    subscription.close();
    subscription.close();
    await log.append(record('c'));

    expect([await subscription.from, received]).toEqual([first, [`${second} false`]]);
  });

  it.each([
    [{ maxEvents: 0 }, RangeError],
    [{ maxEvents: 1.5 }, RangeError],
    [{ maxEvents: '5' }, TypeError],
    [{ maxBytes: -1 }, RangeError],
    [{ maxBytes: Number.POSITIVE_INFINITY }, RangeError],
    [{ maxAgeMs: 0 }, RangeError],
    [{ maxAgeMs: true }, TypeError],
    [{ maxAge: 5 }, TypeError],
    [null, TypeError],
    [5, TypeError],
  ])('refuses %p', (options, kind) => {
    expect(() => memoryLog(options as MemoryLogOptions)).toThrow(kind);
    expect(() => memoryLog(options as MemoryLogOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_SSE_INVALID_OPTION' }),
    );
  });
});
