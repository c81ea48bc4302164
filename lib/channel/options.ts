import { outsideRequests } from '../async-context';
import { describe, outOfRange, wrongType } from '../errors';
import { defaultSerialize, type Serialize } from '../format/serialize';
import type { Parse } from '../log/entry';
import type { EventLog } from '../log/event-log';
import { refusePromise } from '../synchronous';
import { type Check, type Checks, checked, delay, ofType, oneOf } from '../validate';

/**
 * The options of a channel. Every option may be omitted, and `undefined` counts as omitted. A misspelt option or an invalid
 * value throws immediately.
 *
 * @example
 * const chat = new Channel<string>({ log: memoryLog({ maxEvents: 200 }), replay: true });
 */
export interface ChannelOptions {
  /**
   * The log that retains the events: `memoryLog()`, a log made by `redisLogs()`, or your own. Two channels of one process
   * must not share a log.
   * @default memoryLog()
   */
  readonly log?: EventLog | undefined;
  /**
   * What happens to a slow subscriber when the log no longer retains its next event. `'disconnect'` ends its stream, so that
   * the client reconnects with its last event ID and receives the gap. `'skip'` sends a `gap` and continues with the oldest
   * retained event.
   * @default 'disconnect'
   */
  readonly overflow?: 'disconnect' | 'skip' | undefined;
  /**
   * `true` sends all retained events to a subscriber without a last event ID, as in a chat that shows its history. `false`
   * sends it only events published after it subscribed.
   *
   * It is no access control: a client that makes up a last event ID receives all retained events. Use a channel for each
   * audience.
   * @default false; true for `Channel.from()`
   */
  readonly replay?: boolean | undefined;
  /**
   * The largest number of events that are replayed to a subscriber: a positive integer. A client whose last event ID is
   * further back receives a `gap` and the newest ones. `false` sets no limit: the replay has what the log retains.
   *
   * Every last event ID that a client makes up asks for the whole log, so set it if the log is large and its route public.
   * It has no default, because the log is already limited, and a smaller limit would lose events that you chose to retain.
   * @default false
   */
  readonly maxReplayEvents?: number | false;
  /**
   * Converts data that is not a string to text, once for each event, when it is published. The route's own `serialize` is
   * not used. It must be synchronous. If it throws, or returns anything but a string, `publish()` rejects with that error.
   * @default JSON.stringify
   */
  readonly serialize?: Serialize | undefined;
  /**
   * The inverse of `serialize`, for filters, maps and iterators. It is not called for strings, nor for a browser's stream
   * without a filter or a map. All of them share the data, so plain objects and arrays are frozen. It must be synchronous, and
   * runs in the `AsyncLocalStorage` context of no request. If it throws, the stream of that subscriber fails with the error.
   * @default JSON.parse
   */
  readonly parse?: ((text: string) => unknown) | undefined;
}

/**
 * The options of `Channel.from()`: those of a channel, and how long the source may run without subscribers.
 *
 * @example
 * const job = Channel.from(report, { ttlMs: 10 * 60_000, log: memoryLog({ maxEvents: 100_000 }) });
 */
export interface RunOptions extends ChannelOptions {
  /**
   * The log that retains the events. It should hold everything that the source yields, or a late subscriber does not
   * receive the beginning.
   * @default memoryLog()
   */
  readonly log?: EventLog | undefined;
  /**
   * Milliseconds without a subscriber in any process after which the source is cancelled, also if there never was a
   * subscriber. `false` turns it off.
   * @default 60_000
   */
  readonly ttlMs?: number | false | undefined;
}

/**
 * The options of `publish()`.
 *
 * @example
 * const options: PublishOptions = { idempotencyKey: 'order-4711' };
 * await prices.publish({ symbol: 'ACME', price: 101.5 }, options);
 */
export interface PublishOptions {
  /**
   * Identifies the event, in a string of 1 to 256 characters. Of all calls with the same key, in every process, the first
   * appends an event, and the others return its id. The log remembers the keys of at least its newest `maxEvents` events,
   * and of about twice as many at most.
   * @default undefined: every call appends an event
   */
  readonly idempotencyKey?: string | undefined;
}

