import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import type { EventRecord } from '../format/record';
import type { LogEntry } from '../log/entry';
import type { Awaitable, EventLog } from '../log/event-log';

/**
 * Makes a log for a test of {@link eventLogContract}.
 *
 * Two calls with the same `key` within one test must return logs with the same entries, as in two processes. Another key must
 * return an empty log. `maxEvents` is the number of events to retain. The log may retain more, but must drop old ones: after
 * 1,000 appends with a `maxEvents` of 10, it must retain fewer than 900.
 *
 * @example
 * const logs = new Map<string, EventLog>();
 * const make: MakeLog = (key, maxEvents) => {
 *   const log = logs.get(key) ?? memoryLog({ maxEvents });
 *   logs.set(key, log);
 *   return log;
 * };
 */
export type MakeLog = (key: string, maxEvents: number) => Awaitable<EventLog>;

/**
 * One clause of the log contract, as a test for any test runner.
 *
 * @example
 * const [first] = eventLogContract;
 * console.log(first?.name); // 'assigns ascending ids that are valid in a header'
 */
export interface LogCase {
  /** The behaviour that the clause requires, for the title of a test. */
  readonly name: string;
  /**
   * Tests a log. `make` must return new logs for each run, and not those of another test.
   *
   * @returns resolves if the log fulfils the clause
   * @throws (rejects) `AssertionError` if it does not
   */
  run(make: MakeLog): Promise<void>;
}

/**
 * The contract suite of a log for a `Channel`. `memoryLog()` and `redisLogs()` pass it; use it to test your own log.
 *
 * @example
 * describe('my log', () => {
 *   for (const { name, run } of eventLogContract) {
 *     it(name, async () => {
 *       const logs = new Map<string, EventLog>();
 *       await run((key, maxEvents) => {
 *         const log = logs.get(key) ?? memoryLog({ maxEvents }); // yours
 *         logs.set(key, log);
 *         return log;
 *       });
 *     });
 *   }
 * });
 */
