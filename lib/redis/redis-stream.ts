import type { EventRecord } from '../format/record';
import type { LogEntry } from '../log/entry';
import type { RedisConnection } from './redis-connection';

/** The id before all others: what a key that does not exist has as its last. */
export const FIRST = '0-0';

const ID = /^(\d{1,15})-(\d{1,15})$/;

/** How much Redis retains of a stream. */
export interface StreamBounds {
  readonly maxEvents: number;
  readonly maxAgeMs: number | false;
}

/** What is told of an entry when it is appended. */
export interface StreamMessage extends LogEntry {
  /** The id of the entry in front of it. Whoever knows that one has missed nothing. */
  readonly before: string;
}

/** A part of a stream. */
export interface StreamPage {
  readonly entries: readonly LogEntry[];
  /** Whether nothing is missing between the id that was asked for and the first entry. */
  readonly joined: boolean;
  /** From where on to ask for more: the last entry's id, or that of something foreign behind it. */
  readonly lastId: string;
  /** Whether there may be more. */
  readonly more: boolean;
}

/** Where a stream ends. */
export interface StreamTail {
  /** Of the last entry, also if it is no longer retained; {@link FIRST} if there was none. */
  readonly id: string;
  /** Whether the last entry ends the log. */
  readonly ended: boolean;
  /** Milliseconds since 1970, by the clock that makes this stream's ids. */
  readonly now: number;
}

