import { type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import type { ConnectionOptions } from '../connection/connection';
import { isEventStreamType } from '../connection/head';
import type { HttpRequest } from '../connection/http';
import { describe, wrongType } from '../errors';
import { defaultSerialize, type Serialize } from '../format/serialize';
import { FORMATS, type Format } from '../format/wire-format';
import { type Checks, checked, delay, headerObject, limit, ofType, oneOf } from '../validate';

/**
 * The options of streams. Every option may be omitted, and `undefined` counts as omitted. `false` turns off an option whose
 * name ends in `Ms`. A misspelt option or an invalid value throws immediately.
 *
 * @example
 * app.use(sse({ keepAliveMs: 10_000, maxDurationMs: 15 * 60_000 }));
 */
export interface SseOptions {
  /**
   * What the client does at the end of a response. An `'eventsource'` reconnects after every end, and stops only on a 204. A
   * `'fetch'` client (an SDK, `fetch()`, curl) reads one response, and treats its end as success. `'auto'` treats a GET whose
   * `Accept` contains `text/event-stream` as an EventSource, and every other request as a fetch client.
   * @default 'auto'
   */
  readonly client?: 'auto' | 'eventsource' | 'fetch' | undefined;
  /**
   * Milliseconds without any bytes after which a comment is sent to keep the connection alive, also while the generator
   * is waiting. The comment may be up to 1/16 of the interval late. Choose a value below the idle time-out of every
   * proxy between server and client. `false` turns it off.
   * @default 15_000
   */
  readonly keepAliveMs?: number | false | undefined;
  /**
   * The client's reconnection time in milliseconds, sent once at the start of each stream. An `EventSource` keeps it
   * until it receives another one. `false` sends none.
   * @default false; 3_000 with `maxStreams`, to replace the longer reconnection time that a full server sends
   */
  readonly retryMs?: number | false | undefined;
  /**
   * Milliseconds to wait for the first value before the response head is sent. An error thrown within that time still
   * becomes a real status. `0` sends the head immediately, `false` waits without a limit.
   * @default 50; `keepAliveMs` for a fetch client
   */
  readonly commitAfterMs?: number | false | undefined;
  /**
   * What follows when the generator returns. `'stop'` sends the closing event to an `EventSource`, which then stops for
   * good. `'reconnect'` sends the returned value as the last event, and an `EventSource` reconnects. A fetch client always
   * receives the returned value as the last event.
   * @default 'stop'
   */
  readonly end?: 'stop' | 'reconnect' | undefined;
  /**
   * Extra response headers. They override the package's own headers; `Set-Cookie` and `Vary` are appended to existing
   * values. `Connection` (`keep-alive` is accepted and not sent), the headers that frame the body, and a `Content-Type` other
   * than `text/event-stream` are rejected.
   * @default {}
   */
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>> | undefined;
  /**
   * The formats of the route, each at most once. The client chooses by its `Accept` header; of those that it accepts equally,
   * the first in this list is sent. `'event-stream'`: `text/event-stream` · `'json-lines'`: `application/jsonl` or
   * `application/x-ndjson`, one JSON text for each line · `'json'`: `application/json`, one array. An item is a value, or the
   * data of an event. If the client accepts none, an `SseError` `ERR_SSE_NOT_ACCEPTABLE` (406) is passed to `next`.
   * @default undefined; event streams only, which fetch clients receive whatever they accept
   */
  readonly formats?: readonly Format[] | undefined;
  /**
   * Converts data that is not a string to text. If it throws, or returns anything but a string, the stream fails with
   * that error. Data published to a channel uses the channel's `serialize` instead.
   * @default JSON.stringify
   */
  readonly serialize?: Serialize | undefined;
  /**
   * `true` lets `compression()` compress the stream, and flushes every write. `false` sends `no-transform`.
   * @default false
   */
  readonly compress?: boolean | undefined;
  /**
   * Called with errors thrown after the head was sent. A synchronous return value is sent as the last event; `undefined`
   * sends none. The client never receives the error itself. Without `next`, as on plain `node:http`, it is also called
   * with errors thrown before the head, instead of a process warning.
   * @default undefined
   */
  readonly onError?: ((error: unknown, req: IncomingMessage | Http2ServerRequest) => unknown) | undefined;
  /**
   * The limit of open streams of this instance: a positive integer, or `Infinity` for no limit. The instance is `sse`
   * itself with all its middleware and wrapped handlers, or the result of `createSse()`.
   * @default Infinity
   */
  readonly maxStreams?: number | undefined;
  /**
   * The limit of open streams of this instance for each key, so that one client cannot use up `maxStreams`: a positive
   * integer, or `Infinity` for no limit.
   * @default Infinity
   */
  readonly maxStreamsPerKey?: number | undefined;
  /**
   * The key of a request for `maxStreamsPerKey`, such as a user's id. Called only with that limit. If it throws, or returns
   * anything but a string, the error is passed to `next`.
   * @default the client's address: `req.ip` under Express, which follows its `trust proxy` setting
   */
  readonly keyOf?: ((req: IncomingMessage | Http2ServerRequest) => string) | undefined;
  /**
   * The response to a request above `maxStreams` or `maxStreamsPerKey`. `'retry'` sends 200 with a reconnection time of 5 to
   * 15 seconds and ends the response, so that an `EventSource` reconnects later. `'refuse'` passes an `SseError`
   * `ERR_SSE_FULL` (503, `Retry-After`) to `next`.
   * @default 'retry'; 'refuse' for a fetch client
   */
  readonly whenFull?: 'retry' | 'refuse' | undefined;
  /**
   * Milliseconds after which a stream is shut down, so that its client reconnects. The signal is aborted at a random moment in
   * the last fifth of this time. The generator may then keep yielding for 5 seconds. `false` turns it off.
   * @default false
   */
  readonly maxDurationMs?: number | false | undefined;
  /**
   * Milliseconds without progress after which a client that does not read the sent data is disconnected. The generator is
   * paused meanwhile. `false` waits without a limit.
   * @default 60_000
   */
  readonly stallTimeoutMs?: number | false | undefined;
  /**
   * Milliseconds that a generator may continue after it was closed, for example because its client has disconnected. Then a
   * process warning names the route, once per route. The generator continues, because JavaScript cannot stop it. `false` turns
   * the warning off.
   * @default 30_000
   */
  readonly cleanupWarnMs?: number | false | undefined;
}

/** {@link SseOptions} with every default applied. */
export interface ResolvedSseOptions extends ConnectionOptions {
  readonly client: 'auto' | 'eventsource' | 'fetch';
  readonly commitAfterMs: number | false;
  readonly end: 'stop' | 'reconnect';
  /** `undefined` for event streams only, without negotiation. */
  readonly formats: readonly Format[] | undefined;
  readonly serialize: Serialize;
  readonly onError: SseOptions['onError'] | undefined;
  readonly maxStreams: number;
  readonly maxStreamsPerKey: number;
  readonly keyOf: (req: HttpRequest) => unknown;
  readonly whenFull: 'retry' | 'refuse';
  readonly maxDurationMs: number | false;
  readonly cleanupWarnMs: number | false;
  /** The values that apply to fetch clients instead. */
  readonly fetch: Pick<ResolvedSseOptions, 'commitAfterMs' | 'whenFull'>;
}

/**
 * How `sse.close()` ends the open streams.
 *
 * @example
 * await sse.close({ spreadMs: 10_000, graceMs: 1_000 }); // every signal has been aborted after 10 seconds
 */
export interface CloseOptions {
  /**
   * Milliseconds over which the signals are aborted, each at a random moment, so that the reconnections spread. `0` aborts
   * all signals immediately.
   * @default 1_000
   */
  readonly spreadMs?: number | undefined;
  /**
   * Milliseconds that a generator may keep yielding after its signal has aborted. `0` ends the stream together with the
   * signal.
   * @default 5_000
   */
  readonly graceMs?: number | undefined;
  /**
   * Milliseconds for which the streams of fetch clients may continue, so that a response that is almost complete can end.
   * Afterwards they are shut down as all others. `0` shuts down all streams at the same time.
   * @default 10_000
   */
  readonly drainMs?: number | undefined;
}

export const CLOSE_DEFAULTS = { spreadMs: 1_000, graceMs: 5_000, drainMs: 10_000 } as const;

/** Replaces the longer reconnection time that a full server has sent. */
const RETRY_MS_WITH_LIMIT = 3_000;

const CHECKS: Checks<SseOptions> = {
  client: oneOf('auto', 'eventsource', 'fetch'),
  keepAliveMs: delay(1, 'optional'),
  retryMs: delay(0, 'optional'),
  commitAfterMs: delay(0, 'optional'),
  end: oneOf('stop', 'reconnect'),
  headers: checkHeaders,
  formats: checkFormats,
  serialize: ofType('function', 'a function like JSON.stringify'),
  compress: ofType('boolean', 'true or false'),
  onError: ofType('function', 'a function (err, req) => value'),
  maxStreams: limit,
  maxStreamsPerKey: limit,
  keyOf: ofType('function', 'a function (req) => string'),
  whenFull: oneOf('retry', 'refuse'),
  maxDurationMs: delay(1, 'optional'),
  stallTimeoutMs: delay(1, 'optional'),
  cleanupWarnMs: delay(1, 'optional'),
};

const CLOSE_CHECKS: Checks<CloseOptions> = {
  spreadMs: delay(0, 'required'),
  graceMs: delay(0, 'required'),
  drainMs: delay(0, 'required'),
};

// The connection owns the headers that frame the body.
const OWN_HEADERS = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive']);

/**
 * Checks each layer of options once; a later layer overrides an earlier one.
 *
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` that names the option, the value and the remedy
 */
export function resolveSseOptions(...layers: ReadonlyArray<SseOptions | undefined>): ResolvedSseOptions {
  const given: SseOptions = Object.assign(
    Object.create(null),
    ...layers.map((layer) => checked(layer, CHECKS)),
  );
  const maxStreams = given.maxStreams ?? Number.POSITIVE_INFINITY;
  const keepAliveMs = given.keepAliveMs ?? 15_000;
  return {
    client: given.client ?? 'auto',
    keepAliveMs,
    retryMs: given.retryMs ?? (Number.isFinite(maxStreams) && RETRY_MS_WITH_LIMIT),
    commitAfterMs: given.commitAfterMs ?? 50,
    end: given.end ?? 'stop',
    headers: headersOf(given),
    formats: given.formats && [...given.formats],
    serialize: given.serialize ?? defaultSerialize,
    compress: given.compress ?? false,
    onError: given.onError,
    maxStreams,
    maxStreamsPerKey: given.maxStreamsPerKey ?? Number.POSITIVE_INFINITY,
    keyOf: given.keyOf ?? addressOfClient,
    whenFull: given.whenFull ?? 'retry',
    maxDurationMs: given.maxDurationMs ?? false,
    stallTimeoutMs: given.stallTimeoutMs ?? 60_000,
    cleanupWarnMs: given.cleanupWarnMs ?? 30_000,
    fetch: {
      commitAfterMs: given.commitAfterMs ?? keepAliveMs,
      whenFull: given.whenFull ?? 'refuse',
    },
  };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveCloseOptions(options: CloseOptions | undefined): Required<CloseOptions> {
  return { ...CLOSE_DEFAULTS, ...checked(options, CLOSE_CHECKS) };
}

/** Under Express `req.ip`, which follows its `trust proxy` setting. */
function addressOfClient(req: HttpRequest & { readonly ip?: unknown }): string {
  return String(req.ip ?? req.socket?.remoteAddress);
}

function headersOf({ headers = {}, formats }: SseOptions): ResolvedSseOptions['headers'] {
  const own = Object.entries(headers).filter(([name, value]) => !isDefaultConnection(name, value));
  // RFC 9110 12.5.5: a cache must not give one format to a client that asks for another.
  return formats === undefined ? own : [...own, ['Vary', 'Accept']];
}

function checkFormats(option: string, value: unknown): void {
  const isList = Array.isArray(value) && value.length > 0 && new Set(value).size === value.length;
  if (isList && value.every((format) => FORMATS.includes(format))) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected ${option} to be a list of ${FORMATS.map((format) => `'${format}'`).join(', ')}, each at most once, got ${describe(value)}. Leave it out for event streams only.`,
  );
}

function checkHeaders(option: string, value: unknown): void {
  headerObject(option, value);
  for (const [name, content] of Object.entries(value)) checkHeader(name, content);
}

function checkHeader(name: string, content: unknown): void {
  if (name.toLowerCase() === 'content-type' && !isEventStreamType(content)) {
    throw wrongType(
      'ERR_SSE_INVALID_OPTION',
      `Expected the Content-Type in headers to be text/event-stream, got ${describe(content)}. An EventSource fails on any other.`,
    );
  }
  if (OWN_HEADERS.has(name.toLowerCase()) && !isDefaultConnection(name, content)) {
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

/** What HTTP/1.1 does anyway, and HTTP/2 forbids to say. The AI SDK's headers for a stream contain it. */
function isDefaultConnection(name: string, value: unknown): boolean {
  return name.toLowerCase() === 'connection' && String(value).toLowerCase() === 'keep-alive';
}

/** Node would send other values as text, for example `null`. */
function checkHeaderValue(name: string, value: unknown): void {
  const sendable = typeof value === 'string' || Number.isFinite(value);
  if (!sendable) throw new TypeError('Neither a string nor a finite number.');
  validateHeaderValue(name, String(value));
}