export const eventLogContract: readonly LogCase[] = [
  clause('assigns ascending ids that are valid in a header', async (make) => {
    const log = await make('a', 100);
    const ids = await appendAll(log, 20);
    for (const [index, id] of ids.entries()) {
      match(id, /^(?!~)[!-~]{1,128}$/);
      strictEqual(Math.sign(log.compare(ids[index - 1] ?? id, id)), index === 0 ? 0 : -1);
      strictEqual(Math.sign(log.compare(ids[ids.length - 1] ?? id, id)), index === ids.length - 1 ? 0 : 1);
    }
  }),

  clause('retains every field and every character', async (make) => {
    const log = await make('a', 100);
    for (const record of RECORDS) await log.append(record);
    const { entries, gap } = await log.read('', 100);
    strictEqual(gap, false);
    deepStrictEqual(entries.map(plain), RECORDS);
  }),

  clause('reads up to the limit of entries after an id', async (make) => {
    const log = await make('a', 100);
    const ids = await appendAll(log, 10);
    deepStrictEqual(await read(log, '', 3), { data: ['0', '1', '2'], gap: false });
    deepStrictEqual(await read(log, ids[2], 4), { data: ['3', '4', '5', '6'], gap: false });
    deepStrictEqual(await read(log, ids[9], 5), { data: [], gap: false });
  }),

  clause('reads no entries from an empty log', async (make) => {
    const log = await make('a', 100);
    deepStrictEqual(await read(log, '', 5), { data: [], gap: false });
    deepStrictEqual(await read(log, (await log.head()).id, 5), { data: [], gap: false });
  }),

  clause('reports a gap for an unknown id, and reads from the oldest entry', async (make) => {
    const log = await make('a', 100);
    await appendAll(log, 3);
    for (const id of INVALID_IDS) {
      deepStrictEqual(
        await read(log, id, 2),
        { data: ['0', '1'], gap: true },
        JSON.stringify(id.slice(0, 40)),
      );
    }
  }),

  clause('compares an invalid id as NaN', async (make) => {
    const log = await make('a', 100);
    const [id = ''] = await appendAll(log, 1);
    for (const invalid of INVALID_IDS) {
      ok(Number.isNaN(log.compare(invalid, id)), JSON.stringify(invalid.slice(0, 40)));
      ok(Number.isNaN(log.compare(id, invalid)), JSON.stringify(invalid.slice(0, 40)));
    }
  }),

  clause('drops its oldest entries, and reports the gap', async (make) => {
    const log = await make('a', 10);
    const ids = await appendAll(log, 1_000);
    const { entries, gap } = await log.read(ids[0] ?? '', 2_000);
    strictEqual(gap, true);
    ok(entries.length >= 10 && entries.length < 900, `${entries.length} entries are retained`);
    strictEqual(entries.at(-1)?.id, ids.at(-1));
    const before = ids[1_000 - entries.length - 1] ?? '';
    deepStrictEqual((await log.read(before, 2_000)).gap, false);
  }),

  clause('finds the id before its newest events, if it has idBeforeNewest()', async (make) => {
    const [log, other] = [await make('a', 10), await make('a', 10)];
    for (const each of [log, other]) strictEqual((await each.idBeforeNewest?.(1)) ?? undefined, undefined);
    const ids = await appendAll(log, 1_000);
    const { entries } = await log.read('', 2_000);
    for (const count of [1, 2, 8]) await findsBefore(other, count, ids.at(-count - 1));
    await findsBefore(log, entries.length - 1, entries[0]?.id);
    for (const count of [entries.length, 10_000]) await findsBefore(log, count, undefined);
    await log.append({ ...record('last'), kind: 'end' });
    // The closing entry is not an event.
    for (const count of [1, 2, 8]) await findsBefore(other, count, ids.at(-count - 1));
  }),

  clause('reports a head before every entry that is appended later', async (make) => {
    const log = await make('a', 100);
    for (let n = 0; n < 5; n++) {
      const head = log.head();
      await log.append(record(`after ${n}`));
      const { id, ended } = await head;
      strictEqual(ended, false);
      const { data, gap } = await read(log, id, 100);
      deepStrictEqual({ last: data.at(-1), gap }, { last: `after ${n}`, gap: false });
    }
  }),

  clause('has the id of its newest entry as its head', async (make) => {
    const log = await make('a', 100);
    const ids = await appendAll(log, 3);
    strictEqual((await log.head()).id, ids[2]);
  }),

  clause('rejects every append after an end or an error, in every process', async (make) => {
    for (const kind of ['end', 'error'] as const) {
      const log = await make(kind, 100);
      await appendAll(log, 2);
      await log.append({ ...record('last'), kind });
      const other = await make(kind, 100);
      const closed = { code: 'ERR_SSE_CHANNEL_CLOSED' };
      await rejects(async () => log.append(record('late')), closed);
      await rejects(async () => other.append(record('late')), closed);
      strictEqual((await other.head()).ended, true);
      deepStrictEqual(await read(other, '', 100), { data: ['0', '1', 'last'], gap: false });
    }
  }),

  clause('stores concurrent appends of one process in the order of the calls', async (make) => {
    const log = await make('a', 1_000);
    await Promise.all(Array.from({ length: 200 }, (_, n) => log.append(record(String(n)))));
    const { data } = await read(log, '', 1_000);
    deepStrictEqual(
      data,
      Array.from({ length: 200 }, (_, n) => String(n)),
    );
  }),

  clause('delivers each entry once, in order, from every process, after the id in from', async (make) => {
    const [log, other] = [await make('a', 1_000), await make('a', 1_000)];
    const ids = await appendAll(log, 3);
    const subscriber = new RecordingSubscriber(log);
    strictEqual(await subscriber.from, ids[2]);
    for (let n = 0; n < 50; n++) await (n % 2 === 0 ? log : other).append(record(`live ${n}`));
    deepStrictEqual(
      (await subscriber.until('live 49')).map(({ record }) => record.data),
      Array.from({ length: 50 }, (_, n) => `live ${n}`),
    );
    subscriber.close();
  }),

  clause('delivers to a subscriber exactly the entries that read() returns after from', async (make) => {
    const [log, other] = [await make('a', 10_000), await make('a', 10_000)];
    for (let round = 0; round < 10; round++) {
      const writing = Promise.all([appendAll(log, 50, `${round} a`), appendAll(other, 50, `${round} b`)]);
      const subscriber = new RecordingSubscriber(other);
      const from = await subscriber.from;
      await writing;
      await log.append(record(`${round} last`));
      const received = await subscriber.until(`${round} last`);
      subscriber.close();
      const { entries } = await log.read(from, 10_000);
      deepStrictEqual(received.map(plainEntry), entries.map(plainEntry));
    }
  }),

  clause('stops delivery to a closed subscription, and continues it to the others', async (make) => {
    const log = await make('a', 100);
    const [leaving, staying] = [new RecordingSubscriber(log), new RecordingSubscriber(log)];
    await Promise.all([leaving.from, staying.from]);
    await log.append(record('one'));
    await Promise.all([leaving.until('one'), staying.until('one')]);
    leaving.close();
    leaving.close();
    await log.append(record('two'));
    await staying.until('two');
    strictEqual(leaving.entries.length, 1);
    staying.close();
  }),
];

