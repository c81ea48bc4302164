import { outsideRequests } from '../async-context';
import { describe, type SseError, sseError, wrongType } from '../errors';
import { endRecordOf } from '../format/record';
import { given } from '../given';
import type { Awaitable, EventLog } from '../log/event-log';
import type { LeasePurpose, LeaseTerms, LogLease } from '../log/log-lease';
import { memoryLog } from '../log/memory-log';
import type { Channel } from './channel';
import { LocalRun } from './local-run';
import type { ResolvedChannelOptions } from './options';
import type { Publishable } from './publishable';
import {
  type ResolvedRunsOptions,
  type RunsCloseOptions,
  type RunsOptions,
  resolveRunsCloseOptions,
  resolveRunsOptions,
  resolveStartOptions,
  type StartOptions,
} from './runs-options';
import { type RunSettings, SharedRun } from './shared-run';
import type { RunContext, SourceRun, Values } from './source-run';

/** Prepended to the key of a run, because a run that begins deletes what the log of its key has. */
const PREFIX = 'run:';

/**
 * The source of a run: a function that returns an async generator or any iterable, or a promise of one.
 *
 * @example
 * const source: RunFunction<{ percent: number }> = async function* ({ signal, lastEvent }) {
 *   const { percent: done = 0 } = (lastEvent?.data ?? {}) as { percent?: number };
 *   for (let percent = done + 1; percent <= 100 && !signal.aborted; percent++) yield { percent };
 * };
 */
export type RunFunction<Value> = (context: RunContext) => Awaitable<Values<Publishable<Value>>>;

/**
 * A run whose source runs in this process.
 *
 * @example
 * const runs = createRuns<string>();
 * const abortedKeys = [...runs].filter(({ signal }: RunningRun<string>) => signal.aborted).map(({ key }) => key);
 */
export interface RunningRun<Value = unknown> {
  /** The key with which it was started. */
  readonly key: string;
  /** The channel with the values of its source. */
  readonly channel: Channel<Value>;
  /** The signal of its source. */
  readonly signal: AbortSignal;
}

/**
 * Named runs, from {@link createRuns}.
 *
 * @example
 * const runs: Runs<{ percent: number }> = createRuns<{ percent: number }>();
 * console.log(runs.size); // 0
 */
export interface Runs<Value = unknown> extends Iterable<RunningRun<Value>> {
  /**
   * Starts the run with this key, or joins the one that is there, in whichever process its source runs. If two processes start
   * it at the same moment, one source runs. A run that has ended is joined for `ttlMs`: its channel has all retained events
   * and the closing event or the error.
   *
   * @param key a string that is not empty
   * @param source a function that returns an async generator or any iterable. Its values are published, its return value
   *   ends the run, and its error fails the run. It runs until it ends, also without subscribers
   * @param options `takeover`: whether this process continues the run if the process that runs it dies
   * @returns its channel; a promise of it if the log is shared
   * @throws (or rejects with) `TypeError` `ERR_SSE_INVALID_OPTION` for a key, `ERR_SSE_INVALID_SOURCE` for a source that is not
   *   a function · `SseError` `ERR_SSE_CHANNEL_CLOSED` after `close()` · `SseError` `ERR_SSE_LOG_UNAVAILABLE` if the log is
   *   unavailable
   * @example
   * const runs = createRuns<string>();
   * app.post('/answers/:id', (req) => runs.start(req.params.id, ({ signal }) => rows({ signal })));
   */
  start(key: string, source: RunFunction<Value>, options?: StartOptions): Awaitable<Channel<Value>>;
  /**
   * The channel of the run with this key, also for `ttlMs` after its end.
   *
   * @returns `undefined` if there is no run; a promise of the result if the log is shared
   * @throws (or rejects with) `TypeError` `ERR_SSE_INVALID_OPTION` for a key · `SseError` `ERR_SSE_LOG_UNAVAILABLE` if the log
   *   is unavailable
   * @example
   * const runs = createRuns<string>();
   * await runs.start('ACME', ({ signal }) => rows({ signal }));
   * app.get('/answers/:id', async (req, res) => (await runs.find(req.params.id)) ?? void res.sendStatus(204));
   */
  find(key: string): Awaitable<Channel<Value> | undefined>;
  /**
   * Ends the run in whichever process its source runs, within a second, also while the source waits: the signal of the source
   * is aborted, its `return()` is called, and its later values are not published. Subscribers receive the closing event.
   *
   * The promise resolves when the run has ended for its subscribers. The `finally` block of the source may still run then;
   * `close()` waits for it.
   *
   * @param value the data of the closing `end` event, or `event(type, data)` to name its type
   * @returns a promise of `false` if there was no run, or if it had ended
   * @throws (rejects) as {@link Runs.find} does, and `TypeError` as `encode()` throws
   * @example
   * const runs = createRuns<string>();
   * app.delete('/answers/:id', async (req, res) => {
   *   res.sendStatus((await runs.stop(req.params.id)) ? 204 : 404);
   * });
   */
  stop(key: string, value?: unknown): Promise<boolean>;
  /** The number of sources that run in this process. */
  readonly size: number;
  /** Iterates over the runs whose sources run in this process. */
  [Symbol.iterator](): IterableIterator<RunningRun<Value>>;
  /**
   * Closes the runs of this process, for a graceful shutdown: their sources are aborted, and other processes take over, or
   * their subscribers in every process receive the failure `ERR_SSE_RUN_LOST`. A run with `takeover: true` that no other process
   * knows waits for `ttlMs` for one that starts it. The subscribers of this process are
   * disconnected. Call it before you close the logs.
   *
   * When the promise resolves, no source of these runs runs in this process any more, and its `finally` blocks have run,
   * unless a source has ignored its signal for `graceMs`. Only then can another process take a run over.
   *
   * @param options `graceMs`: milliseconds that the sources have to end
   * @returns a promise that resolves when the sources have ended and the leases are given up; later calls return the same
   *   promise, and their options have no effect
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
   * @default `{ graceMs: 5_000 }`
   * @example
   * const runs = createRuns();
   * await runs.close();
   */
  close(options?: RunsCloseOptions): Promise<void>;
}

