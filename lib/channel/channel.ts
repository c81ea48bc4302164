import { describe, wrongType } from '../errors';
import type { EventOf, ServerSentEvent } from '../format/event';
import { given } from '../given';
import type { Parse } from '../log/entry';
import { memoryLog } from '../log/memory-log';
import type { EntryFilter } from './batch';
import { ChannelState } from './channel-state';
import { type ChannelOptions, type RunOptions, resolveChannelOptions, resolveRunOptions } from './options';
import type { DataOf, RunSource, Yielded } from './source-run';
import { type ChannelEvent, createSubscription, type Subscriber, type Subscription } from './subscription';

/**
 * Decides whether a subscriber receives an event, by its data, and by the event itself with its type and id.
 *
 * @example
 * const expensive: Filter<Price> = ({ price }, { type }) => type === undefined && price > 100;
 * app.get('/expensive', () => prices.filter(expensive));
 */
export type Filter<Value> = (data: DataOf<Value>, event: EventOf<Value>) => boolean;

/**
 * A value that a channel accepts. A channel of data accepts the data, or an event of any type with it. A channel of `Events`
 * accepts these events.
 *
 * @example
 * const split: Publishable<Price> = event('split', { symbol: 'ACME', price: 50.75 });
 */
export type Publishable<Value> = Value | EventOf<Value> | Hint<DataOf<Value>>;

/** No value has this type. It lets the compiler accept every type of data in an event, and not only the first of a union. */
type Hint<Data> = ServerSentEvent<never, Data>;

/** Marks the channels of every copy of this package in the process, as the brands of events do. */
const BRAND = Symbol.for('express-yield.channel');

/** Whether `value` is a channel or a filtered channel, of any copy of this package in the process. */
export function isChannel(value: unknown): value is Subscribable<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as Subscribable<unknown>)[BRAND] === 'number'
  );
}

/**
 * A channel, or a filtered channel.
 *
 * @example
 * const acme: Subscribable<Price> = prices.filter(({ symbol }) => symbol === 'ACME');
 * app.get('/acme', () => acme);
 */
export abstract class Subscribable<Value> implements AsyncIterable<ChannelEvent<Value>> {
  /** @internal */
  get [BRAND](): number {
    return 1;
  }

  /**
   * Creates a subscription whose position is fixed now: after the subscriber's last event ID, or at the head of the
   * channel.
   *
   * To join a snapshot and live events without a gap, subscribe before you read the snapshot and yield the subscription
   * after it.
   *
   * @param subscriber `res.sse`, or `{ lastEventId, signal }`
   * @throws `TypeError` `ERR_SSE_INVALID_OPTION` if `lastEventId` is not a string
   * @example
   * app.get('/mine', async function* (req, res) {
   *   const live = prices.subscribe(res.sse);
   *   yield await snapshot();
   *   yield* live;
   * });
   */
  abstract subscribe(subscriber?: Subscriber): Subscription<Value>;

  /**
   * The events for which a function returns true. A gap and the closing event always pass.
   *
   * @param filter receives the data, and the event with its `type` and `id`. The data is parsed once and shared by all
   *   filters and iterators, so a filter must not change it. If it throws, only that subscriber's stream fails with the
   *   error.
   * @throws `TypeError` `ERR_SSE_INVALID_FILTER` if it is not a function
   * @example
   * app.get('/prices/:symbol', (req) => prices.filter(({ symbol }) => symbol === req.params.symbol));
   * app.get('/halts', () => market.filter((_data, { type }) => type === 'halt'));
   */
  abstract filter(filter: Filter<Value>): Subscribable<Value>;

  /** Subscribes without a last event ID: to events published from now on, or with `replay` also to the retained ones. */
  [Symbol.asyncIterator](): Subscription<Value> {
    return this.subscribe();
  }
}