/** Ids that a client may send, but that no log has assigned. */
const INVALID_IDS: readonly string[] = [
  '~end',
  '0',
  '-',
  '+',
  '$',
  '*',
  '1-',
  '-1',
  '1-2-3',
  '0-0x1',
  '٣-٣',
  ' 1-1',
  '1-1\r\nFLUSHALL',
  '\0',
  '__proto__',
  `${'9'.repeat(400)}-1`,
  '9'.repeat(100_000),
];

const RECORDS: readonly EventRecord[] = [
  { kind: 'event', data: '', serialized: false },
  { kind: 'event', data: 'one\ntwo\n\nthree\n', serialized: false },
  { kind: 'event', type: 'ünïcödé 🎉', data: '✓ é \u2028 \u0085 \0 \uFEFF', serialized: false },
  {
    kind: 'event',
    type: 'price',
    data: '{"data":"x","id":"~end"}',
    serialized: true,
    retry: 0,
    comment: 'a\nb',
  },
  { kind: 'event', data: '"quoted" \\ \t', serialized: true, retry: 5_000 },
  { kind: 'end', type: 'done', data: 'null', serialized: true },
];

/** Subscribes to a log, and records the entries that it receives. */
class RecordingSubscriber {
  readonly entries: LogEntry[] = [];
  readonly from: Awaitable<string>;
  readonly close: () => void;
  #onReceived: (() => void) | undefined;

  constructor(log: EventLog) {
    const subscription = log.subscribe({
      onEntries: (entries, gapBefore) => {
        strictEqual(gapBefore, false);
        this.entries.push(...entries);
        this.#onReceived?.();
      },
    });
    this.from = subscription.from;
    this.close = () => subscription.close();
  }

  /** Resolves with all entries when the newest of them has this data. */
  async until(data: string): Promise<readonly LogEntry[]> {
    while (this.entries.at(-1)?.record.data !== data) {
      await new Promise<void>((resolve) => {
        this.#onReceived = resolve;
      });
    }
    return this.entries;
  }
}

function clause(name: string, run: LogCase['run']): LogCase {
  return { name, run };
}

function record(data: string): EventRecord {
  return { kind: 'event', data, serialized: false };
}

async function appendAll(log: EventLog, count: number, prefix?: string): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++)
    ids.push(await log.append(record(prefix === undefined ? `${n}` : `${prefix} ${n}`)));
  return ids;
}

async function read(log: EventLog, after = '', limit = 100): Promise<{ data: string[]; gap: boolean }> {
  const { entries, gap } = await log.read(after, limit);
  return { data: entries.map(({ record }) => record.data), gap };
}

/** For a log that has the member. */
async function findsBefore(log: EventLog, count: number, expected: string | undefined): Promise<void> {
  if (log.idBeforeNewest === undefined) return;
  const found = await log.idBeforeNewest(count);
  // An id between two events is as good as that of the first: what follows it is the same.
  deepStrictEqual(
    await read(log, found, 2_000),
    await read(log, expected, 2_000),
    `the id before ${count} events`,
  );
}

/** Without the fields that are `undefined`, which a log may omit. */
function plain({ record }: LogEntry): EventRecord {
  return JSON.parse(JSON.stringify(record)) as EventRecord;
}

function plainEntry(entry: LogEntry): object {
  return { id: entry.id, record: plain(entry) };
}
