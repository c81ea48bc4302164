import { inspect } from 'node:util';
import { SseError } from '../errors';
import { endRecordOf, recordOf } from '../format/record';
import type { Entry, Parse } from '../log/entry';
import type { Awaitable, EventLog, LogHead } from '../log/event-log';
import { Hub } from './hub';
import type { ResolvedChannelOptions } from './options';
import { Run, type RunSource } from './source-run';
import type { SubscribedChannel } from './subscription';

/** A channel without its face: its log, and whatever there is while somebody reads it. Values have no type here. */
export class ChannelState implements SubscribedChannel {
  readonly #log: EventLog;
  readonly #settings: ResolvedChannelOptions;
  /** There while it has readers. */
  #hub: Hub | undefined;
  /** The run that fills it. */
  #run: Run | undefined;
  #closing: Promise<void> | undefined;

  constructor(log: EventLog, settings: ResolvedChannelOptions) {
    this.#log = log;
    this.#settings = settings;
  }

  get size(): number {
    return this.#hub?.size ?? 0;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  get parse(): Parse {
    return this.#settings.parse;
  }

  get overflow(): 'disconnect' | 'skip' {
    return this.#settings.overflow;
  }

  get replay(): boolean {
    return this.#settings.replay;
  }

  async publish(value: unknown): Promise<string> {
    this.#checkOpen();
    const appended = this.#log.append(recordOf(value, this.#settings.serialize));
    const id = typeof appended === 'string' ? appended : await appended;
    const hub = this.#hub;
    if (hub === undefined) return id;
    hub.notePublished(id);
    if (hub.crowded !== undefined) await hub.crowded;
    return id;
  }

  async end(value: unknown): Promise<void> {
    this.#checkOpen();
    await this.#log.append(endRecordOf(value, this.#settings.serialize));
    this.#hub?.noteOver();
  }

  async endAndCancel(value: unknown): Promise<void> {
    await this.end(value);
    this.#run?.cancel();
  }

  async fail(error: unknown): Promise<void> {
    const data = error instanceof Error ? error.message : inspect(error);
    await this.#log.append({ kind: 'error', data: data.toWellFormed(), serialized: false });
    this.#hub?.noteOver();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  run(source: RunSource<unknown>, ttlMs: number | false): void {
    this.#run = new Run(source, ttlMs, this);
    this.#run.start();
  }

  isWatched(): Awaitable<boolean> {
    return this.size > 0 || (this.#log.hasSubscribers?.() ?? false);
  }

  hub(): Hub {
    this.#hub ??= new Hub(this.#log, () => {
      this.#hub = undefined;
      this.#run?.onUnwatched();
    });
    return this.#hub;
  }

  tip(): Awaitable<LogHead> {
    return this.#hub?.tip() ?? this.#log.head();
  }

  /** In the process of the run the error itself; elsewhere all that its log can say. */
  failureOf(entry: Entry): unknown {
    const failure = this.#run?.failure;
    if (failure === undefined) return failed(entry.data);
    // As it is, that another channel was closed would pass for the end of this one.
    return failure.error instanceof SseError ? failed(entry.data, failure.error) : failure.error;
  }

  async #close(): Promise<void> {
    this.#run?.cancel();
    this.#hub?.deleteAll((reader) => reader.close());
  }

  #checkOpen(): void {
    if (!this.closed) return;
    const message = 'Cannot publish: the channel is CLOSED. Make a new channel.';
    throw new SseError('ERR_SSE_CHANNEL_CLOSED', message);
  }
}

function failed(why: string, cause?: unknown): SseError {
  return new SseError('ERR_SSE_CHANNEL_FAILED', `The run of this channel has failed: ${why}`, { cause });
}
