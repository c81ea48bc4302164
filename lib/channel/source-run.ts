import { abortController, abortError, isAbortOf } from '../abort';
import { CallbackContext, outsideRequests } from '../async-context';
import { isSseError, type SseError, sseError, warn } from '../errors';
import type { ServerSentEvent } from '../format/event';
import type { Awaitable } from '../log/event-log';
import { yieldToEventLoop } from '../round-robin';
import { closeSource, type OpenSource, openSource } from '../source';

/**
 * The argument of the source function of a run.
 *
 * @example
 * import { setInterval } from 'node:timers/promises';
 *
 * async function* source({ signal }: RunContext) {
 *   for await (const _ of setInterval(1000, null, { signal })) yield Date.now();
 * }
 * const clock = Channel.from(source);
 */
export interface RunContext {
  /**
   * Aborted when the run is cancelled. Pass it to everything that the source awaits. In a run of `createRuns()`, the `code`
   * of its reason is `ERR_SSE_RUN_LOST` if the lease was lost, and `ERR_SSE_CLOSING` after `close()`.
   */
  readonly signal: AbortSignal;
  /**
   * The id of the last event that an earlier process has published in the same run, whose source this one continues. `''`
   * if the run begins.
   */
  readonly lastId: string;
  /** The event with this id; `undefined` if the run begins, or if the log no longer retains the event. */
  readonly lastEvent: ServerSentEvent | undefined;
}

/** How much of a run an earlier process has published. */
export type ResumePoint = Pick<RunContext, 'lastId' | 'lastEvent'>;

const BEGINNING: ResumePoint = { lastId: '', lastEvent: undefined };

export type Values<Value> = AsyncIterable<Value> | Iterable<Value>;

/**
 * The source of `Channel.from()`: an iterable of values to publish, or a function that returns one or a promise of one.
 *
 * @example
 * const source: RunSource<{ percent: number }> = async function* ({ signal }) {
 *   for (let percent = 0; percent < 100 && !signal.aborted; percent++) yield { percent };
 * };
 */
export type RunSource<Value> = Values<Value> | ((context: RunContext) => Awaitable<Values<Value>>);

/**
 * The type of the data: that of an event's data for an event, and `Value` itself for any other value.
 *
 * @example
 * const data: DataOf<ServerSentEvent<'trade', Price> | Price> = { symbol: 'ACME', price: 101.5 };
 */
export type DataOf<Value> = Value extends ServerSentEvent<infer _Type, infer Data> ? Data : Value;

/**
 * The value type of a channel made from a source that yields `Value`. An event keeps its type if the compiler knows it as a
 * literal, such as `'step'`; otherwise only the type of its data is kept.
 *
 * @example
 * const steps: Channel<Yielded<ServerSentEvent<'step', number>>> = Channel.from([event('step', 1)]);
 */
export type Yielded<Value> =
  Value extends ServerSentEvent<infer Type, infer Data> ? (string extends Type ? Data : Value) : Value;

/** The channel of a run, as the run uses it. */
export interface RunChannel {
  publish(value: unknown): Promise<unknown>;
  end(value: unknown): Promise<void>;
  fail(error: unknown): Promise<void>;
  close(): Promise<void>;
  /** Whether the channel has a subscriber in any process. */
  hasSubscribers(): Awaitable<boolean>;
}

/** The options of a {@link SourceRun}. */
export interface SourceRunOptions {
  /** Milliseconds without a subscriber after which the run is cancelled. */
  readonly ttlMs: number | false;
  /** `undefined` if the run begins. */
  readonly resume?: ResumePoint | undefined;
  /** Called once, when the source has ended or was cancelled, and its last value or error was published. */
  readonly onEnded?: (() => void) | undefined;
}

/** After this many values the run yields to the event loop, because a source that never waits would block the process. */
const VALUES_PER_TURN = 100;

/** States only advance. */
enum RunState {
  RUNNING,
  /** The source has ended, or was cancelled. */
  ENDED,
}

/** Publishes the values of one source to a channel, independently of its subscribers. */
export class SourceRun {
  /** The error of a failed or expired run; `undefined` for any other. */
  failure: { readonly error: unknown } | undefined;
  readonly #given: RunSource<unknown>;
  readonly #options: SourceRunOptions;
  readonly #channel: RunChannel;
  readonly #controller = abortController();
  #source: OpenSource | undefined;
  #reading: Promise<void> = Promise.resolve();
  /** The cleanup of a source that was closed before its end. */
  #cleanup: Promise<void> | undefined;
  #state = RunState.RUNNING;
  #ttlTimer: NodeJS.Timeout | undefined;
  /** Of the code that made the channel; `undefined` when the source has ended. */
  #context: CallbackContext | undefined = new CallbackContext();

  constructor(source: RunSource<unknown>, options: SourceRunOptions, channel: RunChannel) {
    this.#given = source;
    this.#options = options;
    this.#channel = channel;
  }

