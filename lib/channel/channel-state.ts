import { outsideRequests } from '../async-context';
import { isSseError, messageOf, type SseError, sseError, wrongType } from '../errors';
import type { ServerSentEvent } from '../format/event';
import { type EventRecord, endRecordOf, recordOf } from '../format/record';
import { Entry, type LogEntry } from '../log/entry';
import type { Awaitable, EventLog, LogHead } from '../log/event-log';
import { Hub } from './hub';
import type { ResolvedChannelOptions } from './options';
import { ReplayLimit } from './replay-limit';
import { type RunSource, SourceRun, type SourceRunOptions } from './source-run';
import type { SubscribableChannel } from './subscription';

/** The state of a channel: its log, its run, and its hub while it has subscribers. Only `Channel` has the types of values. */
export class ChannelState implements SubscribableChannel {
  readonly #log: EventLog;
  readonly #options: ResolvedChannelOptions;
  #hub: Hub | undefined;
  #run: SourceRun | undefined;
  #closing: Promise<void> | undefined;

  constructor(log: EventLog, options: ResolvedChannelOptions) {
    this.#log = log;
    this.#options = options;
  }

  get size(): number {
    return this.#hub?.size ?? 0;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  get overflow(): 'disconnect' | 'skip' {
    return this.#options.overflow;
  }

  get replay(): boolean {
    return this.#options.replay;
  }

  async publish(value: unknown, idempotencyKey?: string): Promise<string> {
    this.#checkOpen();
    const record = recordOf(value, this.#options.serialize);
    const appended =
      idempotencyKey === undefined ? this.#log.append(record) : this.#appendOnce(record, idempotencyKey);
    const id = typeof appended === 'string' ? appended : await appended;
    const hub = this.#hub;
    if (hub === undefined) return id;
    hub.notePublished(id);
    if (hub.backpressure !== undefined) await hub.backpressure;
    return id;
  }

  async canResume(id: string): Promise<boolean> {
    if (id === '') return false;
    const { gap } = await this.#log.read(id, 1);
    if (gap) return false;
    const { maxReplayEvents } = this.#options;
    return maxReplayEvents === false || this.#isWithin(id, new ReplayLimit(this.#log, maxReplayEvents));
  }

  async end(value: unknown): Promise<void> {
    this.#checkOpen();
    await this.#log.append(this.endRecord(value));
    this.#hub?.noteEnded();
  }

  async endAndCancel(value: unknown): Promise<void> {
    await this.end(value);
    this.#run?.cancel();
  }

  async fail(error: unknown): Promise<void> {
    const type = isSseError(error) && error.code === 'ERR_SSE_RUN_LOST' ? error.code : undefined;
    await this.#log.append({ kind: 'error', type, data: messageOf(error).toWellFormed(), serialized: false });
    this.#hub?.noteEnded();
  }

  /** Fails the subscribers of this process, without an entry in the log, and closes the channel. */
  failHere(error: SseError): void {
    if (this.closed) return;
    this.#closing = Promise.resolve();
    outsideRequests(() => {
      this.#run?.cancel();
      this.#hub?.closeAll(({ owner }) => owner.fail(error));
    });
  }

  close(): Promise<void> {
    this.#closing ??= outsideRequests(() => this.#closeSubscribers());
    return this.#closing;
  }

  start(source: RunSource<unknown>, options: SourceRunOptions): SourceRun {
    const run = new SourceRun(source, options, this);
    this.#run = run;
    run.start();
    return run;
  }

  /** The closing record with a value, as {@link ChannelState.end} appends it. */
  endRecord(value: unknown): EventRecord {
    return endRecordOf(value, this.#options.serialize);
  }

  /** The event of a record with its id, as filters and iterators receive it. */
  eventOf(entry: LogEntry): ServerSentEvent {
    return Entry.of(entry).event(this.#options.parse);
  }

  hasSubscribers(): Awaitable<boolean> {
    return this.size > 0 || (this.#log.hasSubscribers?.() ?? false);
  }

  /** It serves many requests, so what its log starts for it must not belong to the first of them. */
  hub(): Hub {
    this.#hub ??= outsideRequests(() => new Hub(this.#log, this.#options, () => this.#onEmpty()));
    return this.#hub;
  }

  head(): Awaitable<LogHead> {
    return this.#hub?.head() ?? this.#log.head();
  }

  /** The error of a failed run: in the process of the run the error itself, in other processes its message from the log. */
  failureOf(entry: Entry): unknown {
    if (entry.record.type === 'ERR_SSE_RUN_LOST') return sseError('ERR_SSE_RUN_LOST', entry.data);
    const failure = this.#run?.failure;
    if (failure === undefined) return failedError(entry.data);
    // An SseError of another channel, passed on unchanged, would be taken for the end of this one.
    return isSseError(failure.error) ? failedError(entry.data, failure.error) : failure.error;
  }

  async #isWithin(id: string, limit: ReplayLimit): Promise<boolean> {
    const { window } = this.#log;
    if (window !== undefined) return (window.after(id) ?? 0) >= limit.firstIn(window);
    const before = await limit.idBefore();
    return before === undefined || !(this.#log.compare(id, before) < 0);
  }

  #appendOnce(record: EventRecord, idempotencyKey: string): Awaitable<string> {
    const { appendOnce } = this.#log;
    if (appendOnce !== undefined) return appendOnce.call(this.#log, record, idempotencyKey);
    const message =
      'Expected the log to have a function appendOnce() for an idempotencyKey, got none. Use memoryLog() or redisLogs(), ' +
      'pass appendOnce on in a log that wraps another, or leave the key out.';
    throw wrongType('ERR_SSE_INVALID_OPTION', message);
  }

  #onEmpty(): void {
    this.#hub = undefined;
    this.#run?.onUnsubscribed();
  }

  async #closeSubscribers(): Promise<void> {
    this.#run?.cancel();
    this.#hub?.closeAll(({ owner }) => owner.close());
  }

  #checkOpen(): void {
    if (!this.closed) return;
    const message = 'Cannot publish: the channel is CLOSED. Make a new channel.';
    throw sseError('ERR_SSE_CHANNEL_CLOSED', message);
  }
}

function failedError(reason: string, cause?: unknown): SseError {
  return sseError('ERR_SSE_CHANNEL_FAILED', `The run of this channel has failed: ${reason}`, { cause });
}