/**
 * Creates named runs: work that outlives its request, such as the answer of a model, an import or a report. Each run has a
 * key and one source. Any request, in any process, can join it by its key, receive all of its events, and stop it.
 *
 * With a shared log, such as that of `redisLogs()`, one process runs the source: the one that holds the run's lease. It renews
 * all of its leases with one command a second (on a Redis Cluster: one for each hash slot), and each append carries a fencing
 * token, so that nothing is appended by a process that has lost the lease. If it dies, the run fails with `ERR_SSE_RUN_LOST`
 * for its subscribers in every process, within `leaseMs` and a second, or a process that has called `start()` with
 * `takeover: true` continues it. The log of a run is that of the key `run:` and its own key.
 *
 * @param options `logs`: makes the log of a key · `leaseMs`: milliseconds after which the run of a dead process is lost ·
 *   `ttlMs`: milliseconds for which the result is retained · and those of a channel
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
 * @default `{ logs: () => memoryLog(), leaseMs: 5_000, ttlMs: 60_000 }`
 * @example
 * const runs = createRuns<string>({ ttlMs: 5 * 60_000 });
 * app.get('/reports/:id', (req) => runs.start(req.params.id, ({ signal }) => rows({ signal })));
 * app.delete('/reports/:id', async (req, res) => {
 *   res.sendStatus((await runs.stop(req.params.id)) ? 204 : 404);
 * });
 */
export function createRuns<Value = unknown>(options?: RunsOptions): Runs<Value> {
  return new RunRegistry(resolveRunsOptions(options)) as Runs<unknown> as Runs<Value>;
}

type Run = LocalRun | SharedRun;

