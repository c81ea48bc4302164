import { SseError, wrongType } from '../errors';
import type { EventOf, ServerSentEvent } from '../format/event';
import { type FrameSink, Frames } from '../format/frames';
import type { Entry, Gap, Parse } from '../log/entry';
import type { Awaitable, LogHead } from '../log/event-log';
import type { Accepts, Batch } from './batch';
import { Reader, type Start } from './cursor';
import type { Hub } from './hub';

/**
 * What a subscription yields when events are missing in front of the next one. It has no id, and is known by that.
 *
 * @example
 * const onGap = ({ data }: GapEvent) => console.warn('missed some after', data.lastEventId);
 */
export interface GapEvent extends ServerSentEvent<'gap', Gap> {
  /** For a browser's `addEventListener('gap', …)`. Somebody may have published an event of this type, which has an id. */
  readonly type: 'gap';
  /** So that the client keeps the last event ID that it has. */
  readonly id: undefined;
}

/**
 * What a subscription yields: the channel's events, each with its id, and gaps, which have none.
 *
 * @example
 * for await (const event of prices.subscribe({ lastEventId })) {
 *   if (event.id === undefined) console.warn('missed some after', event.data.lastEventId);
 *   else console.log(event.data.price);
 * }
 */
export type ChannelEvent<Value> =
  | (EventOf<Value> & {
      /** That of the log; a gap has none. */
      readonly id: string;
    })
  | GapEvent;

/**
 * Who subscribes; `res.sse` is one.
 *
 * @example
 * const worker: Subscriber = { lastEventId: '', signal: AbortSignal.timeout(60_000) };
 * const subscription = prices.subscribe(worker);
 */
export interface Subscriber {
  /** The id of the last event that it has seen; without one, or with `''`, it gets what the channel's `replay` says. */
  readonly lastEventId?: string;
  /** Ends the subscription when it aborts. Looked at when the first event is asked for. */
  readonly signal?: AbortSignal;
}

/** What a subscription needs of its channel. */
export interface SubscribedChannel {
  readonly parse: Parse;
  readonly overflow: Start['overflow'];
  /** Whether those without a last event ID get everything that is retained. */
  readonly replay: boolean;
  /** Whether `close()` was called. */
  readonly closed: boolean;
  /** Made when the first reader comes. */
  hub(): Hub;
  /** Where the log ends now. */
  tip(): Awaitable<LogHead>;
  /** Why the run of the channel has failed. */
  failureOf(entry: Entry): unknown;
}

/** What a subscription is made with. */
export interface SubscriptionStart {
  readonly channel: SubscribedChannel;
  readonly subscriber: Subscriber;
  readonly accepts: Accepts | undefined;
}

/**
 * One subscriber's events: those after its last event ID that are retained, then live ones, none lost, none twice, in
 * order. Made by `channel.subscribe()`; its place is taken at that moment. It can be returned from a route, passed on
 * with `yield*`, or read with `for await`.
 *
 * Until it is read it holds nothing, so one that is never read needs no clean-up.
 *
 * Reading it ends when the channel has finished; the channel's closing value is the iterator's return value. It throws
 * `SseError` `ERR_SSE_CHANNEL_CLOSED` if the channel is closed, `ERR_SSE_OVERFLOW` if the log has gone past it, the
 * error of a run that has failed, and the signal's reason once that has aborted.
 *
 * @example
 * const subscription = prices.subscribe({ lastEventId });
 * for await (const { id, data } of subscription) console.log(id, data);
 */
export class Subscription<Value = unknown> implements AsyncIterableIterator<ChannelEvent<Value>, unknown> {
  readonly #channel: SubscribedChannel;
  readonly #subscriber: Subscriber;
  readonly #start: Start;
  #reader: IteratorReader | SinkReader | undefined;
  #returned = false;

