import type { EventRecord } from '../format/record';
import type { LogEntry } from '../log/entry';
import { APPEND, FIRST, READ_HEAD } from './append-script';
import type { RedisConnection } from './redis-connection';
import { Script } from './script';
import { siblingKey } from './slot';

const ID = /^(\d{1,15})-(\d{1,15})$/;

/** The largest number of rows that one command of a search may return. */
const MAX_ROWS = 500;

/** The approximate size of a page in characters, so that a catch-up with large events takes a bounded amount of memory. */
const PAGE_SIZE = 4 * 2 ** 20;

/** The number of rows of the first command for a stream of whose events this process does not know the size. */
const FIRST_ROWS = 16;

/** How much Redis retains of a stream. */
export interface StreamBounds {
  readonly maxEvents: number;
  readonly maxAgeMs: number | false;
}

/** The message that is published for an appended entry. */
export interface StreamMessage extends LogEntry {
  /** The id of the entry before this one. A follower at this id has missed no entry, unless entries are lost. */
  readonly previousId: string;
  /** The newest id that the publisher knows, if the stream has lost it: entries after `previousId` are lost. */
  readonly lost?: string | undefined;
}

/** An entry to append. */
export interface StreamAppend {
  readonly record: EventRecord;
  /** If an entry was appended with the same key, nothing is appended. `''` for none. */
  readonly idempotencyKey: string;
}

/** What the publisher knows of a log. */
export interface KnownIds {
  /** The newest id in this log. If the stream does not have it, entries are lost. */
  readonly newest: string;
  /** Every new id must be greater. */
  readonly floor: string;
  /** An id of this log that the stream does not have any more, and of which the log does not say so yet. */
  readonly lost?: string | undefined;
}

/** What has become of a {@link StreamAppend}. */
export interface AppendResult {
  /** The id, with a known idempotency key that of the first entry; `''` if the log has ended; `undefined` if nothing was appended. */
  readonly id: string | undefined;
  /** The error of Redis: why nothing was appended, or what has failed since. */
  readonly refused: string | undefined;
}

/** What an entry says of those before it, as {@link StreamMessage}. */
export type EntryLink = Pick<StreamMessage, 'previousId' | 'lost'>;

/** A part of a stream, without entries that are missing in between. */
export interface StreamPage {
  readonly entries: readonly LogEntry[];
  /** Whether no entry is missing between the requested id and the first entry. */
  readonly contiguous: boolean;
  /** What the first entry says of those before it. */
  readonly link?: EntryLink | undefined;
  /** The head of the stream, if it is before the requested id. Then there are no entries. */
  readonly head?: string | undefined;
  /** The id to continue after: that of the last entry, or of a foreign entry that follows it. */
  readonly lastId: string;
  /** Whether more entries may follow. */
  readonly more: boolean;
}

/** The end of a stream. */
export interface StreamHead {
  /** The id of the last entry, even if it is no longer retained; {@link FIRST} if there was none. */
  readonly id: string;
  /** Whether the last entry ends the log. */
  readonly ended: boolean;
  /** Milliseconds since 1970, by the clock that generates the ids of this stream. */
  readonly now: number;
}

const APPEND_SCRIPT = new Script(APPEND);

/**
 * Of so many calls that append with an idempotency key, one checks the size of the hash: reading it at each is a fifth of the
 * cost of a key. The first call of each process checks, so that short-lived processes bound it too.
 */
const APPENDS_PER_SIZE_CHECK = 10;

/** A Redis key that holds a stream, and the channel on which its new entries are published. */
export class RedisStream {
  readonly key: string;
  readonly channel: string;
  readonly #connection: RedisConnection;
  #hashes: readonly [string, string] | undefined;
  #appendsWithKey = 0;
  /** The size of the largest row that this process has seen lately. */
  #rowSize = PAGE_SIZE / FIRST_ROWS;

  constructor(connection: RedisConnection, key: string, channel: string) {
    this.#connection = connection;
    this.key = key;
    this.channel = channel;
  }

