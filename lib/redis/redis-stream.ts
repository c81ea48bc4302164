import type { EventRecord } from '../format/record';
import type { LogEntry } from '../log/entry';
import { PUBLISH_FUNCTION } from './channel-name';
import type { RedisConnection } from './redis-connection';
import { siblingKey } from './slot';

/** The id before all others. It is the head of a key that does not exist. */
export const FIRST = '0-0';

const ID = /^(\d{1,15})-(\d{1,15})$/;

/** The largest number of rows that one command of a search may return. */
const MAX_ROWS = 500;

/** How much Redis retains of a stream. */
export interface StreamBounds {
  readonly maxEvents: number;
  readonly maxAgeMs: number | false;
}

/** The message that is published for an appended entry. */
export interface StreamMessage extends LogEntry {
  /** The id of the entry before this one. A follower at this id has missed no entry. */
  readonly previousId: string;
}

/** A part of a stream. */
export interface StreamPage {
  readonly entries: readonly LogEntry[];
  /** Whether no entry is missing between the requested id and the first entry. */
  readonly contiguous: boolean;
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

// The stored fields are `before` (the previous id), `event` (the record as JSON) and, in the last entry, `over`.
// A stream whose entries were all trimmed still knows its last generated id.
const HEAD = `
local function head(key)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  if last then
    for i = 1, #last[2], 2 do
      if last[2][i] == 'over' then return last[1], '1' end
    end
    return last[1], ''
  end
  if redis.call('EXISTS', key) == 0 then return '${FIRST}', '' end
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1], '' end
  end
end
`;

// ARGV: the event, '1' if it is the last, maxEvents, maxAgeMs or '', the channel. Returns '' if the log has ended.
// The age limit is exact ('='): the approximate '~' could keep a hundred expired events of a log with little traffic.
export const APPEND_FUNCTION = `${HEAD}${PUBLISH_FUNCTION}
local function append(key)
  local before, ended = head(key)
  if ended == '1' then return '' end
  local fields = {'before', before, 'event', ARGV[1]}
  if ARGV[2] == '1' then fields[5], fields[6] = 'over', '1' end
  local id = redis.call('XADD', key, 'MAXLEN', '~', ARGV[3], '*', unpack(fields))
  if ARGV[4] ~= '' then
    local oldest = tonumber(string.match(id, '^%d+')) - tonumber(ARGV[4])
    redis.call('XTRIM', key, 'MINID', '=', string.format('%.0f', oldest))
    redis.call('PEXPIRE', key, ARGV[4])
  end
  local published = publish(ARGV[5], id .. ' ' .. before .. ' ' .. ARGV[1])
  if type(published) == 'table' then error(published.err) end
  return id
end
`;

// A single key, as clusters require.
const APPEND = `${APPEND_FUNCTION}return append(KEYS[1])`;

// KEYS: the stream, and two hashes with the ids of the newest idempotency keys: once the first has maxEvents keys, it
// replaces the second. ARGV: as APPEND_FUNCTION, the idempotency key, and '1' if the size of the first hash is checked.
const APPEND_ONCE = `${APPEND_FUNCTION}
if ARGV[7] == '1' and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then
  redis.call('UNLINK', KEYS[3])
  redis.call('RENAME', KEYS[2], KEYS[3])
end
local first = redis.call('HGET', KEYS[2], ARGV[6]) or redis.call('HGET', KEYS[3], ARGV[6])
if first then return first end
local id = append(KEYS[1])
if id == '' then return '' end
redis.call('HSET', KEYS[2], ARGV[6], id)
if ARGV[4] ~= '' then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
return id
`;

// Reads the time in the same script, because each node of a cluster has its own clock.
const READ_HEAD = `${HEAD}
local time = redis.call('TIME')
local id, ended = head(KEYS[1])
return {id, ended, time[1], time[2]}
`;

/**
 * Of so many appends with an idempotency key, one checks the size of the hash: reading it at each is a fifth of the cost
 * of a key. The first append of each process checks, so that short-lived processes bound it too.
 */
const APPENDS_PER_SIZE_CHECK = 10;

/** A Redis key that holds a stream, and the channel on which its new entries are published. */
export class RedisStream {
  readonly key: string;
  readonly channel: string;
  readonly #connection: RedisConnection;
  #hashes: readonly [string, string] | undefined;
  #appendsWithKey = 0;

  constructor(connection: RedisConnection, key: string, channel: string) {
    this.#connection = connection;
    this.key = key;
    this.channel = channel;
  }