// A stream that has lost its last entries still knows the last id it gave.
const TAIL = `
local function tail(key)
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

// ARGV: the event, '1' if it is the last, maxEvents, maxAgeMs or '', the channel. One key and no other, for clusters.
// By age it is trimmed exactly: nearly so would keep a hundred old events in a quiet room.
const APPEND = `${TAIL}
local before, over = tail(KEYS[1])
if over == '1' then return '' end
local fields = {'before', before, 'event', ARGV[1]}
if ARGV[2] == '1' then fields[5], fields[6] = 'over', '1' end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(fields))
if ARGV[4] ~= '' then
  local oldest = tonumber(string.match(id, '^%d+')) - tonumber(ARGV[4])
  redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f', oldest))
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
redis.call('PUBLISH', ARGV[5], id .. ' ' .. before .. ' ' .. ARGV[1])
return id
`;

// The time as part of it: each node of a cluster has a clock of its own.
const ASK_TAIL = `${TAIL}
local time = redis.call('TIME')
local id, over = tail(KEYS[1])
return {id, over, time[1], time[2]}
`;

/** One key of Redis that holds a stream, and the channel on which its entries are told. */
export class RedisStream {
  readonly key: string;
  readonly channel: string;
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection, key: string, database: number) {
    this.#connection = connection;
    this.key = key;
    this.channel = `${key}@${database}`;
  }

  /** @returns the id; `undefined` if the log is over */
  async append(record: EventRecord, { maxEvents, maxAgeMs }: StreamBounds): Promise<string | undefined> {
    const over = record.kind === 'event' ? '0' : '1';
    const age = maxAgeMs === false ? '' : String(maxAgeMs);
    const values = [JSON.stringify(record), over, String(maxEvents), age, this.channel];
    // Not by EVALSHA: of two appends on their way, the first could be refused for want of the script and the second,
    // when another process has loaded it meanwhile, be let through before the first comes again.
    const command = ['EVAL', APPEND, '1', this.key, ...values];
    const id = textOf(await this.#connection.now((line) => line.send(this.key, command)));
    return id === '' ? undefined : id;
  }

  async tail(): Promise<StreamTail> {
    const [id, over, seconds, microseconds] = listOf(await this.#ask('EVAL', ASK_TAIL, '1', this.key)).map(
      textOf,
    );
    const now = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    return { id: id ?? FIRST, ended: over === '1', now };
  }

  /**
   * The id behind which everything comes that was appended from that moment on.
   *
   * @param last where the stream ends, if nothing of it is retained
   */
  async idBefore(moment: number, last: string): Promise<string> {
    const [before] = rowsOf(await this.#ask('XREVRANGE', this.key, `(${moment}-0`, '-', 'COUNT', '1'));
    if (before !== undefined) return before.id;
    const [oldest] = rowsOf(await this.#ask('XRANGE', this.key, '-', '+', 'COUNT', '1'));
    return oldest === undefined ? last : (oldest.before ?? FIRST);
  }

  /**
   * The entries after an id; from the oldest on if it is `''`. Others may have put entries of their own into the stream;
   * those are passed over.
   */
  async page(after: string, count: number): Promise<StreamPage> {
    let page = await this.#page(after, count);
    while (page.entries.length === 0 && page.more) {
      page = { ...(await this.#page(page.lastId, count)), joined: page.joined };
    }
    return page;
  }

  /** How many connections hear of what is appended. */
  async listeners(): Promise<number> {
    const command = ['PUBSUB', 'NUMSUB', this.channel];
    const replies = await this.#connection.patiently((line) => line.sendToAll(command));
    return replies.reduce<number>((sum, reply) => sum + Number(listOf(reply)[1] ?? 0), 0);
  }

  /** The id itself is asked for, too: if it is still there, what follows it follows it. */
  async #page(after: string, count: number): Promise<StreamPage> {
    let rows = await this.#rowsFrom(after, count + 1);
    if (rows.length === 0 && after !== '') {
      // Nothing at or behind the id: is it the last that was given, or one that this stream does not know?
      const { id } = await this.tail();
      if (id === after) return { entries: [], joined: true, lastId: after, more: false };
      rows = await this.#rowsFrom(after, count + 1);
    }
    const found = rows[0]?.id === after;
    const wanted = found ? rows.slice(1) : rows.slice(0, count);
    const entries = wanted.flatMap(({ id, record }) => (record === undefined ? [] : [{ id, record }]));
    const joined = after === '' || found || rows[0]?.before === after;
    return { entries, joined, lastId: wanted.at(-1)?.id ?? after, more: rows.length > count };
  }

  async #rowsFrom(after: string, count: number): Promise<Row[]> {
    return rowsOf(
      await this.#ask('XRANGE', this.key, after === '' ? '-' : after, '+', 'COUNT', String(count)),
    );
  }

  #ask(...command: readonly string[]): Promise<unknown> {
    return this.#connection.patiently((line) => line.send(this.key, command));
  }
}

/** What a message says; `undefined` for one that is not ours. */
export function messageOf(text: string): StreamMessage | undefined {
  const end = text.indexOf(' ');
  const begin = text.indexOf(' ', end + 1);
  const [id, before] = [text.slice(0, end), text.slice(end + 1, begin)];
  const record = recordOf(text.slice(begin + 1));
  return isId(id) && isId(before) && record !== undefined ? { id, before, record } : undefined;
}

export function isId(id: string): boolean {
  return ID.test(id);
}

/** `NaN` if one of them is none. */
export function compareIds(a: string, b: string): number {
  if (a === b) return isId(a) ? 0 : Number.NaN;
  const [, aTime, aSequence] = ID.exec(a) ?? [];
  const [, bTime, bSequence] = ID.exec(b) ?? [];
  return Number(aTime) - Number(bTime) || Number(aSequence) - Number(bSequence);
}

interface Row {
  readonly id: string;
  readonly before: string | undefined;
  readonly record: EventRecord | undefined;
}

function rowsOf(reply: unknown): Row[] {
  return listOf(reply).map((row) => {
    const [id, content] = listOf(row);
    const fields = fieldsOf(content);
    return { id: textOf(id), before: fields.get('before'), record: recordOf(fields.get('event')) };
  });
}

/** Flat or in pairs, by client and protocol. */
function fieldsOf(content: unknown): Map<string, string> {
  const values = listOf(content).flat().map(textOf);
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < values.length; i += 2) fields.set(values[i] ?? '', values[i + 1] ?? '');
  return fields;
}

/** Maps and objects become lists of names and values in turn. */
function listOf(reply: unknown): unknown[] {
  if (Array.isArray(reply)) return reply;
  if (reply instanceof Map) return [...reply].flat();
  return typeof reply === 'object' && reply !== null ? Object.entries(reply).flat() : [];
}

/** Some clients hand out bytes. */
function textOf(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
}

/** `undefined` for what we cannot have written. */
function recordOf(text: string | undefined): EventRecord | undefined {
  try {
    const record: unknown = JSON.parse(text ?? '');
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Whoever can write to Redis could write frames of his own if a type or a comment were taken as it comes. */
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