  /** @internal */
  constructor({ channel, subscriber, accepts }: SubscriptionStart) {
    this.#channel = channel;
    this.#subscriber = subscriber;
    this.#start = {
      after: placeOf(channel, subscriber),
      knownId: subscriber.lastEventId ?? '',
      accepts,
      overflow: channel.overflow,
    };
  }

  /**
   * @throws `TypeError` `ERR_SSE_INVALID_SOURCE` if it is no use returning it from a route, as it went to one before or is
   *   over
   * @internal
   */
  static check(subscription: Subscription): void {
    if (!subscription.#returned && !(subscription.#reader instanceof SinkReader)) return;
    throw wrongType(
      'ERR_SSE_INVALID_SOURCE',
      'Expected a subscription of its own for each request, got one that was read before. Return the channel, or channel.subscribe(res.sse).',
    );
  }

  /**
   * Has frames go straight to a sink, without an iterator between; for the package's own streams.
   *
   * @returns what is to be opened; `undefined` if it is over, or read by an iterator, which goes on from where it is
   * @internal
   */
  static deliver(subscription: Subscription, sink: FrameSink): SinkReader | undefined {
    if (subscription.#reader !== undefined || subscription.#returned) return undefined;
    const channel = subscription.#channel;
    const signal = subscription.#ownSignal();
    if (channel.closed || signal?.aborted) {
      subscription.#returned = true;
      sink.leave();
      return undefined;
    }
    const reader = new SinkReader(channel, subscription.#start, signal, sink);
    subscription.#reader = reader;
    return reader;
  }

  /**
   * The id behind which it stands: of the last event that it has handed out or its filter has passed over, or that of its
   * place. Subscribing with it goes on from here. `''` while its log has not told the place.
   */
  get lastEventId(): string {
    if (this.#reader !== undefined) return this.#reader.lastId;
    return typeof this.#start.after === 'string' ? this.#start.after : '';
  }

  /** The next event or gap; `for await` and `yield*` call it. */
  next(): Promise<IteratorResult<ChannelEvent<Value>, unknown>> {
    if (this.#returned || this.#reader instanceof SinkReader) return Promise.resolve(DONE);
    if (this.#reader === undefined) {
      const { signal } = this.#subscriber;
      if (signal?.aborted) return this.#refuse(signal.reason);
      if (this.#channel.closed) return this.#refuse(closedChannel());
    }
    return this.#iterator().take() as Promise<IteratorResult<ChannelEvent<Value>, unknown>>;
  }

  /** Ends the subscription at once, also while an event is awaited. Never rejects. */
  return(value?: unknown): Promise<IteratorReturnResult<unknown>> {
    this.#returned = true;
    if (this.#reader instanceof SinkReader) this.#reader.close();
    else this.#reader?.stop();
    return Promise.resolve({ done: true, value });
  }

  /** Itself: one subscription is one reading. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  #iterator(): IteratorReader {
    if (this.#reader instanceof IteratorReader) return this.#reader;
    const reader = new IteratorReader(this.#channel, this.#start, this.#subscriber.signal);
    this.#reader = reader;
    reader.begin();
    return reader;
  }

  /** Over before it has begun; as every iterator that has thrown, it is done from then on. */
  #refuse(error: unknown): Promise<never> {
    this.#returned = true;
    return Promise.reject(error);
  }

  /** That of `res.sse` is made when it is looked at; and its stream ends with it anyway. */
  #ownSignal(): AbortSignal | undefined {
    return Object.hasOwn(this.#subscriber, 'signal') ? this.#subscriber.signal : undefined;
  }
}

const DONE = { done: true, value: undefined } as const;

/** The id behind which the subscriber's events begin. */
function placeOf(channel: SubscribedChannel, { lastEventId = '' }: Subscriber): Awaitable<string> {
  if (lastEventId !== '' || channel.replay) return lastEventId;
  const tip = channel.tip();
  if (!('then' in tip)) return beginningOf(tip);
  const place = Promise.resolve(tip).then(beginningOf);
  // Whoever reads the subscription hears of it; whoever does not need not.
  place.catch(() => undefined);
  return place;
}

/** Of a channel that is over, everything: nothing more is to come, and the closing event alone would say little. */
function beginningOf({ id, ended }: LogHead): string {
  return ended ? '' : id;
}

/** Hands its frames to a sink, in turns. */
export class SinkReader extends Reader {
  readonly #channel: SubscribedChannel;
  readonly #sink: FrameSink;
  /** The id that the client knows to be its last. */
  #toldId: string;

  constructor(channel: SubscribedChannel, start: Start, signal: AbortSignal | undefined, sink: FrameSink) {
    super(channel.hub(), start, signal);
    this.#channel = channel;
    this.#sink = sink;
    this.#toldId = start.knownId;
  }

  /** Finds its place, and sends at once what is there already. */
  open(): void {
    this.begin();
    if (!this.joined) return;
    this.unlink();
    this.serve();
  }

  /** The sink takes frames again. */
  resume(): void {
    if (!this.over) this.hub.wake(this);
  }

  /**
   * An `id` line for a keep-alive, so that the client of a filter that seldom matches does not grow older than the log;
   * `''` if the client knows its last id already.
   */
  takeIdLine(): string {
    const { lastId } = this;
    if (lastId === this.#toldId || !this.joined || this.over) return '';
    this.#toldId = lastId;
    return `id: ${lastId}\n`;
  }

  override serve(): number {
    if (this.over) return 1;
    const batch = this.takeBatch();
    if (batch === undefined) {
      this.#greet();
      return 1;
    }
    this.#send(batch);
    return 1 + Math.floor(batch.length / LOOKS_A_WRITE);
  }

  #send({ frames, sentId, over, failure }: Batch): void {
    if (sentId !== '') this.#toldId = sentId;
    const isReady = frames === undefined || this.#sink.send(frames);
    if (over !== undefined) return this.#finish(over);
    if (failure !== undefined) return this.fail(failure.error);
    if (isReady) this.#greet();
    else if (!this.over) this.hub.stall(this);
  }

  /** A client that is lost before its first event comes back to the place that it had, so its id goes out at once. */
  #greet(): void {
    if (this.#toldId === '' && this.joined && !this.over)
      this.#sink.send(new Frames(`${this.takeIdLine()}\n`, 0));
    this.queue();
  }

  #finish(entry: Entry): void {
    this.stop();
    if (entry.kind === 'end') this.#sink.finish(entry.frame);
    else this.#sink.fail(this.#channel.failureOf(entry));
  }

  override close(): void {
    if (this.over) return;
    this.stop();
    this.#sink.leave();
  }

  override overflow(): void {
    this.close();
  }

  protected override abort(): void {
    this.close();
  }

  override fail(error: unknown): void {
    if (this.over) return;
    this.stop();
    this.#sink.fail(error);
  }
}

/** So many looks of a filter count as one write, so that a slice of the turn stays short. */
const LOOKS_A_WRITE = 20;

type Step = IteratorResult<ServerSentEvent, unknown>;

interface Waiter {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: unknown) => void;
}

/** Hands out its events one at a time, to whoever asks. */
class IteratorReader extends Reader {
  readonly #channel: SubscribedChannel;
  readonly #waiters: Waiter[] = [];
  /** What ended it, for who asks next; told once. */
  #failure: { readonly error: unknown } | undefined;

  constructor(channel: SubscribedChannel, start: Start, signal: AbortSignal | undefined) {
    super(channel.hub(), start, signal);
    this.#channel = channel;
  }

  take(): Promise<Step> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.unlink();
      this.serve();
    });
  }

  override serve(): number {
    let handed = 0;
    try {
      while (this.#waiters.length > 0 && this.#hand()) handed++;
    } catch (error) {
      this.fail(error);
    }
    if (this.#waiters.length > 0) this.queue();
    return 1 + handed + Math.floor(this.takeLooks() / LOOKS_A_WRITE);
  }

  /** @returns whether somebody got something */
  #hand(): boolean {
    if (this.over) return this.#handEnd();
    const entry = this.takeEntry();
    if (entry === undefined) return this.over && this.#handEnd();
    if (entry.kind === 'error') throw this.#channel.failureOf(entry);
    const event = entry.event(this.#channel.parse);
    if (entry.kind === 'end') this.#end(event);
    else this.#waiters.shift()?.resolve({ done: false, value: event });
    return true;
  }

  #handEnd(): boolean {
    const waiter = this.#waiters.shift();
    if (this.#failure === undefined) waiter?.resolve(DONE);
    else waiter?.reject(this.#failure.error);
    this.#failure = undefined;
    return true;
  }

  /** An event that names itself is returned as it is, so that `return yield* channel` passes it on. */
  #end(event: ServerSentEvent): void {
    const value = event.type === 'end' && event.comment === undefined ? event.data : event;
    this.#waiters.shift()?.resolve({ done: true, value: value === '' ? undefined : value });
    this.stop();
  }

  override stop(): void {
    super.stop();
    while (this.#waiters.length > 0) this.#handEnd();
  }

  override close(): void {
    this.fail(closedChannel());
  }

  override overflow(): void {
    const message = `Expected the log to hold what follows '${this.lastId}', but it has gone past it. Read faster, retain more events, or use overflow: 'skip'.`;
    this.fail(new SseError('ERR_SSE_OVERFLOW', message));
  }

  protected override abort(reason: unknown): void {
    this.fail(reason);
  }

  override fail(error: unknown): void {
    if (this.over) return;
    this.#failure = { error };
    this.stop();
  }
}

function closedChannel(): SseError {
  return new SseError(
    'ERR_SSE_CHANNEL_CLOSED',
    'Cannot read: the channel is CLOSED. Subscribe to its successor.',
  );
}