  /**
   * @param idempotencyKey if an entry was appended with the same key, nothing is appended
   * @returns the id, with a known idempotency key that of the first entry; `undefined` if the log has ended
   */
  async append(
    record: EventRecord,
    bounds: StreamBounds,
    idempotencyKey?: string,
  ): Promise<string | undefined> {
    const values = this.appendArguments(record, bounds);
    // Not EVALSHA: with two appends in flight, Redis could reject the first because it does not know the script, and
    // accept the second, because another process has loaded the script meanwhile, before the first is sent again.
    const command =
      idempotencyKey === undefined
        ? ['EVAL', APPEND, '1', this.key, ...values]
        : [
            'EVAL',
            APPEND_ONCE,
            '3',
            this.key,
            ...this.#idempotencyHashes,
            ...values,
            idempotencyKey,
            this.#checkSize(),
          ];
    const id = replyText(await this.#connection.now((driver) => driver.send(this.key, command)));
    return id === '' ? undefined : id;
  }

  /** The first arguments of every script that contains {@link APPEND_FUNCTION}. */
  appendArguments(record: EventRecord, { maxEvents, maxAgeMs }: StreamBounds): string[] {
    const isLast = record.kind === 'event' ? '0' : '1';
    const age = maxAgeMs === false ? '' : String(maxAgeMs);
    return [JSON.stringify(record), isLast, String(maxEvents), age, this.channel];
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
      page = { ...(await this.#pageOfRows(page.lastId, count)), contiguous: page.contiguous };
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
      // One more, for the closing entry, which is no event.
      const limit = Math.min(missing + 1, MAX_ROWS);
      const rows = parseRows(await this.#send('XREVRANGE', this.key, end, '-', 'COUNT', String(limit)));
      const events = rows.filter(({ record }) => record?.kind === 'event');
      const last = rows.at(-1);
      if (events.length >= missing) return events[missing - 1]?.id;
      if (last === undefined || rows.length < limit) return undefined;
      missing -= events.length;
      end = `(${last.id}`;
    }
  }

  /** The number of connections that are subscribed to the channel. */
  async subscriberCount(): Promise<number> {
    const replies = await this.#connection.retrying((driver) => driver.subscriberCounts(this.channel));
    return replies.reduce<number>((sum, reply) => sum + subscribersOf(reply), 0);
  }

  /**
   * One page of rows, which may all be foreign. Also requests the row with the id `after` itself: if it is still
   * retained, the rows that follow it are contiguous.
   */
  async #pageOfRows(after: string, count: number): Promise<StreamPage> {
    let rows = await this.#rowsFrom(after, count + 1);
    if (rows.length === 0 && after !== '') {
      // No row at or after the id: it is either the last generated id, or one that this stream does not know.
      const { id } = await this.head();
      if (id === after) return { entries: [], contiguous: true, lastId: after, more: false };
      rows = await this.#rowsFrom(after, count + 1);
    }
    const found = rows[0]?.id === after;
    const wanted = found ? rows.slice(1) : rows.slice(0, count);
    const entries = wanted.flatMap(({ id, record }) => (record === undefined ? [] : [{ id, record }]));
    const contiguous = after === '' || found || rows[0]?.previousId === after;
    return { entries, contiguous, lastId: wanted.at(-1)?.id ?? after, more: rows.length > count };
  }

  async #rowsFrom(after: string, count: number): Promise<StreamRow[]> {
    return parseRows(
      await this.#send('XRANGE', this.key, after === '' ? '-' : after, '+', 'COUNT', String(count)),
    );
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
  const [id, previousId] = [text.slice(0, end), text.slice(end + 1, begin)];
  const record = parseRecord(text.slice(begin + 1));
  return isId(id) && isId(previousId) && record !== undefined ? { id, previousId, record } : undefined;
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
  readonly id: string;
  readonly previousId: string | undefined;
  readonly record: EventRecord | undefined;
}

function parseRows(reply: unknown): StreamRow[] {
  return replyList(reply).map((row) => {
    const [id, content] = replyList(row);
    const fields = parseFields(content);
    return { id: replyText(id), previousId: fields.get('before'), record: parseRecord(fields.get('event')) };
  });
}

/** The fields are a flat list or pairs, depending on the client and the protocol version. */
function parseFields(content: unknown): Map<string, string> {
  const values = replyList(content).flat().map(replyText);
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < values.length; i += 2) fields.set(values[i] ?? '', values[i + 1] ?? '');
  return fields;
}

/** The number in a reply to `PUBSUB NUMSUB` for one channel. */
export function subscribersOf(reply: unknown): number {
  return Number(replyList(reply)[1] ?? 0);
}

/** Converts maps and objects to lists in which names and values alternate. */
export function replyList(reply: unknown): unknown[] {
  if (Array.isArray(reply)) return reply;
  if (reply instanceof Map) return [...reply].flat();
  return typeof reply === 'object' && reply !== null ? Object.entries(reply).flat() : [];
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
