import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import type { EventRecord } from '../format/record';
import type { LogEntry } from '../log/entry';
import type { Awaitable, EventLog } from '../log/event-log';

/**
 * Makes a log. Called twice with the same `key` within one case it makes what two processes have of one log; another
 * key is another log, empty at first. `maxEvents` is how many events it should retain; some more are all right.
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
 * One clause of the contract of a log, as a test for whichever runner.
 *
 * @example
 * const [first] = eventLogContract;
 * console.log(first?.name); // 'gives ids that ascend and can stand in a header'
 */
export interface LogCase {
  /** What a log does that keeps the clause, for the title of a test. */
  readonly name: string;
  /** Rejects with an `AssertionError` if the log breaks the clause. */
  run(make: MakeLog): Promise<void>;
}

/**
 * What every log for a `Channel` must do: `memoryLog()` and `redisLogs()` pass it, and a log of yours should.
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
  clause('gives ids that ascend and can stand in a header', async (make) => {
    const log = await make('a', 100);
    const ids = await appendAll(log, 20);
    for (const [index, id] of ids.entries()) {
      match(id, /^(?!~)[!-~]{1,128}$/);
      strictEqual(Math.sign(log.compare(ids[index - 1] ?? id, id)), index === 0 ? 0 : -1);
      strictEqual(Math.sign(log.compare(ids[ids.length - 1] ?? id, id)), index === ids.length - 1 ? 0 : 1);
    }
  }),

  clause('keeps every field and every character', async (make) => {
    const log = await make('a', 100);
    for (const record of RECORDS) await log.append(record);
    const { entries, gap } = await log.read('', 100);
    strictEqual(gap, false);
    deepStrictEqual(entries.map(plain), RECORDS);
  }),

  clause('reads what follows an id, as much as is asked for', async (make) => {
    const log = await make('a', 100);
    const ids = await appendAll(log, 10);
    deepStrictEqual(await read(log, '', 3), { data: ['0', '1', '2'], gap: false });
    deepStrictEqual(await read(log, ids[2], 4), { data: ['3', '4', '5', '6'], gap: false });
    deepStrictEqual(await read(log, ids[9], 5), { data: [], gap: false });
  }),

  clause('reads nothing from an empty log', async (make) => {
    const log = await make('a', 100);
    deepStrictEqual(await read(log, '', 5), { data: [], gap: false });
    deepStrictEqual(await read(log, (await log.head()).id, 5), { data: [], gap: false });
  }),

  clause('answers an id that it has never given with a gap and the oldest entries', async (make) => {
    const log = await make('a', 100);
    await appendAll(log, 3);
    for (const id of HOSTILE_IDS) {
      deepStrictEqual(
        await read(log, id, 2),
        { data: ['0', '1'], gap: true },
        JSON.stringify(id.slice(0, 40)),
      );
    }
  }),

  clause('cannot order what is no id of its', async (make) => {
    const log = await make('a', 100);
    const [id = ''] = await appendAll(log, 1);
    for (const hostile of HOSTILE_IDS) {
      ok(Number.isNaN(log.compare(hostile, id)), JSON.stringify(hostile.slice(0, 40)));
      ok(Number.isNaN(log.compare(id, hostile)), JSON.stringify(hostile.slice(0, 40)));
    }
  }),

  clause('drops its oldest entries, and tells of the gap', async (make) => {
    const log = await make('a', 10);
    const ids = await appendAll(log, 1_000);
    const { entries, gap } = await log.read(ids[0] ?? '', 2_000);
    strictEqual(gap, true);
    ok(entries.length >= 10 && entries.length < 900, `${entries.length} entries are retained`);
    strictEqual(entries.at(-1)?.id, ids.at(-1));
    const before = ids[1_000 - entries.length - 1] ?? '';
    deepStrictEqual((await log.read(before, 2_000)).gap, false);
  }),

  clause('ends where its tip says, before whatever is appended afterwards', async (make) => {
    const log = await make('a', 100);
    for (let n = 0; n < 5; n++) {
      const tip = log.head();
      await log.append(record(`after ${n}`));
      const { id, ended } = await tip;
      strictEqual(ended, false);
      const { data, gap } = await read(log, id, 100);
      deepStrictEqual({ last: data.at(-1), gap }, { last: `after ${n}`, gap: false });
    }
  }),

  clause('has its newest entry at its tip', async (make) => {
    const log = await make('a', 100);
    const ids = await appendAll(log, 3);
    strictEqual((await log.head()).id, ids[2]);
  }),

  clause('takes nothing behind an end or an error, in whichever process', async (make) => {
    for (const kind of ['end', 'error'] as const) {
      const log = await make(kind, 100);
      await appendAll(log, 2);
      await log.append({ ...record('over'), kind });
      const again = await make(kind, 100);
      const refused = { code: 'ERR_SSE_CHANNEL_CLOSED' };
      await rejects(async () => log.append(record('late')), refused);
      await rejects(async () => again.append(record('late')), refused);
      strictEqual((await again.head()).ended, true);
      deepStrictEqual(await read(again, '', 100), { data: ['0', '1', 'over'], gap: false });
    }
  }),

  clause('keeps appends that do not wait for each other in the order of the calls', async (make) => {
    const log = await make('a', 1_000);
    await Promise.all(Array.from({ length: 200 }, (_, n) => log.append(record(String(n)))));
    const { data } = await read(log, '', 1_000);
    deepStrictEqual(
      data,
      Array.from({ length: 200 }, (_, n) => String(n)),
    );
  }),

  clause('is heard once, in order, whoever appends, from the id that it names', async (make) => {
    const [log, again] = [await make('a', 1_000), await make('a', 1_000)];
    const ids = await appendAll(log, 3);
    const ear = new Ear(log);
    strictEqual(await ear.from, ids[2]);
    for (let n = 0; n < 50; n++) await (n % 2 === 0 ? log : again).append(record(`live ${n}`));
    deepStrictEqual(
      (await ear.until('live 49')).map(({ record }) => record.data),
      Array.from({ length: 50 }, (_, n) => `live ${n}`),
    );
    ear.stop();
  }),

  clause('leaves no seam between what is read and what is heard', async (make) => {
    const [log, again] = [await make('a', 10_000), await make('a', 10_000)];
    for (let round = 0; round < 10; round++) {
      const writing = Promise.all([appendAll(log, 50, `${round} a`), appendAll(again, 50, `${round} b`)]);
      const ear = new Ear(again);
      const from = await ear.from;
      await writing;
      await log.append(record(`${round} last`));
      const heard = await ear.until(`${round} last`);
      ear.stop();
      const after = (await log.read(from, 10_000)).entries;
      deepStrictEqual(heard.map(plainEntry), after.map(plainEntry));
    }
  }),

  clause('is heard no more by a follower that has stopped, and still by the others', async (make) => {
    const log = await make('a', 100);
    const [leaving, staying] = [new Ear(log), new Ear(log)];
    await Promise.all([leaving.from, staying.from]);
    await log.append(record('one'));
    await Promise.all([leaving.until('one'), staying.until('one')]);
    leaving.stop();
    leaving.stop();
    await log.append(record('two'));
    await staying.until('two');
    strictEqual(leaving.entries.length, 1);
    staying.stop();
  }),
];

/** What clients have sent, or might. */
const HOSTILE_IDS: readonly string[] = [
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

/** One follower, and what it has heard. */
class Ear {
  readonly entries: LogEntry[] = [];
  readonly from: Awaitable<string>;
  readonly stop: () => void;
  #wake: (() => void) | undefined;

  constructor(log: EventLog) {
    const following = log.subscribe({
      onEntries: (entries, missed) => {
        strictEqual(missed, false);
        this.entries.push(...entries);
        this.#wake?.();
      },
    });
    this.from = following.from;
    this.stop = () => following.close();
  }

  async until(data: string): Promise<readonly LogEntry[]> {
    while (this.entries.at(-1)?.record.data !== data) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
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

/** A log may leave out what is undefined. */
function plain({ record }: LogEntry): EventRecord {
  return JSON.parse(JSON.stringify(record)) as EventRecord;
}

function plainEntry(entry: LogEntry): object {
  return { id: entry.id, record: plain(entry) };
}