/**
 * Broadcasts events to many subscribers and replays missed ones. The channel's log retains the events, and each subscriber is
 * a cursor in that log. A client that reconnects with its last event ID receives the events it has missed, then live events:
 * none lost, none twice, in order. If the log no longer retains the missed events, an event `gap` with
 * `{ lastEventId, oldest }` comes first.
 *
 * Return a channel from a route, delegate to it with `yield*`, or read it with `for await`. Without subscribers it costs only
 * the events that its log retains, so an application can have one for each chat or user.
 *
 * A `Channel<Price>` carries data: prices, or events of any type with a price. A
 * `Channel<Events<{ price: Price; halt: Halt }>>` carries these events, which filters and iterators distinguish by
 * `event.type`.
 *
 * @example
 * const prices = new Channel<Price>({ log: memoryLog({ maxEvents: 10_000 }) });
 * app.get('/prices', () => prices);
 * await prices.publish({ symbol: 'ACME', price: 101.5 });
 */
export class Channel<Value = unknown> extends Subscribable<Value> {
  readonly #state: ChannelState;

  /**
   * Broadcasts events to many subscribers and replays missed ones: return the channel from a route, and `publish()` to all
   * of its subscribers.
   *
   * @param options `log`: retains the events · `overflow`: `'disconnect'` or `'skip'` for subscribers that are too slow ·
   *   `replay`: whether new subscribers receive the retained events · `serialize` and `parse`: data to text and back
   * @throws `TypeError` `ERR_SSE_INVALID_OPTION` immediately
   * @default `{ log: memoryLog(), overflow: 'disconnect', replay: false, serialize: JSON.stringify, parse: JSON.parse }`
   */
  constructor(options?: ChannelOptions) {
    super();
    const resolved = resolveChannelOptions(options);
    this.#state = new ChannelState((options && given(options, 'log')) ?? memoryLog(), resolved);
  }

  /**
   * Runs a source once, independently of its subscribers: its values are published, its return value ends the channel, and
   * its error fails the channel. New subscribers receive all events from the first one; reconnecting clients receive what
   * they have missed.
   *
   * @param source a function that returns an async generator or any async iterable, and receives the `signal` that is
   *   aborted when the run is cancelled; or the iterable itself
   * @param options those of a channel, and `ttlMs`: milliseconds without a subscriber in any process after which the run is
   *   cancelled: its signal is aborted, its `return()` is called, and the channel fails with `ERR_SSE_CHANNEL_FAILED`
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION`, `TypeError` `ERR_SSE_INVALID_SOURCE`
   * @default `{ ttlMs: 60_000, replay: true }`
   * @example
   * const job = Channel.from(async function* ({ signal }) {
   *   for (let percent = 0; percent < 100; percent++) yield { percent: await work({ signal }) };
   *   return 'done';
   * });
   */
  static from<Value>(source: RunSource<Value>, options?: RunOptions): Channel<Yielded<Value>> {
    const { ttlMs, ...channelOptions } = resolveRunOptions(options);
    const channel = new Channel<Yielded<Value>>(channelOptions);
    channel.#state.start(source, ttlMs);
    return channel;
  }

  /** The number of subscribers in this process that have begun to read. */
  get size(): number {
    return this.#state.size;
  }

  /**
   * Appends an event to the log. Subscribers receive it in the next turn of the event loop.
   *
   * Await it for backpressure: the promise resolves later while subscribers that keep up have not received the previous
   * events (100 events, or a quarter of the log).
   *
   * @param value a value that a generator may yield, but not a `comment()` and not an `event()` with an id, because the log
   *   gives the ids. An event of another channel gets a new id
   * @returns the event's id, once the log has stored it
   * @throws (rejects with) `TypeError` as `encode()` throws · `SseError` `ERR_SSE_CHANNEL_CLOSED` after `close()` or
   *   `end()` · `SseError` `ERR_SSE_LOG_UNAVAILABLE` if the log is unavailable
   * @example
   * const id = await prices.publish({ symbol: 'ACME', price: 101.5 });
   * await prices.publish(event('split', { symbol: 'ACME', price: 50.75 }));
   */
  publish(value: Publishable<Value>): Promise<string> {
    return this.#state.publish(value);
  }