  /**
   * Appends entries in one call. Only one call may be in flight: Redis may have to be asked twice, and a client of a cluster
   * resends calls that it could not deliver, after later ones.
   *
   * @returns one result for each entry. Rejects if none was appended, or if that is unknown
   */
  async append(
    appends: readonly StreamAppend[],
    bounds: StreamBounds,
    known: KnownIds,
  ): Promise<AppendResult[]> {
    const hasKeys = appends.some(({ idempotencyKey }) => idempotencyKey !== '');
    const keys = hasKeys ? [this.key, ...this.#idempotencyHashes] : [this.key];
    const values = [
      ...this.appendArguments(bounds, known),
      hasKeys ? this.#checkSize() : '0',
      ...appends.flatMap(({ record, idempotencyKey }) => [...this.recordArguments(record), idempotencyKey]),
    ];
    const reply = await this.#connection.now((driver) => APPEND_SCRIPT.run(driver, keys, values));
    return replyList(reply).map(parseResult);
  }

  /** The first arguments of every script that appends. */
  appendArguments({ maxEvents, maxAgeMs }: StreamBounds, { newest, floor, lost }: KnownIds): string[] {
    const age = maxAgeMs === false ? '' : String(maxAgeMs);
    return [lost === undefined ? newest : `!${lost}`, floor, String(maxEvents), age, this.channel];
  }

  /** The arguments for one entry. */
  recordArguments(record: EventRecord): [event: string, isLast: '0' | '1'] {
    const event = JSON.stringify(record);
    this.noteSize(event.length);
    return [event, record.kind === 'event' ? '0' : '1'];
  }

  /** An entry of this size was appended or received, so that pages may have to be shorter. */
  noteSize(size: number): void {
    if (size > this.#rowSize) this.#rowSize = size;
  }

  async head(): Promise<StreamHead> {
    const [id, ended, seconds, microseconds] = replyList(
      await this.#send('EVAL', READ_HEAD, '1', this.key),
    ).map(replyText);
    const now = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    return { id: id ?? FIRST, ended: ended === '1', now };
  }

  /**
   * An id that is before every entry appended at this moment or later.
   *
   * @param moment milliseconds since 1970, by the clock of Redis
   * @param last the result if no entry is retained
   */
  async idBefore(moment: number, last: string): Promise<string> {
    const [before] = parseRows(await this.#send('XREVRANGE', this.key, `(${moment}-0`, '-', 'COUNT', '1'));
    if (before !== undefined) return before.id;
    const [oldest] = parseRows(await this.#send('XRANGE', this.key, '-', '+', 'COUNT', '1'));
    return oldest === undefined ? last : (oldest.previousId ?? FIRST);
  }

  /** The entries after an id; from the oldest if the id is `''`. Skips foreign entries: those that other programs added. */
  async page(after: string, count: number): Promise<StreamPage> {
    let page = await this.#pageOfRows(after, count);
    while (page.entries.length === 0 && page.more) {
      const next = await this.#pageOfRows(page.lastId, count);
      page = { ...next, contiguous: page.contiguous && next.contiguous, link: page.link ?? next.link };
    }
    return page;
  }

  /**
   * The id after which the newest `count` events follow; `undefined` if no more are retained. A single command for up to
   * about {@link MAX_ROWS} events: a script that returned only the id would take two to five times as much of Redis's time
   * (measured, 1,000 events of 100 bytes to 16 kB).
   */
  async idBeforeNewest(count: number): Promise<string | undefined> {
    let missing = count + 1;
    for (let end = '+'; ; ) {
      // Two more, for the closing entry and its tail, which are no events.
      const limit = Math.min(missing + 2, MAX_ROWS);
      const rows = parseRows(await this.#send('XREVRANGE', this.key, end, '-', 'COUNT', String(limit)));
      const events = rows.filter(({ record }) => record?.kind === 'event');
      const last = rows.at(-1);
      if (events.length >= missing) return events[missing - 1]?.id;
      if (last === undefined || rows.length < limit) return undefined;
      missing -= events.length;
      end = `(${last.storedId}`;
    }
  }

  /** The number of connections that are subscribed to the channel. */
  async subscriberCount(): Promise<number> {
    const replies = await this.#connection.retrying((driver) => driver.subscriberCounts(this.channel));
    return replies.reduce<number>((sum, reply) => sum + subscribersOf(reply), 0);
  }

  /**
   * One page of rows, which may all be foreign. Also requests the row with the id `after` itself: if it is still
   * retained, the row that follows it tells whether an entry is missing between them.
   */
  async #pageOfRows(after: string, count: number): Promise<StreamPage> {
    let { rows, more } = await this.#rowsFrom(after, count + 1);
    if (rows.length === 0 && after !== '') {
      // No row at or after the id: it is either the last generated id, or one that this stream does not know.
      const { id } = await this.head();
      const order = compareIds(id, after);
      if (order === 0) return { entries: [], contiguous: true, lastId: after, more: false };
      if (order < 0) return { entries: [], contiguous: false, head: id, lastId: after, more: false };
      ({ rows, more } = await this.#rowsFrom(after, count + 1));
      if (rows.length === 0) return { entries: [], contiguous: false, lastId: id, more: false };
    }
    const isFound = rows[0]?.id === after;
    const following = (isFound ? rows.slice(1) : rows).filter(({ isTail }) => !isTail);
    const wanted = following.slice(0, Math.min(count, contiguousLength(following)));
    const entries = wanted.flatMap(({ id, record }) => (record === undefined ? [] : [{ id, record }]));
    return {
      entries,
      contiguous: after === '' || follows(following[0], after, isFound),
      link: linkOf(following[0]),
      lastId: wanted.at(-1)?.id ?? after,
      more: more || following.length > wanted.length,
    };
  }

  /** Rows from an id on, up to a number and an approximate size, in as many commands as the size of the rows requires. */
  async #rowsFrom(after: string, limit: number): Promise<{ rows: StreamRow[]; more: boolean }> {
    const rows: StreamRow[] = [];
    let start = after === '' ? '-' : after;
    for (let size = 0; rows.length < limit && size < PAGE_SIZE; ) {
      const room = Math.ceil((PAGE_SIZE - size) / this.#rowSize);
      const count = Math.min(limit - rows.length, room);
      const found = parseRows(await this.#send('XRANGE', this.key, start, '+', 'COUNT', String(count)));
      const last = found.at(-1);
      // A tail may be left of an entry that was trimmed.
      rows.push(...found.filter(({ isTail }, index) => !isTail || (rows.length === 0 && index === 0)));
      if (last === undefined || found.length < count) return { rows, more: false };
      size += found.reduce((sum, row) => sum + row.size, 0);
      this.#rowSize = Math.max(1, ...found.map((row) => row.size));
      start = `(${last.storedId}`;
    }
    return { rows, more: true };
  }

  #checkSize(): '0' | '1' {
    return this.#appendsWithKey++ % APPENDS_PER_SIZE_CHECK === 0 ? '1' : '0';
  }

  get #idempotencyHashes(): readonly [string, string] {
    this.#hashes ??= [siblingKey(this.key, 'once'), siblingKey(this.key, 'once:before')];
    return this.#hashes;
  }

  #send(...command: readonly string[]): Promise<unknown> {
    return this.#connection.retrying((driver) => driver.send(this.key, command));
  }
}

/** @returns `undefined` for a foreign message */
export function parseMessage(text: string): StreamMessage | undefined {
  const end = text.indexOf(' ');
  const begin = text.indexOf(' ', end + 1);
  const id = text.slice(0, end);
  const [previousId = '', lost] = text.slice(end + 1, begin).split(',');
  const record = parseRecord(text.slice(begin + 1));
  const isValid = isId(id) && isId(previousId) && (lost === undefined || isId(lost));
  return isValid && record !== undefined ? { id, previousId, lost, record } : undefined;
}

export function isId(id: string): boolean {
  return ID.test(id);
}

/** As `EventLog.compare`: `NaN` if one of them is not an id. */
export function compareIds(a: string, b: string): number {
  if (a === b) return isId(a) ? 0 : Number.NaN;
  const [, aTime, aSequence] = ID.exec(a) ?? [];
  const [, bTime, bSequence] = ID.exec(b) ?? [];
  return Number(aTime) - Number(bTime) || Number(aSequence) - Number(bSequence);
}

/** One entry of a stream as Redis returns it; a foreign one has no valid record. */
interface StreamRow {
  /** Of a tail, the id of the entry for which it stands. */
  readonly id: string;
  readonly storedId: string;
  readonly previousId: string | undefined;
  /** As {@link StreamMessage.lost}. */
  readonly lost: string | undefined;
  readonly record: EventRecord | undefined;
  /** Whether it only stands for the entry before it, as the head. */
  readonly isTail: boolean;
  /** In characters. */
  readonly size: number;
}

function parseRows(reply: unknown): StreamRow[] {
  return replyList(reply).map((row) => {
    const [id, content] = replyList(row);
    const fields = parseFields(content);
    const event = fields.get('event');
    const tailOf = fields.get('tail-of');
    const storedId = replyText(id);
    return {
      id: tailOf ?? storedId,
      storedId,
      previousId: fields.get('before'),
      lost: fields.get('lost'),
      record: parseRecord(event),
      isTail: tailOf !== undefined,
      size: event?.length ?? 0,
    };
  });
}

/** Whether no entry is missing between an id and a row. */
function follows(row: StreamRow | undefined, id: string, isRetained: boolean): boolean {
  if (row === undefined) return true;
  // A foreign entry does not know the entry before it.
  if (row.record === undefined || row.previousId === undefined) return isRetained;
  if (row.lost === undefined) return row.previousId === id;
  // The stream of the publisher had lost everything: the publisher need not know all of it.
  return row.lost === id && row.previousId !== FIRST;
}

function linkOf(row: StreamRow | undefined): EntryLink | undefined {
  if (row?.record === undefined || row.previousId === undefined) return undefined;
  return { previousId: row.previousId, lost: row.lost };
}

/** The number of rows before the first that does not follow the row before it. */
function contiguousLength(rows: readonly StreamRow[]): number {
  const broken = rows.findIndex((row, index) => index > 0 && !follows(row, rows[index - 1]?.id ?? '', true));
  return broken === -1 ? rows.length : broken;
}

function parseResult(reply: unknown): AppendResult {
  const text = replyText(reply);
  if (text.startsWith('!')) return { id: undefined, refused: text.slice(1) };
  const end = text.indexOf(' ');
  return end === -1
    ? { id: text, refused: undefined }
    : { id: text.slice(0, end), refused: text.slice(end + 1) };
}

/** The fields are a flat list or pairs, depending on the client and the protocol version. */
function parseFields(content: unknown): Map<string, string> {
  const values = replyList(content).flat().map(replyText);
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < values.length; i += 2) fields.set(values[i] ?? '', values[i + 1] ?? '');
  return fields;
}

/** Converts maps and objects to lists in which names and values alternate. */
export function replyList(reply: unknown): unknown[] {
  if (Array.isArray(reply)) return reply;
  if (reply instanceof Map) return [...reply].flat();
  return typeof reply === 'object' && reply !== null ? Object.entries(reply).flat() : [];
}

/** The number in a reply to `PUBSUB NUMSUB` for one channel. */
export function subscribersOf(reply: unknown): number {
  return Number(replyList(reply)[1] ?? 0);
}

/** Some clients return bytes. */
export function replyText(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
}

/** @returns `undefined` for text that this package cannot have written */
function parseRecord(text: string | undefined): EventRecord | undefined {
  try {
    const record: unknown = JSON.parse(text ?? '');
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Without these checks, a program with write access to Redis could inject frames through a type or a comment. */
function isRecord(value: unknown): value is EventRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, type, data, retry, comment } = value as Record<string, unknown>;
  return (
    (kind === 'event' || kind === 'end' || kind === 'error') &&
    typeof data === 'string' &&
    (type === undefined || (typeof type === 'string' && !/[\r\n]/.test(type))) &&
    (retry === undefined || Number.isSafeInteger(retry)) &&
    (comment === undefined || typeof comment === 'string')
  );
}
