import { type SseError, sseError } from '../errors';
import type { ServerSentEvent } from '../format/event';
import { encodeId, encodeKeepAlive } from '../format/event-stream';
import { Frames } from '../format/frames';
import type { Entry } from '../log/entry';
import { Cursor, type CursorOwner, type CursorStart, Demand } from './cursor';
import type { Batch } from './frame-cache';
import type { Hub } from './hub';

/** The channel, as its subscribers use it. */
export interface SubscribedChannel {
  /** Created for the first subscriber. */
  hub(): Hub;
  /** The error of a run that has failed. */
  failureOf(entry: Entry): unknown;
}

/** Receives the frames of a subscription directly, without an iterator. No member may throw. */
export interface FrameSink {
  /** @returns whether it accepts more now; if not, it must call {@link PushSubscriber.resume} when it does */
  send(frames: Frames): boolean;
  /** The position in the log is known, so an error before the first event is unlikely. */
  onPositioned(): void;
  /**
   * The channel has ended. Nothing follows.
   *
   * @param closingFrame the closing event, after which an EventSource stops
   * @param lastFrame the closing value as an ordinary event; `''` if there is none
   */
  finish(closingFrame: string, lastFrame: string): void;
  /** The subscription has ended although the channel has not, so the client should reconnect. */
  disconnect(): void;
  /** The subscription has failed. */
  fail(error: unknown): void;
}

/** A filter that scans this many entries has done the work of one write. Counting it keeps turns short. */
const SCANS_PER_WRITE = 20;

/** Delivers the frames of a subscription to a sink. */
export class PushSubscriber implements CursorOwner {
  readonly #channel: SubscribedChannel;
  readonly #sink: FrameSink;
  readonly #hub: Hub;
  readonly #cursor: Cursor;
  #stalled = false;
  /** The last id that was sent to the client, or that the client sent. */
  #clientLastEventId: string;

  constructor(
    channel: SubscribedChannel,
    start: CursorStart,
    signal: AbortSignal | undefined,
    sink: FrameSink,
  ) {
    this.#channel = channel;
    this.#sink = sink;
    this.#clientLastEventId = start.clientLastEventId;
    this.#hub = channel.hub();
    this.#cursor = new Cursor(this.#hub, start, signal, this);
  }

  get lastId(): string {
    return this.#cursor.lastId;
  }

  get demand(): Demand {
    return this.#stalled ? Demand.STALLED : Demand.MORE;
  }

