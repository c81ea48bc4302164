import {
  type IncomingMessage,
  type OutgoingHttpHeaders,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { isUint8Array } from 'node:util/types';
import { describe, outOfRange, wrongType } from './errors';

/**
 * Turns data that is not a string into text; `JSON.stringify` by default. What is no string afterwards is refused with
 * `ERR_SSE_INVALID_DATA`.
 *
 * @example
 * const withBigInts: Serialize = (data) =>
 *   JSON.stringify(data, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
 * app.use(sse({ serialize: withBigInts }));
 */
export type Serialize = (data: unknown) => string | undefined;

/**
 * How streams behave. Every option may be left out; `undefined` counts as left out; off is `false`. A misspelt one, or a
 * wrong value, throws at once.
 *
 * @example
 * app.use(sse({ keepAliveMs: 10_000, maxDurationMs: 15 * 60_000 }));
 */
export interface SseOptions {
  /**
   * Milliseconds without other bytes after which a comment keeps the connection warm, up to 1/16 of it later; also while
   * the generator is waiting. Choose it below the idle time-out of every proxy on the way. `false` turns it off.
   * @default 15_000
   */
  readonly keepAliveMs?: number | false;
  /**
   * The client's reconnection time, in milliseconds, sent once at the beginning of each stream; an `EventSource` keeps it
   * until it is told another. `false` sends none.
   * @default false; 3_000 with `maxStreams`, whose longer reconnection time must be taken back
   */
  readonly retryMs?: number | false;
  /**
   * Milliseconds to wait for the first value before the head goes out. Until then a throw still becomes a real
   * status. `0` does not wait at all, `false` waits for ever.
   * @default 50
   */
  readonly commitAfterMs?: number | false;
  /**
   * What a generator's return means to the client: `'stop'` sends the closing event, on which an `EventSource`
   * stops for good; `'reconnect'` sends nothing, so that it comes again.
   * @default 'stop'
   */
  readonly end?: 'stop' | 'reconnect';
  /**
   * Extra response headers, which win over the package's own; `Set-Cookie` and `Vary` are added to those set before.
   * `Content-Type`, `Connection` and those that frame the body are refused.
   * @default {}
   */
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>>;
  /**
   * Turns data that is not a string into text. What it throws, or returns other than a string, is the stream's error. Of
   * what a channel publishes, the channel's own.
   * @default JSON.stringify
   */
  readonly serialize?: Serialize;
  /**
   * `true` lets `compression()` compress the stream; each write is then flushed. `false` says `no-transform` in the head.
   * @default false
   */
  readonly compress?: boolean;
  /**
   * Hears of an error after the head; what it returns, not as a promise, is the client's last value, and `undefined` is
   * none. Nothing of the error itself reaches the client. Where there is no `next`, as under `node:http`, it hears of
   * errors before the head too, in place of a process warning.
   * @default undefined
   */
  readonly onError?: (error: unknown, req: IncomingMessage) => unknown;
  /**
   * How many streams of this instance may be open when one more asks: a positive integer, or `Infinity` for no limit. The
   * instance is `sse` itself, with all its doors, or what `createSse()` has made.
   * @default Infinity
   */
  readonly maxStreams?: number;
  /**
   * What one more gets: `'retry'` answers 200 with a reconnection time of 5 to 15 seconds and ends, so that an
   * `EventSource` comes back; `'refuse'` passes an `SseError` `ERR_SSE_FULL` (503, `Retry-After`) to `next`.
   * @default 'retry'
   */
  readonly whenFull?: 'retry' | 'refuse';
  /**
   * Milliseconds after which a stream is ended so that its client reconnects, at a random moment in the last fifth: its
   * signal aborts, and its generator may go on for 5 seconds. `false` never.
   * @default false
   */
  readonly maxDurationMs?: number | false;
  /**
   * Milliseconds a client may take to read what was sent before it is disconnected; until then its generator is paused.
   * `false` waits for ever.
   * @default 60_000
   */
  readonly stallTimeoutMs?: number | false;
  /**
   * Milliseconds a generator may go on after its client has left before a process warning tells, once per route; it is
   * not stopped, which nobody can do from outside. `false` never.
   * @default 30_000
   */
  readonly cleanupWarnMs?: number | false;
}

/** {@link SseOptions} with every default in place. */
export interface Settings {
  readonly keepAliveMs: number | false;
  readonly retryMs: number | false;
  readonly commitAfterMs: number | false;
  readonly end: 'stop' | 'reconnect';
  readonly headers: ReadonlyArray<readonly [name: string, value: string | number | readonly string[]]>;
  readonly serialize: Serialize;
  readonly compress: boolean;
  readonly onError: SseOptions['onError'] | undefined;
  readonly maxStreams: number;
  readonly whenFull: 'retry' | 'refuse';
  readonly maxDurationMs: number | false;
  readonly stallTimeoutMs: number | false;
  readonly cleanupWarnMs: number | false;
}

/**
 * How `sse.close()` goes about it.
 *
 * @example
 * await sse.close({ spreadMs: 10_000, graceMs: 1_000 }); // all have been told after 10 seconds
 */
export interface CloseOptions {
  /**
   * Milliseconds over which the streams are told, each at a random moment, so that the reconnections spread. `0` tells
   * all at once.
   * @default 1_000
   */
  readonly spreadMs?: number;
  /**
   * Milliseconds a told generator may go on, to say farewell. `0` ends its stream as soon as it is told.
   * @default 5_000
   */
  readonly graceMs?: number;
}

export const CLOSE_DEFAULTS = { spreadMs: 1_000, graceMs: 5_000 } as const;

/** The reconnection time that takes back the longer one of a full server. */
const RETRY_MS_WITH_LIMIT = 3_000;

// One object for all who ask for nothing else: a hundred thousand channels are a hundred thousand logs.
const MEMORY_LOG_DEFAULTS = { maxEvents: 1_000, maxBytes: 16 * 2 ** 20, maxAgeMs: false } as const;

const CHANNEL_DEFAULTS = {
  overflow: 'disconnect',
  replay: false,
  serialize: JSON.stringify,
  parse: JSON.parse,
} as const;

/** The longest delay that Node's timers keep; a longer one fires at once. */
const MAX_DELAY_MS = 2_147_483_647;

/**
 * How much `memoryLog()` retains; whatever comes first counts.
 *
 * @example
 * const news = new Channel({ log: memoryLog({ maxEvents: 100, maxAgeMs: 60 * 60_000 }) });
 */
export interface MemoryLogOptions {
  /**
   * How many events are retained: a positive integer. A client that has missed more is told of a gap.
   * @default 1_000
   */
  readonly maxEvents?: number;
  /**
   * How many bytes of frames are retained: a positive integer; the newest event in any case.
   * @default 16_777_216
   */
  readonly maxBytes?: number;
  /**
   * Milliseconds for which an event is retained. `false` for ever.
   * @default false
   */
  readonly maxAgeMs?: number | false;
}

/** What a channel is made with, besides its log. */
export interface ChannelSettings {
  /**
   * What becomes of a subscriber who is so slow that the log no longer holds what comes next for it: `'disconnect'` ends its
   * stream, so that its client comes back with its last event ID and is told of the gap; `'skip'` sends it a `gap`
   * and goes on from the oldest retained event.
   * @default 'disconnect'
   */
  readonly overflow?: 'disconnect' | 'skip';
  /**
   * Whether a subscriber without a last event ID gets everything that is retained, as in a chat that shows its history,
   * and not only what comes from now on.
   * @default false; true for `Channel.from()`
   */
  readonly replay?: boolean;
  /**
   * Turns data that is not a string into text, once for each event, when it is published; the routes' own is not asked.
   * What it throws, or returns other than a string, is the publisher's error.
   * @default JSON.stringify
   */
  readonly serialize?: Serialize;
  /**
   * The way back, for filters and iterators; not called for strings, nor for a browser's stream without a filter. If it
   * throws, the subscriber that asked ends with the error.
   * @default JSON.parse
   */
  readonly parse?: (text: string) => unknown;
}

/** How `Channel.from()` runs its source, besides what the channel is made with. */
export interface RunSettings extends ChannelSettings {
  /**
   * Milliseconds without a subscriber, in whichever process, after which the source is cancelled; also if none has come
   * yet. `false` never.
   * @default 60_000
   */
  readonly ttlMs?: number | false;
}

/**
 * How all logs of one Redis are kept.
 *
 * @example
 * const logs = redisLogs(client, { prefix: 'shop:events:' });
 */
export interface RedisLogsOptions {
  /**
   * Goes in front of each log's key in Redis, behind a `keyPrefix` of the client. `''` for none.
   * @default 'sse:'
   */
  readonly prefix?: string;
}

/**
 * How much a log on Redis retains. All processes should name the same bounds for a key.
 *
 * @example
 * const prices = new Channel({ log: logs('prices', { maxEvents: 10_000, maxAgeMs: 24 * 60 * 60_000 }) });
 */
export interface RedisLogOptions {
  /**
   * How many events Redis retains, perhaps a hundred more: a positive integer.
   * @default 1_000
   */
  readonly maxEvents?: number;
  /**
   * Milliseconds for which Redis retains an event, perhaps a little longer; a log that is not appended to for so long
   * disappears. `false` for ever.
   * @default false
   */
  readonly maxAgeMs?: number | false;
  /**
   * How many of the newest events each process holds in memory while it has subscribers: a positive integer. Who is
   * further behind reads from Redis.
   * @default 1_000
   */
  readonly memoryEvents?: number;
}

/**
 * How `openStream()` opens a stream in a test.
 *
 * @example
 * const stream = await openStream(app, '/prices', { lastEventId: 'row-7', headers: { Cookie: 'session=1' } });
 */
export interface StreamInit {
  /**
   * The request's method.
   * @default 'GET', or 'POST' if there is a body
   */
  readonly method?: string;
  /**
   * The request's headers. `Accept: text/event-stream` is sent unless one is given.
   * @default {}
   */
  readonly headers?: Readonly<OutgoingHttpHeaders>;
  /**
   * The request's body, sent as it is; say of what type in `headers`.
   * @default undefined
   */
  readonly body?: string | Uint8Array;
  /**
   * Sent as `Last-Event-ID`, as by a browser that comes back; `''` is not sent.
   * @default ''
   */
  readonly lastEventId?: string;
  /**
   * Milliseconds after which a wait fails, with a message that shows what had arrived. It cannot be turned off.
   * @default 3_000
   */
  readonly timeoutMs?: number;
  /**
   * How an `https:` target is met, such as `{ ca }`.
   * @default Node's own checks for a URL; none for a server of this process, whose certificate is hardly ever a real one
   */
  readonly tls?: ConnectionOptions;
}

/** With the time after which a test's wait fails in place. */
export type Timed<Options> = Options & { readonly timeoutMs: number };

/** How much `eventStream()` reads of a response in a test, besides its predicate. */
export interface EventStreamSettings {
  /**
   * How many events are read before the request is ended: a positive integer. Not together with `until`.
   * @default all, to the end of the response
   */
  readonly take?: number;
  /**
   * Milliseconds after which the request fails, with a message that shows what had arrived. It cannot be turned off.
   * @default 3_000
   */
  readonly timeoutMs?: number;
}

type Check = (name: string, value: unknown) => void;

const CHECKS: Readonly<Record<keyof SseOptions, Check>> = {
  keepAliveMs: delay(1, 'off'),
  retryMs: delay(0, 'off'),
  commitAfterMs: delay(0, 'off'),
  end: oneOf('stop', 'reconnect'),
  headers: checkHeaders,
  serialize: ofType('function', 'a function like JSON.stringify'),
  compress: ofType('boolean', 'true or false'),
  onError: ofType('function', 'a function (err, req) => value'),
  maxStreams: checkLimit,
  whenFull: oneOf('retry', 'refuse'),
  maxDurationMs: delay(1, 'off'),
  stallTimeoutMs: delay(1, 'off'),
  cleanupWarnMs: delay(1, 'off'),
};

const MEMORY_LOG_CHECKS: Readonly<Record<keyof MemoryLogOptions, Check>> = {
  maxEvents: count,
  maxBytes: count,
  maxAgeMs: delay(1, 'off'),
};

const CHANNEL_CHECKS: Readonly<Record<keyof ChannelSettings | 'log', Check>> = {
  log: checkLog,
  overflow: oneOf('disconnect', 'skip'),
  replay: ofType('boolean', 'true or false'),
  serialize: CHECKS.serialize,
  parse: ofType('function', 'a function like JSON.parse'),
};

const RUN_CHECKS = { ...CHANNEL_CHECKS, ttlMs: delay(1, 'off') };

const REDIS_LOGS_CHECKS: Readonly<Record<keyof RedisLogsOptions, Check>> = {
  prefix: ofType('string', 'a string'),
};

const REDIS_LOG_CHECKS: Readonly<Record<keyof RedisLogOptions, Check>> = {
  maxEvents: count,
  maxAgeMs: delay(1, 'off'),
  memoryEvents: count,
};

const CLOSE_CHECKS: Readonly<Record<keyof CloseOptions, Check>> = {
  spreadMs: delay(0, 'on'),
  graceMs: delay(0, 'on'),
};

const STREAM_INIT_CHECKS: Readonly<Record<keyof StreamInit, Check>> = {
  method: ofType('string', 'a method such as POST'),
  headers: checkHeaderObject,
  body: checkBody,
  lastEventId: ofType('string', 'a string'),
  timeoutMs: delay(1, 'on'),
  tls: ofType('object', 'an object such as { ca }'),
};

const EVENT_STREAM_CHECKS: Readonly<Record<keyof EventStreamSettings | 'until', Check>> = {
  take: count,
  until: ofType('function', 'a function of an event'),
  timeoutMs: delay(1, 'on'),
};

/** Below the 5,000 ms after which Jest and Vitest give a test up, without a word of what had arrived. */
const TEST_DEFAULTS = { timeoutMs: 3_000 } as const;

// Framing headers are the connection's; another type would make every EventSource fail.
const OWN_HEADERS = new Set([
  'content-type',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
]);

/**
 * The options of each layer, checked once, the later ones winning.
 *
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` that names the option, the value and the remedy
 */
export function resolveOptions(...layers: ReadonlyArray<SseOptions | undefined>): Settings {
  const given: SseOptions = Object.assign({}, ...layers.map((layer) => checked(layer, CHECKS)));
  const maxStreams = given.maxStreams ?? Number.POSITIVE_INFINITY;
  return {
    keepAliveMs: given.keepAliveMs ?? 15_000,
    retryMs: given.retryMs ?? (Number.isFinite(maxStreams) && RETRY_MS_WITH_LIMIT),
    commitAfterMs: given.commitAfterMs ?? 50,
    end: given.end ?? 'stop',
    headers: Object.entries(given.headers ?? {}),
    serialize: given.serialize ?? JSON.stringify,
    compress: given.compress ?? false,
    onError: given.onError,
    maxStreams,
    whenFull: given.whenFull ?? 'retry',
    maxDurationMs: given.maxDurationMs ?? false,
    stallTimeoutMs: given.stallTimeoutMs ?? 60_000,
    cleanupWarnMs: given.cleanupWarnMs ?? 30_000,
  };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveCloseOptions(options: CloseOptions | undefined): Required<CloseOptions> {
  return { ...CLOSE_DEFAULTS, ...checked(options, CLOSE_CHECKS) };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveMemoryLogOptions(options: MemoryLogOptions | undefined): Required<MemoryLogOptions> {
  const defaults = MEMORY_LOG_DEFAULTS;
  return options === undefined ? defaults : { ...defaults, ...checked(options, MEMORY_LOG_CHECKS) };
}

/** Of one shape for all, and one object for those who ask for nothing. @throws `TypeError` `ERR_SSE_INVALID_OPTION` */
export function resolveChannelOptions(options: ChannelSettings | undefined): Required<ChannelSettings> {
  if (options === undefined) return CHANNEL_DEFAULTS;
  const { log, ...given } = checked<ChannelSettings & { log?: unknown }>(options, CHANNEL_CHECKS);
  return Object.keys(given).length === 0 ? CHANNEL_DEFAULTS : { ...CHANNEL_DEFAULTS, ...given };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRunOptions<Options extends RunSettings>(
  options: Options | undefined,
): Options & Required<RunSettings> {
  const defaults = { ...CHANNEL_DEFAULTS, replay: true, ttlMs: 60_000 };
  return { ...defaults, ...checked(options, RUN_CHECKS) } as Options & Required<RunSettings>;
}

/** @throws `TypeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRedisLogsOptions(options: RedisLogsOptions | undefined): Required<RedisLogsOptions> {
  return { prefix: 'sse:', ...checked(options, REDIS_LOGS_CHECKS) };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRedisLogOptions(options: RedisLogOptions | undefined): Required<RedisLogOptions> {
  const defaults = { maxEvents: 1_000, maxAgeMs: false, memoryEvents: 1_000 } as const;
  return { ...defaults, ...checked(options, REDIS_LOG_CHECKS) };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveStreamInit(init: StreamInit | undefined): Timed<StreamInit> {
  return { ...TEST_DEFAULTS, ...checked(init, STREAM_INIT_CHECKS) };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveEventStreamOptions<Options extends EventStreamSettings & { until?: unknown }>(
  options: Options | undefined,
): Timed<Options> {
  const given = checked(options, EVENT_STREAM_CHECKS);
  if (given.take !== undefined && given.until !== undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_OPTION',
      'Expected either take or until, got both. Count in the predicate of until.',
    );
  }
  return { ...TEST_DEFAULTS, ...given } as Timed<Options>;
}

/** The options that were given, without the `undefined` ones. */
function checked<Options extends object>(
  options: Options | undefined,
  checks: Readonly<Record<string, Check>>,
): Partial<Options> {
  if (options === undefined) return {};
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw wrongType('ERR_SSE_INVALID_OPTION', `Expected options to be an object, got ${describe(options)}.`);
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) throw unknownOption(name, Object.keys(checks));
    check(name, value);
  }
  return Object.fromEntries(given) as Partial<Options>;
}

function delay(least: number, off: 'off' | 'on'): Check {
  const positive = least > 0 ? 'a positive integer' : 'a non-negative integer';
  const expected = off === 'off' ? `${positive} or false` : positive;
  const remedy = off === 'off' ? ' Use false to turn it off.' : '';
  return (name, value) => {
    if (off === 'off' && value === false) return;
    const message = `Expected ${name} to be ${expected}, got ${describe(value)}.${remedy}`;
    if (typeof value !== 'number') throw wrongType('ERR_SSE_INVALID_OPTION', message);
    if (Number.isInteger(value) && value >= least && value <= MAX_DELAY_MS) return;
    throw outOfRange(
      'ERR_SSE_INVALID_OPTION',
      value > MAX_DELAY_MS ? `${message} A timer holds at most ${MAX_DELAY_MS} ms.` : message,
    );
  };
}

function checkLimit(name: string, value: unknown): void {
  if (value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && Number(value) > 0)) return;
  const message = `Expected ${name} to be a positive integer or Infinity, got ${describe(value)}. Use Infinity to turn it off.`;
  if (typeof value === 'number') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

function count(name: string, value: unknown): void {
  if (Number.isSafeInteger(value) && Number(value) > 0) return;
  const message = `Expected ${name} to be a positive integer, got ${describe(value)}.`;
  if (typeof value === 'number') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

/** By its methods: logs come from several packages. */
function checkLog(name: string, value: unknown): void {
  const methods = ['append', 'read', 'tip', 'follow', 'compare'];
  const log = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  if (methods.every((method) => typeof log[method] === 'function')) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected ${name} to be an event log, got ${describe(value)}. Use memoryLog(), or redisLogs(client)(key).`,
  );
}

function oneOf(...choices: readonly string[]): Check {
  const expected = choices.map((choice) => `'${choice}'`).join(' or ');
  return (name, value) => {
    if (typeof value === 'string' && choices.includes(value)) return;
    throw wrongType('ERR_SSE_INVALID_OPTION', `Expected ${name} to be ${expected}, got ${describe(value)}.`);
  };
}

function ofType(type: 'boolean' | 'function' | 'object' | 'string', expected: string): Check {
  return (name, value) => {
    if (typeof value === type && value !== null) return;
    throw wrongType('ERR_SSE_INVALID_OPTION', `Expected ${name} to be ${expected}, got ${describe(value)}.`);
  };
}

function checkHeaders(option: string, value: unknown): void {
  checkHeaderObject(option, value);
  for (const [name, content] of Object.entries(value)) checkHeader(name, content);
}

function checkHeaderObject(option: string, value: unknown): asserts value is object {
  // Of a Map or of Headers the entries would be missed without a word.
  if (value === null || typeof value !== 'object' || Symbol.iterator in value) {
    throw wrongType(
      'ERR_SSE_INVALID_OPTION',
      `Expected ${option} to be a plain object of header names and values, got ${describe(value)}.`,
    );
  }
}

function checkBody(name: string, value: unknown): void {
  if (typeof value === 'string' || isUint8Array(value)) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected ${name} to be a string or bytes, got ${describe(value)}. Use JSON.stringify(), and say so in headers.`,
  );
}

function checkHeader(name: string, content: unknown): void {
  if (OWN_HEADERS.has(name.toLowerCase())) {
    throw wrongType(
      'ERR_SSE_INVALID_OPTION',
      `Expected headers not to set '${name}', which belongs to the stream itself. Leave it out.`,
    );
  }
  try {
    validateHeaderName(name);
    for (const part of Array.isArray(content) ? content : [content]) checkHeaderValue(name, part);
  } catch (cause) {
    const message = `Expected headers to be valid in HTTP, got '${name}': ${describe(content)}.`;
    throw Object.assign(wrongType('ERR_SSE_INVALID_OPTION', message), { cause });
  }
}

/** Node would send whatever it is as text, such as `null`. */
function checkHeaderValue(name: string, value: unknown): void {
  const sendable = typeof value === 'string' || Number.isFinite(value);
  if (!sendable) throw new TypeError('Neither a string nor a finite number.');
  validateHeaderValue(name, String(value));
}

function unknownOption(name: string, known: readonly string[]): TypeError {
  const near = known
    .map((option) => ({ option, distance: distance(name.toLowerCase(), option.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint =
    near !== undefined && near.distance <= Math.max(2, name.length / 3)
      ? `Did you mean '${near.option}'?`
      : `Known options: ${known.join(', ')}.`;
  return wrongType('ERR_SSE_INVALID_OPTION', `Unknown option '${name}'. ${hint}`);
}

/** How many letters differ between two words (Levenshtein), one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
