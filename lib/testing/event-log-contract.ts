import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import type { EventRecord } from '../format/record';
import type { LogEntry } from '../log/entry';
import type { Awaitable, EventLog } from '../log/event-log';
import type { LeaseObserver, LeasePurpose, LeaseState, LeaseTerms } from '../log/log-lease';

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

  optionalClause(
    'appendOnce',
    'appends once what has one idempotency key, in every process',
    async (make) => {
      const [log, other] = [await make('a', 100), await make('a', 100)];
      const first = await once(log, record('one'), 'key');
      const repeated = [await once(log, record('again'), 'key'), await once(other, record('again'), 'key')];
      const second = await once(other, record('two'), 'other key');
      deepStrictEqual(repeated, [first, first]);
      const { entries } = await log.read('', 100);
      deepStrictEqual(
        entries.map(({ id, record: { data } }) => [id, data]),
        [
          [first, 'one'],
          [second, 'two'],
        ],
      );
    },
  ),

  optionalClause(
    'appendOnce',
    'appends once what is appended with one idempotency key at the same moment',
    async (make) => {
      const logs = [await make('a', 1_000), await make('a', 1_000)];
      const keys = Array.from({ length: 200 }, (_, n) => `key ${n % 50}`);
      const ids = await Promise.all(keys.flatMap((key) => logs.map((log) => once(log, record(key), key))));
      strictEqual(new Set(ids).size, 50);
      const { data } = await read(logs[0] as EventLog, '', 1_000);
      deepStrictEqual([...data].sort(), [...new Set(keys)].sort());
    },
  ),

  optionalClause(
    'appendOnce',
    'knows the idempotency keys of its newest entries, also after its end',
    async (make) => {
      const log = await make('a', 100);
      const ids: string[] = [];
      for (let n = 0; n < 250; n++) ids.push(await once(log, record(`${n}`), `key ${n}`));
      await log.append({ ...record('last'), kind: 'end' });
      for (let n = 150; n < 250; n++) strictEqual(await once(log, record('again'), `key ${n}`), ids[n]);
      await rejects(async () => once(log, record('late'), 'new key'), { code: 'ERR_SSE_CHANNEL_CLOSED' });
    },
  ),

  optionalClause('lease', 'grants the lease of a run to one process', async (make) => {
    const logs = [await make('a', 100), await make('a', 100)];
    const states = await Promise.all(logs.map((log) => requestLease(log, 'start')));
    deepStrictEqual(states.map(({ kind }) => kind).sort(), ['granted', 'held']);
    deepStrictEqual((await requestLease(await make('b', 100), 'find')).kind, 'none');
    states.forEach(close);
  }),

  optionalClause(
    'lease',
    'appends for the holder of the lease, and reports the end to every process',
    async (make) => {
      const [log, other] = [await make('a', 100), await make('a', 100)];
      const state = await requestLease(log, 'start');
      const watching = new RecordingObserver();
      const watched = await requestLease(other, 'find', watching);
      ok(state.kind === 'granted');
      const ids = await Promise.all(['1', '2', '3'].map((data) => state.grant.append(record(data))));
      await state.grant.append({ ...record('last'), kind: 'end' });
      await rejects(state.grant.append(record('late')), { code: 'ERR_SSE_CHANNEL_CLOSED' });
      deepStrictEqual(await read(other), { data: ['1', '2', '3', 'last'], gap: false });
      deepStrictEqual(ids, [...ids].sort(log.compare.bind(log)));
      const remainingMs = await watching.ended;
      ok(remainingMs > 0 && remainingMs <= TERMS.ttlMs, `${remainingMs} ms`);
      strictEqual((await requestLease(other, 'start')).kind, 'ended');
      [state, watched].forEach(close);
    },
  ),

  optionalClause('lease', 'ends a run in another process, whose holder is notified', async (make) => {
    const [log, other] = [await make('a', 100), await make('a', 100)];
    const holding = new RecordingObserver();
    const state = await requestLease(log, 'start', holding);
    ok(state.kind === 'granted');
    const end: EventRecord = { ...record('stopped'), kind: 'end' };
    deepStrictEqual([await other.lease?.end(end, TERMS), await other.lease?.end(end, TERMS)], [true, false]);
    strictEqual(await (await make('b', 100)).lease?.end(end, TERMS), false);
    await holding.ended;
    await rejects(state.grant.append(record('late')), { code: 'ERR_SSE_CHANNEL_CLOSED' });
    deepStrictEqual(await read(log), { data: ['stopped'], gap: false });
    close(state);
  }),

  optionalClause(
    'lease',
    'refuses the appends of a deposed holder, and lets another process take over',
    async (make) => {
      const [log, other] = [await make('a', 100), await make('a', 100)];
      const state = await requestLease(log, 'start');
      ok(state.kind === 'granted');
      const lastId = await state.grant.append(record('1'));
      const watching = new RecordingObserver();
      const watched = await requestLease(other, 'find', watching);
      // Not renewed any more, as if the process had died.
      state.grant.close();
      await watching.expired;
      await rejects(state.grant.append(record('late')), { code: 'ERR_SSE_RUN_LOST' });
      const next = await requestLease(other, 'takeover');
      ok(next.kind === 'granted');
      strictEqual(next.grant.lastId, lastId);
      ok(Number(next.grant.token) > Number(state.grant.token));
      await next.grant.append(record('2'));
      deepStrictEqual(await read(log), { data: ['1', '2'], gap: false });
      [watched, next].forEach(close);
    },
  ),

  optionalClause(
    'lease',
    'gives a lease up: with a record, or to a process that can take over',
    async (make) => {
      for (const canTakeOver of [false, true]) {
        const [log, other] = [await make(`${canTakeOver}`, 100), await make(`${canTakeOver}`, 100)];
        const state = await requestLease(log, 'start');
        const watching = new RecordingObserver(canTakeOver);
        const watched = await requestLease(other, 'find', watching);
        ok(state.kind === 'granted');
        await watching.checked;
        strictEqual(await state.grant.release({ ...record('closed'), kind: 'error' }), canTakeOver);
        if (canTakeOver) await watching.expired;
        else await watching.ended;
        deepStrictEqual(await read(other), { data: canTakeOver ? [] : ['closed'], gap: false });
        close(watched);
      }
    },
  ),
];