  /** Finds the cursor's position, and immediately delivers the entries that the log already has. */
  begin(): void {
    this.#cursor.begin();
    if (!this.#cursor.live || !this.#hub.deliverNow(this.#cursor)) return;
    if (this.#cursor.live) this.#sink.onPositioned();
  }

  /** The sink accepts frames again. */
  resume(): void {
    this.#stalled = false;
    if (!this.#cursor.closed) this.#hub.wake(this.#cursor);
  }

  /** Ends the subscription; the sink receives nothing afterwards. May be called more than once. */
  cancel(): void {
    this.#cursor.close();
  }

  /**
   * A keep-alive comment with the current id; `undefined` if the client already has this id. Without it, the last event ID of
   * a client whose filter passes few events would become older than the log.
   */
  takeKeepAlive(): string | undefined {
    const id = this.#takeUnsentId();
    return id === undefined ? undefined : encodeKeepAlive(id);
  }

  deliver(): number {
    const batch = this.#cursor.nextBatch();
    if (batch === undefined) {
      this.#sendInitialId();
      return 1;
    }
    this.#sendBatch(batch);
    return 1 + Math.floor(batch.length / SCANS_PER_WRITE);
  }

  overflow(): void {
    this.close();
  }

  fail(error: unknown): void {
    if (this.#cursor.closed) return;
    this.cancel();
    this.#sink.fail(error);
  }

  close(): void {
    if (this.#cursor.closed) return;
    this.cancel();
    this.#sink.disconnect();
  }

  abort(): void {
    this.close();
  }

  #sendBatch({ frames, sentId, closing, failure }: Batch): void {
    if (sentId !== '') this.#clientLastEventId = sentId;
    if (frames !== undefined) this.#send(frames);
    if (closing !== undefined) this.#finish(closing);
    else if (failure !== undefined) this.fail(failure.error);
    else if (!this.#stalled) this.#sendInitialId();
  }

  #send(frames: Frames): void {
    this.#stalled = !this.#sink.send(frames);
  }

  /** Sends the current id, so that a client that disconnects before its first event resumes after this id. */
  #sendInitialId(): void {
    if (this.#clientLastEventId !== '') return;
    const id = this.#takeUnsentId();
    if (id !== undefined) this.#send(new Frames(encodeId(id), 0));
  }

  #takeUnsentId(): string | undefined {
    const { lastId, live } = this.#cursor;
    if (lastId === this.#clientLastEventId || !live) return undefined;
    this.#clientLastEventId = lastId;
    return lastId;
  }

  #finish(entry: Entry): void {
    this.cancel();
    if (entry.kind === 'end') this.#sink.finish(entry.frame, entry.lastFrame);
    else this.#sink.fail(this.#channel.failureOf(entry));
  }
}

type Step = IteratorResult<ServerSentEvent, unknown>;

interface PendingNext {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: unknown) => void;
}

const DONE = { done: true, value: undefined } as const;

/** Hands out the events of a subscription one at a time, through `next()`. */
export class PullSubscriber implements CursorOwner {
  readonly #channel: SubscribedChannel;
  readonly #hub: Hub;
  readonly #cursor: Cursor;
  readonly #pending: PendingNext[] = [];
  readonly #settlePending = () => this.#settleAll();
  #begun = false;
  /** The error for the next call of `next()`; reported once. */
  #failure: { readonly error: unknown } | undefined;

  constructor(channel: SubscribedChannel, start: CursorStart, signal: AbortSignal | undefined) {
    this.#channel = channel;
    this.#hub = channel.hub();
    this.#cursor = new Cursor(this.#hub, start, signal, this);
  }

  get lastId(): string {
    return this.#cursor.lastId;
  }

  get demand(): Demand {
    return this.#pending.length > 0 ? Demand.MORE : Demand.NONE;
  }

  next(): Promise<Step> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      this.#begin();
      this.#hub.deliverNow(this.#cursor);
    });
  }

  /** Ends the subscription; pending and later calls of `next()` are done. May be called more than once. */
  cancel(): void {
    this.#cursor.close();
    while (this.#pending.length > 0) this.#settleEnded();
  }

  deliver(): number {
    const settled = this.#cursor.scan(this.#settlePending);
    return 1 + settled + Math.floor(this.#cursor.takeScanned() / SCANS_PER_WRITE);
  }

  overflow(): void {
    const message = `Expected the log to retain the events after '${this.lastId}', but it has dropped them. Read faster, retain more events, or use overflow: 'skip'.`;
    this.fail(sseError('ERR_SSE_OVERFLOW', message));
  }

  fail(error: unknown): void {
    if (this.#cursor.closed) return;
    this.#failure = { error };
    this.cancel();
  }

  close(): void {
    this.fail(closedChannelError());
  }

  abort(reason: unknown): void {
    this.fail(reason);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#cursor.begin();
  }

  /** @returns how many calls of `next()` were settled */
  #settleAll(): number {
    let settled = 0;
    try {
      while (this.#pending.length > 0 && this.#settleNext()) settled++;
    } catch (error) {
      this.fail(error);
    }
    return settled;
  }

  /** @returns whether a pending `next()` was settled */
  #settleNext(): boolean {
    if (this.#cursor.closed) return this.#settleEnded();
    const entry = this.#cursor.nextEntry();
    if (entry === undefined) return this.#cursor.closed && this.#settleEnded();
    if (entry.kind === 'error') throw this.#channel.failureOf(entry);
    const event = this.#cursor.eventOf(entry);
    if (entry.kind === 'end') this.#end(entry.hasValue ? event : undefined);
    else this.#pending.shift()?.resolve({ done: false, value: event });
    return true;
  }

  #settleEnded(): boolean {
    const pending = this.#pending.shift();
    if (this.#failure === undefined) pending?.resolve(DONE);
    else pending?.reject(this.#failure.error);
    this.#failure = undefined;
    return true;
  }

  /** An event with a type or a comment is returned whole, so that `return yield* channel` passes it on. */
  #end(event: ServerSentEvent | undefined): void {
    const value = event?.type === 'end' && event.comment === undefined ? event.data : event;
    this.#pending.shift()?.resolve({ done: true, value });
    this.cancel();
  }
}

/** The error of reading a channel that is closed. */
export function closedChannelError(): SseError {
  return sseError(
    'ERR_SSE_CHANNEL_CLOSED',
    'Cannot read: the channel is CLOSED. Subscribe to a new channel.',
  );
}