  /** Whether the source runs. */
  get running(): boolean {
    return this.#state === RunState.RUNNING;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves when no code of the source runs any more: its pending call has settled, and its cleanup has run. */
  get settled(): Promise<void> {
    return this.#reading.then(() => this.#cleanup);
  }

  start(): void {
    // An iterable is checked immediately, so that the caller gets the error.
    if (typeof this.#given !== 'function') this.#source = openSource(this.#given);
    this.#reading = this.#readAll();
    this.onUnsubscribed();
  }

  /** The last subscriber of this process has unsubscribed; other processes may still have subscribers. */
  onUnsubscribed(): void {
    const { ttlMs } = this.#options;
    if (ttlMs === false || this.#state === RunState.ENDED) return;
    clearTimeout(this.#ttlTimer);
    this.#ttlTimer = outsideRequests(() => setTimeout(() => void this.#onTtl(), ttlMs).unref());
  }

  /**
   * Stops the source; no later value of it is published. Its listeners and its cleanup run in its own context, whoever
   * cancels it. Advances state to ENDED.
   *
   * @param reason the reason of its signal; by default an `AbortError`
   */
  cancel(reason?: unknown): void {
    if (this.#stop(reason)) this.#options.onEnded?.();
  }

  /** @returns whether the source was running */
  #stop(reason?: unknown): boolean {
    const context = this.#context;
    if (this.#state === RunState.ENDED || context === undefined) return false;
    this.#end();
    context.runInAsyncScope(() => {
      this.#controller.abort(reason);
      if (this.#source === undefined) return;
      this.#cleanup = closeSource(this.#source).catch((error) => this.#onLateError(error));
    });
    return true;
  }

  async #readAll(): Promise<void> {
    try {
      this.#source ??= openSource(await this.#callSource());
      if (this.#state === RunState.ENDED) {
        await closeSource(this.#source);
        return;
      }
      await this.#publishAll(this.#source);
    } catch (error) {
      await this.#onThrow(error);
    }
  }

  #callSource(): unknown {
    if (typeof this.#given !== 'function') return this.#given;
    const { resume = BEGINNING } = this.#options;
    return this.#given({ signal: this.#controller.signal, ...resume });
  }

  async #publishAll(source: OpenSource): Promise<void> {
    for (let values = 1; ; values++) {
      const step = await source.next();
      if (this.#state === RunState.ENDED) return;
      if (step.done) {
        await this.#finish(step.value);
        return;
      }
      if (!(await this.#publish(step.value))) return;
      if (values % VALUES_PER_TURN === 0) await turnOfEventLoop();
    }
  }

  /** @returns `false` if the channel does not accept values any more; the source is then cancelled */
  async #publish(value: unknown): Promise<boolean> {
    const refusal = await refusalOf(this.#channel.publish(value));
    if (refusal === undefined) return true;
    this.cancel(refusal.code === 'ERR_SSE_RUN_LOST' ? abortError('ERR_SSE_RUN_LOST') : undefined);
    return false;
  }

  async #finish(value: unknown): Promise<void> {
    await refusalOf(this.#channel.end(value));
    // Cancelled while its value was published.
    if (this.#state === RunState.ENDED) return;
    this.#end();
    this.#options.onEnded?.();
  }

  async #onThrow(error: unknown): Promise<void> {
    if (this.#state === RunState.ENDED) {
      this.#onLateError(error);
      return;
    }
    this.#end();
    this.#controller.abort();
    if (this.#source !== undefined) this.#cleanup = closeSource(this.#source).catch(warn);
    // Subscribers receive the error. If there is none, only this warning reports it.
    if (!(await this.#hasSubscribers())) warn(error);
    await this.#fail(error);
    this.#options.onEnded?.();
  }

  async #fail(error: unknown): Promise<void> {
    this.failure = { error };
    try {
      await this.#channel.fail(error);
    } catch (unavailable) {
      if (isRefusal(unavailable)) return;
      // The log cannot store the error: close the channel, so that subscribers reconnect.
      warn(unavailable);
      await this.#channel.close();
    }
  }

  async #onTtl(): Promise<void> {
    const hasSubscribers = await this.#hasSubscribers();
    if (this.#state === RunState.ENDED) return;
    if (hasSubscribers) {
      this.onUnsubscribed();
      return;
    }
    this.#stop();
    const { ttlMs } = this.#options;
    const message = `The run of this channel was cancelled: it had no subscriber for ${ttlMs} ms (ttlMs).`;
    await this.#fail(sseError('ERR_SSE_CHANNEL_FAILED', message));
    this.#options.onEnded?.();
  }

  /** True while the log is unavailable, because subscribers in other processes cannot be ruled out. */
  async #hasSubscribers(): Promise<boolean> {
    try {
      return await this.#channel.hasSubscribers();
    } catch (error) {
      if (!isSseError(error)) warn(error);
      return true;
    }
  }

  /** An abort error after the cancellation is expected, and is not reported. */
  #onLateError(error: unknown): void {
    if (!isAbortOf(this.#controller.signal, error)) warn(error);
  }

  #end(): void {
    this.#state = RunState.ENDED;
    this.#context = undefined;
    clearTimeout(this.#ttlTimer);
  }
}

function turnOfEventLoop(): Promise<void> {
  return new Promise((resume) => yieldToEventLoop({ resume }));
}

/** The error of a channel that does not accept values any more: it was ended, or another process has its lease. */
async function refusalOf(publishing: Promise<unknown>): Promise<SseError | undefined> {
  try {
    await publishing;
    return undefined;
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

function isRefusal(error: unknown): error is SseError {
  return isSseError(error) && (error.code === 'ERR_SSE_CHANNEL_CLOSED' || error.code === 'ERR_SSE_RUN_LOST');
}