const TERMS: LeaseTerms = { leaseMs: 2_000, ttlMs: 30_000 };

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

/** Records the changes of a lease. */
class RecordingObserver implements LeaseObserver {
  readonly #canTakeOver: boolean;
  #resolve: Record<'checked' | 'expired', () => void> = {
    checked: () => undefined,
    expired: () => undefined,
  };
  #resolveEnded: (remainingMs: number) => void = () => undefined;
  /** Resolves when the log has checked the lease once. */
  readonly checked = new Promise<void>((resolve) => {
    this.#resolve.checked = resolve;
  });
  readonly expired = new Promise<void>((resolve) => {
    this.#resolve.expired = resolve;
  });
  readonly ended = new Promise<number>((resolve) => {
    this.#resolveEnded = resolve;
  });

  constructor(canTakeOver = false) {
    this.#canTakeOver = canTakeOver;
  }

  get canTakeOver(): boolean {
    // The mark of this process is stored when the next check reads it.
    setTimeout(() => this.#resolve.checked(), 500);
    return this.#canTakeOver;
  }

  onDeposed(): void {}

  onGone(): void {}

  onExpired(): void {
    this.#resolve.expired();
  }

  onEnded(remainingMs: number): void {
    this.#resolveEnded(remainingMs);
  }
}

function clause(name: string, run: LogCase['run']): LogCase {
  return { name, run };
}

/** A clause that only a log with an optional member must fulfil. */
function optionalClause(member: 'appendOnce' | 'lease', name: string, run: LogCase['run']): LogCase {
  const runIfPresent = async (make: MakeLog) => {
    if ((await make('optional', 100))[member] !== undefined) await run(make);
  };
  return { name, run: runIfPresent };
}

async function once(log: EventLog, event: EventRecord, key: string): Promise<string> {
  const id = await log.appendOnce?.(event, key);
  ok(id !== undefined);
  return id;
}

async function requestLease(
  log: EventLog,
  purpose: LeasePurpose,
  observer: LeaseObserver = new RecordingObserver(),
): Promise<LeaseState> {
  const state = await log.lease?.request({ purpose, terms: TERMS, observer });
  ok(state !== undefined);
  return state;
}

function close(state: LeaseState): void {
  if (state.kind === 'granted') state.grant.close();
  else if (state.kind === 'held' || state.kind === 'expired') state.observation.close();
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