/** {@link ChannelOptions} with every default applied, without the log. */
export type ResolvedChannelOptions = Required<Omit<ChannelOptions, 'log'>>;

/** {@link RunOptions} with every default applied. */
export type ResolvedRunOptions = ResolvedChannelOptions &
  Required<Pick<RunOptions, 'ttlMs'>> &
  Pick<RunOptions, 'log'>;

const DEFAULTS: ResolvedChannelOptions = {
  overflow: 'disconnect',
  replay: false,
  maxReplayEvents: false,
  serialize: defaultSerialize,
  parse: JSON.parse,
};

const RUN_DEFAULTS = { ...DEFAULTS, replay: true, ttlMs: 60_000 } as const;

const CHECKS: Readonly<Record<keyof ChannelOptions, Check>> = {
  log: checkLog,
  overflow: oneOf('disconnect', 'skip'),
  replay: ofType('boolean', 'true or false'),
  maxReplayEvents: countOrFalse,
  serialize: ofType('function', 'a function like JSON.stringify'),
  parse: ofType('function', 'a function like JSON.parse'),
};

const RUN_CHECKS: Readonly<Record<keyof RunOptions, Check>> = { ...CHECKS, ttlMs: delay(1, 'optional') };

const PUBLISH_CHECKS: Checks<PublishOptions> = { idempotencyKey };

/** Whether the second argument of `publish()` is meant as options, and not as the data of an event. */
export function isPublishOptions(value: unknown): value is PublishOptions {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'idempotencyKey');
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolvePublishOptions(options: PublishOptions): PublishOptions {
  const { idempotencyKey: key } = options;
  if (typeof key !== 'string' || Object.keys(options).length > 1) return checked(options, PUBLISH_CHECKS);
  // The usual case, for each event.
  idempotencyKey('idempotencyKey', key);
  return options;
}

/**
 * The result has one shape for all channels, and is one shared object for channels with default options.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_OPTION`
 */
export function resolveChannelOptions(options: ChannelOptions | undefined): ResolvedChannelOptions {
  if (options === undefined) return DEFAULTS;
  const { log: _, ...given } = checked(options, CHECKS);
  return Object.keys(given).length === 0 ? DEFAULTS : withSafeParse({ ...DEFAULTS, ...given });
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRunOptions(options: RunOptions | undefined): ResolvedRunOptions {
  return { ...RUN_DEFAULTS, ...checked(options, RUN_CHECKS) };
}

/** All subscribers share what `parse` returns, so it runs in the context of none of them. */
function withSafeParse<Options extends ResolvedChannelOptions>(options: Options): Options {
  const { parse } = options;
  return parse === JSON.parse ? options : { ...options, parse: safeParse(parse) };
}

function safeParse(parse: Parse): Parse {
  return (text) => {
    const data = outsideRequests(() => parse(text));
    refusePromise(data, 'parse', 'ERR_SSE_INVALID_DATA');
    return data;
  };
}

const MAX_KEY_LENGTH = 256;

function idempotencyKey(name: string, value: unknown): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= MAX_KEY_LENGTH) return;
  const message = `Expected ${name} to be a string of 1 to ${MAX_KEY_LENGTH} characters, got ${describe(value)}. Use the id of what the event reports.`;
  if (typeof value === 'string') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

/** A positive integer, or `false`. */
function countOrFalse(name: string, value: unknown): void {
  if (value === false || (Number.isSafeInteger(value) && Number(value) > 0)) return;
  const message = `Expected ${name} to be a positive integer or false, got ${describe(value)}. Use false to turn it off.`;
  if (typeof value === 'number') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

/** Recognised by its methods, because a log may be an instance of any class. */
function checkLog(name: string, value: unknown): void {
  const methods = ['append', 'read', 'head', 'subscribe', 'compare'];
  const log = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  if (methods.every((method) => typeof log[method] === 'function')) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected ${name} to be an event log, got ${describe(value)}. Use memoryLog(), or redisLogs(client)(key).`,
  );
}
