import { setImmediate } from 'node:timers/promises';
import { isAbortOf } from '../abort';
import { SseError, warn } from '../errors';
import type { ServerSentEvent } from '../format/event';
import type { Awaitable } from '../log/event-log';
import { closeSource, type OpenSource, openSource } from '../source';

/**
 * What the source of a run is called with.
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
  /** Aborts when the run is cancelled. Pass it to what the source awaits. */
  readonly signal: AbortSignal;
}

type Values<Value> = AsyncIterable<Value> | Iterable<Value>;

/**
 * What `Channel.from()` runs: values that may be published, or a function that returns such, or a promise of them.
 *
 * @example
 * const source: RunSource<{ percent: number }> = async function* ({ signal }) {
 *   for (let percent = 0; percent < 100 && !signal.aborted; percent++) yield { percent };
 * };
 */
export type RunSource<Value> = Values<Value> | ((context: RunContext) => Awaitable<Values<Value>>);

/**
 * The data of values, some of which may be events.
 *
 * @example
 * const data: DataOf<ServerSentEvent<'trade', Price> | Price> = { symbol: 'ACME', price: 101.5 };
 */
export type DataOf<Value> = Value extends ServerSentEvent<infer _Type, infer Data> ? Data : Value;

/**
 * What a channel made of a source carries: its values, and its events by their types. Of an event whose type the compiler
 * does not know only the data counts.
 *
 * @example
 * const steps: Channel<Yielded<ServerSentEvent<'step', number>>> = Channel.from([event('step', 1)]);
 */
export type Yielded<Value> =
  Value extends ServerSentEvent<infer Type, infer Data> ? (string extends Type ? Data : Value) : Value;

/** What a run does to its channel. */
export interface RunChannel {
  publish(value: unknown): Promise<unknown>;
  end(value: unknown): Promise<void>;
  fail(error: unknown): Promise<void>;
  close(): Promise<void>;
  /** Whether anybody subscribes, in whichever process. */
  isWatched(): Awaitable<boolean>;
}

/** After so many values the event loop gets a turn: a source that never really awaits must not starve the process. */
const VALUES_A_TURN = 100;

/** Each state only ever gives way to a later one. */
enum State {
  RUNNING,
  /** The source is through, or was told to be. */
  OVER,
}

/** One source that is read into a channel, whoever watches. */
export class Run {
  /** What the source threw. */
  failure: { readonly error: unknown } | undefined;
  readonly #given: RunSource<unknown>;
  readonly #ttlMs: number | false;
  readonly #channel: RunChannel;
  readonly #controller = new AbortController();
  #source: OpenSource | undefined;
  #state = State.RUNNING;
  #ttlTimer: NodeJS.Timeout | undefined;

  constructor(source: RunSource<unknown>, ttlMs: number | false, channel: RunChannel) {
    this.#given = source;
    this.#ttlMs = ttlMs;
    this.#channel = channel;
  }

  start(): void {
    // What is no function is looked at now, so that a mistake is told to whoever has made it.
    if (typeof this.#given !== 'function') this.#source = openSource(this.#given);
    void this.#run();
    this.onUnwatched();
  }

  /** The last subscriber of this process has left; somewhere else there may be others. */
  onUnwatched(): void {
    if (this.#ttlMs === false || this.#state === State.OVER) return;
    clearTimeout(this.#ttlTimer);
    this.#ttlTimer = setTimeout(() => void this.#onTtl(), this.#ttlMs).unref();
  }

  /** Has the source stop; nothing of it is published any more. Advances state to OVER. */
  cancel(): void {
    if (this.#state === State.OVER) return;
    this.#over();
    this.#controller.abort();
    if (this.#source !== undefined) closeSource(this.#source).catch((error) => this.#onLate(error));
  }

  async #run(): Promise<void> {
    try {
      this.#source ??= openSource(await this.#call());
      if (this.#state === State.OVER) return void (await closeSource(this.#source));
      await this.#read(this.#source);
    } catch (error) {
      await this.#onThrow(error);
    }
  }

  #call(): unknown {
    return typeof this.#given === 'function' ? this.#given({ signal: this.#controller.signal }) : this.#given;
  }

  async #read(source: OpenSource): Promise<void> {
    for (let values = 1; ; values++) {
      const step = await source.next();
      if (this.#state === State.OVER) return;
      if (step.done) return this.#finish(step.value);
      if (!(await isTaken(this.#channel.publish(step.value)))) return this.cancel();
      if (values % VALUES_A_TURN === 0) await setImmediate();
    }
  }

  async #finish(value: unknown): Promise<void> {
    await isTaken(this.#channel.end(value));
    this.#over();
  }

  async #onThrow(error: unknown): Promise<void> {
    if (this.#state === State.OVER) return this.#onLate(error);
    this.#over();
    this.#controller.abort();
    if (this.#source !== undefined) closeSource(this.#source).catch(warn);
    // Whoever comes hears of it; but it may be that nobody comes.
    if (!(await this.#isWatched())) warn(error);
    await this.#fail(error);
  }

  async #fail(error: unknown): Promise<void> {
    this.failure = { error };
    try {
      await this.#channel.fail(error);
    } catch (unavailable) {
      // Not even that can be kept: let the subscribers come again.
      warn(unavailable);
      await this.#channel.close();
    }
  }

  async #onTtl(): Promise<void> {
    const watched = await this.#isWatched();
    if (this.#state === State.OVER) return;
    if (watched) return this.onUnwatched();
    this.cancel();
    const message = `The run of this channel was cancelled: nobody has subscribed for ${this.#ttlMs} ms (ttlMs).`;
    await this.#fail(new SseError('ERR_SSE_CHANNEL_FAILED', message));
  }

  /** While its log is out of reach nobody can tell. */
  async #isWatched(): Promise<boolean> {
    try {
      return await this.#channel.isWatched();
    } catch (error) {
      if (!(error instanceof SseError)) warn(error);
      return true;
    }
  }

  /** An error after the cancellation is most likely its doing. */
  #onLate(error: unknown): void {
    if (!isAbortOf(this.#controller.signal, error)) warn(error);
  }

  #over(): void {
    this.#state = State.OVER;
    clearTimeout(this.#ttlTimer);
  }
}

/** Whether the channel still takes what comes; somebody else may have ended it. */
async function isTaken(publishing: Promise<unknown>): Promise<boolean> {
  try {
    await publishing;
    return true;
  } catch (error) {
    if (error instanceof SseError && error.code === 'ERR_SSE_CHANNEL_CLOSED') return false;
    throw error;
  }
}
