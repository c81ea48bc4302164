import { describe, wrongType } from '../errors';
import { defaultSerialize, type Serialize } from '../format/serialize';
import type { EventLog } from '../log/event-log';
import { type Check, checked, delay, ofType, oneOf } from '../validate';

/**
 * The options of a channel. Every option may be omitted, and `undefined` counts as omitted. A misspelt option or an invalid
 * value throws immediately.
 *
 * @example
 * const chat = new Channel<string>({ log: memoryLog({ maxEvents: 200 }), replay: true });
 */
export interface ChannelOptions {
  /**
   * The log that retains the events: `memoryLog()`, a log made by `redisLogs()`, or your own. A log must not be shared by
   * two channels of one process.
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
   * @default false; true for `Channel.from()`
   */
  readonly replay?: boolean | undefined;
  /**
   * Converts data that is not a string to text, once for each event, when it is published. The route's own `serialize` is
   * not used. If it throws, or returns anything but a string, `publish()` rejects with that error.
   * @default JSON.stringify
   */
  readonly serialize?: Serialize | undefined;
  /**
   * The inverse of `serialize`, for filters and iterators. It is not called for strings, nor for a browser's stream without
   * a filter. If it throws, the stream of that subscriber fails with the error.
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
   * The log that retains the events. It should hold everything that the source yields, or a late subscriber receives a
   * `gap`.
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

/** {@link ChannelOptions} with every default applied, without the log. */
export type ResolvedChannelOptions = Required<Omit<ChannelOptions, 'log'>>;

/** {@link RunOptions} with every default applied. */
export type ResolvedRunOptions = ResolvedChannelOptions &
  Required<Pick<RunOptions, 'ttlMs'>> &
  Pick<RunOptions, 'log'>;

const DEFAULTS: ResolvedChannelOptions = {
  overflow: 'disconnect',
  replay: false,
  serialize: defaultSerialize,
  parse: JSON.parse,
};

const RUN_DEFAULTS = { ...DEFAULTS, replay: true, ttlMs: 60_000 } as const;

const CHECKS: Readonly<Record<keyof ChannelOptions, Check>> = {
  log: checkLog,
  overflow: oneOf('disconnect', 'skip'),
  replay: ofType('boolean', 'true or false'),
  serialize: ofType('function', 'a function like JSON.stringify'),
  parse: ofType('function', 'a function like JSON.parse'),
};

const RUN_CHECKS: Readonly<Record<keyof RunOptions, Check>> = { ...CHECKS, ttlMs: delay(1, 'optional') };

/**
 * The result has one shape for all channels, and is one shared object for channels with default options.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_OPTION`
 */
export function resolveChannelOptions(options: ChannelOptions | undefined): ResolvedChannelOptions {
  if (options === undefined) return DEFAULTS;
  const { log: _, ...given } = checked(options, CHECKS);
  return Object.keys(given).length === 0 ? DEFAULTS : { ...DEFAULTS, ...given };
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRunOptions(options: RunOptions | undefined): ResolvedRunOptions {
  return { ...RUN_DEFAULTS, ...checked(options, RUN_CHECKS) };
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
