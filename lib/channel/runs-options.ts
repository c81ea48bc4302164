import { describe, outOfRange } from '../errors';
import type { EventLog } from '../log/event-log';
import type { LeaseTerms } from '../log/log-lease';
import { type Checks, checked, delay, ofType } from '../validate';
import { type ChannelOptions, type ResolvedChannelOptions, resolveChannelOptions } from './options';

/**
 * The options of `createRuns()`: where and how long runs are kept, and those of their channels.
 *
 * @example
 * const runs = createRuns({ logs: (key) => logs(key, { maxEvents: 10_000 }), leaseMs: 10_000 });
 */
export interface RunsOptions
  extends Pick<ChannelOptions, 'overflow' | 'maxReplayEvents' | 'serialize' | 'parse'> {
  /**
   * Makes the log of a key: `redisLogs(client)`, or a function that returns a log with more options. A log should hold
   * everything that a source yields, or a late subscriber does not receive the beginning.
   * @default () => memoryLog()
   */
  readonly logs?: ((key: string) => EventLog) | undefined;
  /**
   * Milliseconds after which a run is lost if the process that runs it has died: at least 2,000. Its subscribers are notified
   * within this time and a second. A process that is stopped or disconnected for longer loses its runs, too. All processes
   * must use the same value. Without a shared log it has no effect.
   * @default 5_000
   */
  readonly leaseMs?: number | undefined;
  /**
   * Milliseconds for which the events and the result of a run are retained after its end. Then the key is free again.
   * @default 60_000
   */
  readonly ttlMs?: number | undefined;
}

/**
 * The options of `runs.start()`.
 *
 * @example
 * const options: StartOptions = { takeover: true };
 */
export interface StartOptions {
  /**
   * Whether this process continues the run if the process that runs its source dies or shuts down. The source is then called
   * with the `lastId` and the `lastEvent` of the run, and must yield what follows that event.
   * @default false
   */
  readonly takeover?: boolean | undefined;
}

/**
 * The options of `runs.close()`.
 *
 * @example
 * const runs = createRuns();
 * const options: RunsCloseOptions = { graceMs: 20_000 };
 * process.once('SIGTERM', () => runs.close(options));
 */
export interface RunsCloseOptions {
  /**
   * Milliseconds that the sources have to end after their signal was aborted, including their `finally` blocks. Meanwhile
   * their leases are renewed, so that no other process starts a source that still runs here. `close()` does not wait longer
   * for a source.
   * @default 5_000
   */
  readonly graceMs?: number | undefined;
}

/** {@link RunsOptions} with every default applied. */
export interface ResolvedRunsOptions {
  readonly logs: RunsOptions['logs'];
  readonly terms: LeaseTerms;
  readonly channelOptions: ResolvedChannelOptions;
}

/** A lease is renewed every second, and one renewal may be late. */
const MIN_LEASE_MS = 2_000;

const TERMS: LeaseTerms = { leaseMs: 5_000, ttlMs: 60_000 };

type OwnOptions = Pick<RunsOptions, 'logs' | 'leaseMs' | 'ttlMs'>;

const CHECKS: Checks<OwnOptions> = {
  logs: ofType('function', 'a function that returns the log of a key, such as redisLogs(client)'),
  leaseMs: leaseDelay,
  ttlMs: delay(1, 'required'),
};

/** Their values are checked as those of a channel. */
const CHANNEL_CHECKS = {
  overflow: () => undefined,
  maxReplayEvents: () => undefined,
  serialize: () => undefined,
  parse: () => undefined,
};

const START_CHECKS: Checks<StartOptions> = { takeover: ofType('boolean', 'true or false') };

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRunsOptions(options: RunsOptions | undefined): ResolvedRunsOptions {
  const { logs, leaseMs, ttlMs, ...others } = checked<RunsOptions>(options, { ...CHECKS, ...CHANNEL_CHECKS });
  const terms = { leaseMs: leaseMs ?? TERMS.leaseMs, ttlMs: ttlMs ?? TERMS.ttlMs };
  return { logs, terms, channelOptions: resolveChannelOptions({ ...others, replay: true }) };
}

/** @throws `TypeError` `ERR_SSE_INVALID_OPTION` */
export function resolveStartOptions(options: StartOptions | undefined): Required<StartOptions> {
  return { takeover: false, ...checked(options, START_CHECKS) };
}

const CLOSE_CHECKS: Checks<RunsCloseOptions> = { graceMs: delay(0, 'required') };

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveRunsCloseOptions(options: RunsCloseOptions | undefined): Required<RunsCloseOptions> {
  return { graceMs: 5_000, ...checked(options, CLOSE_CHECKS) };
}

const isDelay = delay(1, 'required');

function leaseDelay(name: string, value: unknown): void {
  isDelay(name, value);
  if (Number(value) >= MIN_LEASE_MS) return;
  throw outOfRange(
    'ERR_SSE_INVALID_OPTION',
    `Expected ${name} to be at least ${MIN_LEASE_MS}, got ${describe(value)}. A lease is renewed every second.`,
  );
}