/** The runs that this process knows. The types of values are known to the compiler alone. */
class RunRegistry implements Runs {
  readonly #logs: (key: string) => EventLog;
  readonly #terms: LeaseTerms;
  readonly #channelOptions: ResolvedChannelOptions;
  readonly #runs = new Map<string, Run>();
  /** The sources of which code may still run. */
  readonly #sources = new Set<SourceRun>();
  /** The last request for each key that waits for its log. */
  readonly #opening = new Map<string, Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor({ logs = () => memoryLog(), terms, channelOptions }: ResolvedRunsOptions) {
    this.#logs = logs;
    this.#terms = terms;
    this.#channelOptions = channelOptions;
  }

  get size(): number {
    return [...this].length;
  }

  *[Symbol.iterator](): IterableIterator<RunningRun> {
    for (const [key, { channel, source }] of this.#runs) {
      if (source !== undefined) yield { key, channel, signal: source.signal };
    }
  }

  start(key: string, source: RunFunction<unknown>, options?: StartOptions): Awaitable<Channel> {
    checkKey(key);
    checkSource(source);
    const { takeover } = resolveStartOptions(options);
    if (this.#closing !== undefined) throw closedError();
    const shared = this.#sharedLog(key);
    if (shared === undefined) return this.#startLocal(key, source);
    return this.#inOrder(key, async () => {
      const run = this.#known(key) ?? new SharedRun(this.#settings(key, shared.log), shared.lease);
      if (run instanceof SharedRun) await this.#open(key, run, { source, takeover });
      return run.channel;
    });
  }

  find(key: string): Awaitable<Channel | undefined> {
    checkKey(key);
    if (this.#closing !== undefined) return undefined;
    const shared = this.#sharedLog(key);
    if (shared === undefined) return this.#known(key)?.channel;
    return this.#inOrder(key, async () => {
      const run = this.#known(key) ?? new SharedRun(this.#settings(key, shared.log), shared.lease);
      return run instanceof LocalRun || (await this.#open(key, run)) ? run.channel : undefined;
    });
  }

  async stop(key: string, value?: unknown): Promise<boolean> {
    checkKey(key);
    await this.#opening.get(key)?.catch(() => undefined);
    const run = this.#runs.get(key);
    if (run !== undefined) return run.stop(value);
    const record = endRecordOf(value, this.#channelOptions.serialize);
    return (await this.#sharedLog(key)?.lease.end(record, this.#terms)) ?? false;
  }

  close(options?: RunsCloseOptions): Promise<void> {
    const { graceMs } = resolveRunsCloseOptions(options);
    this.#closing ??= this.#closeAll(graceMs);
    return this.#closing;
  }

  async #closeAll(graceMs: number): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = outsideRequests(() => setTimeout(resolve, graceMs).unref());
    });
    await Promise.all([...this.#runs.values()].map((run) => run.close(grace)));
    // Also of the runs that were lost or stopped before.
    await Promise.race([Promise.all([...this.#sources].map(({ settled }) => settled)), grace]);
    clearTimeout(timer);
  }

  /** The log of a key, if several processes share it. */
  #sharedLog(key: string): { readonly log: EventLog; readonly lease: LogLease } | undefined {
    if (this.#runs.get(key) instanceof LocalRun) return undefined;
    const log = this.#logs(PREFIX + key);
    const lease = given(log, 'lease');
    return lease === undefined ? undefined : { log, lease };
  }

  #settings(key: string, log: EventLog): RunSettings {
    return {
      log,
      terms: this.#terms,
      channelOptions: this.#channelOptions,
      onStarted: (source) => {
        this.#sources.add(source);
        void source.settled.then(() => this.#sources.delete(source));
      },
      onReleased: (run) => {
        if (this.#runs.get(key) === run) this.#runs.delete(key);
      },
    };
  }

  /** The run with this key, unless its channel was closed in this process. */
  #known(key: string): Run | undefined {
    const run = this.#runs.get(key);
    if (run?.closed !== true) return run;
    this.#runs.delete(key);
    return undefined;
  }

  #startLocal(key: string, source: RunFunction<unknown>): Channel {
    const known = this.#known(key);
    if (known !== undefined) return known.channel;
    const run = new LocalRun(this.#settings(key, this.#logs(PREFIX + key)), source);
    // A source never ends during the call.
    this.#runs.set(key, run);
    return run.channel;
  }

  /** @returns a promise of `false` if the key has no run, and none was to be started */
  async #open(key: string, run: SharedRun, start?: StartRequest): Promise<boolean> {
    if (start?.takeover === true) run.allowTakeover(start.source);
    if (this.#runs.get(key) === run) return true;
    this.#runs.set(key, run);
    try {
      const purpose: LeasePurpose = start === undefined ? 'find' : start.takeover ? 'resume' : 'start';
      if (await run.open(purpose, start?.source)) return true;
    } catch (error) {
      this.#runs.delete(key);
      throw error;
    }
    this.#runs.delete(key);
    return false;
  }

  /** Requests for one key follow each other, so that a process has one run of a key. */
  #inOrder<Result>(key: string, task: () => Promise<Result>): Promise<Result> {
    const opening = (this.#opening.get(key) ?? Promise.resolve()).then(task, task);
    this.#opening.set(key, opening);
    const done = () => {
      if (this.#opening.get(key) === opening) this.#opening.delete(key);
    };
    opening.then(done, done);
    return opening;
  }
}

interface StartRequest {
  readonly source: RunFunction<unknown>;
  readonly takeover: boolean;
}

function checkKey(key: unknown): void {
  if (typeof key === 'string' && key !== '') return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected the key of a run to be a non-empty string, got ${describe(key)}. Use the id of the work, such as a chat's.`,
  );
}

function checkSource(source: unknown): void {
  if (typeof source === 'function') return;
  throw wrongType(
    'ERR_SSE_INVALID_SOURCE',
    `Expected the source of a run to be a function that returns an async generator, got ${describe(source)}. ` +
      'Pass the generator function itself, or () => the iterable.',
  );
}

function closedError(): SseError {
  return sseError(
    'ERR_SSE_CHANNEL_CLOSED',
    'Cannot start a run: these runs are CLOSED. Call createRuns() again.',
  );
}