  /**
   * Ends the channel in all processes. Present and later subscribers receive the retained events and then the closing event,
   * after which an `EventSource` stops for good. The source of a channel made by `Channel.from()` is cancelled.
   *
   * @param value the data of the closing `end` event, or `event(type, data)` to name its type
   * @returns a promise that resolves when the log has stored it
   * @throws (rejects) as {@link Channel.publish} does
   * @example
   * await prices.end({ closed: 'until Monday' });
   */
  end(value?: unknown): Promise<void> {
    return this.#state.endAndCancel(value);
  }

  /**
   * Closes the channel in this process. Present and later subscribers' streams end, so that their clients reconnect. Nothing
   * is appended to the log.
   *
   * @returns always the same promise, which resolves when no subscriber is left
   * @example
   * await prices.close(); // the clients reconnect, to another process
   */
  close(): Promise<void> {
    return this.#state.close();
  }

  override subscribe(subscriber?: Subscriber): Subscription<Value> {
    return this.#subscribeWith([], subscriber);
  }

  override filter(filter: Filter<Value>): Subscribable<Value> {
    return new FilteredChannel(
      (filters, subscriber) => this.#subscribeWith(filters, subscriber),
      [checkedFilter(filter)],
    );
  }

  #subscribeWith(filters: readonly UntypedFilter[], subscriber: Subscriber = {}): Subscription<Value> {
    checkSubscriber(subscriber);
    return createSubscription<Value>(this.#state, subscriber, combined(filters, this.#state.parse));
  }
}

/** All filters as one. A single filter is by far the most frequent, and costs a tenth less without a loop (measured). */
function combined(filters: readonly UntypedFilter[], parse: Parse): EntryFilter | undefined {
  const [first, second] = filters;
  if (first === undefined) return undefined;
  if (second === undefined) {
    return (entry) => {
      const event = entry.event(parse);
      return first(event.data, event);
    };
  }
  return (entry) => {
    const event = entry.event(parse);
    return filters.every((filter) => filter(event.data, event));
  };
}

/** A filter at run time: what is read from the log has no type. */
type UntypedFilter = (data: unknown, event: ServerSentEvent) => boolean;

type SubscribeWith<Value> = (
  filters: readonly UntypedFilter[],
  subscriber: Subscriber | undefined,
) => Subscription<Value>;

class FilteredChannel<Value> extends Subscribable<Value> {
  readonly #subscribeWith: SubscribeWith<Value>;
  readonly #filters: readonly UntypedFilter[];

  constructor(subscribeWith: SubscribeWith<Value>, filters: readonly UntypedFilter[]) {
    super();
    this.#subscribeWith = subscribeWith;
    this.#filters = filters;
  }

  override subscribe(subscriber?: Subscriber): Subscription<Value> {
    return this.#subscribeWith(this.#filters, subscriber);
  }

  override filter(filter: Filter<Value>): Subscribable<Value> {
    return new FilteredChannel(this.#subscribeWith, [...this.#filters, checkedFilter(filter)]);
  }
}

function checkedFilter<Value>(filter: Filter<Value>): UntypedFilter {
  if (typeof filter === 'function') return filter as UntypedFilter;
  throw wrongType(
    'ERR_SSE_INVALID_FILTER',
    `Expected filter() to get a function (data, event) => boolean, got ${describe(filter)}.`,
  );
}

function checkSubscriber(subscriber: Subscriber): void {
  const lastEventId = given(Object(subscriber) as Subscriber, 'lastEventId');
  if (lastEventId === undefined || typeof lastEventId === 'string') return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected lastEventId to be a string, got ${describe(lastEventId)}. Pass res.sse, or { lastEventId, signal }.`,
  );
}
