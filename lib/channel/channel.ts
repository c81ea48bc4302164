import { describe, wrongType } from '../errors';
import type { EventOf } from '../format/event';
import { given } from '../given';
import { memoryLog } from '../log/memory-log';
import { ChannelState } from './channel-state';
import type { UntypedMap } from './lane';
import {
  type ChannelOptions,
  isPublishOptions,
  type PublishOptions,
  type RunOptions,
  resolveChannelOptions,
  resolvePublishOptions,
  resolveRunOptions,
} from './options';
import type { EventTypeOf, GenericEvent, Publishable } from './publishable';
import type { DataOf, RunSource, Yielded } from './source-run';
import { type ChannelEvent, createSubscription, type Subscriber, type Subscription } from './subscription';
import type { Step, UntypedFilter } from './view';

/**
 * Returns whether a subscriber receives an event. It gets the event's data, and the event itself with its type and id.
 *
 * @example
 * const expensive: Filter<Price> = ({ price }, { type }) => type === undefined && price > 100;
 * app.get('/expensive', () => prices.filter(expensive));
 */
export type Filter<Value> = (data: DataOf<Value>, event: EventOf<Value>) => boolean;

/**
 * Makes what subscribers receive instead of an event, from its data, and from the event itself with its type and id.
 *
 * @example
 * const inDollars: Mapper<Price, { symbol: string; dollars: string }> = ({ symbol, price }) => ({
 *   symbol,
 *   dollars: price.toFixed(2),
 * });
 * app.get('/dollars', () => prices.map(inDollars));
 */
export type Mapper<Value, Mapped> = (data: DataOf<Value>, event: EventOf<Value>) => Mapped;

/** The state of a channel, for the runs that own it. */
export let stateOf: <Value>(channel: Channel<Value>) => ChannelState;

/** Marks the channels of every copy of this package in the process, as the brands of events do. */
const BRAND = Symbol.for('express-yield.channel');

/** Whether `value` is a channel or a filtered channel, of any copy of this package in the process. */
export function isChannel(value: unknown): value is Subscribable<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as Subscribable<unknown>)[BRAND] === 'number'
  );
}

/**
 * A channel, or one that is filtered or mapped.
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
   * To send a snapshot and then live events without a gap, subscribe before you read the snapshot, and yield the
   * subscription after it.
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
   * Creates a filtered channel, which delivers only the events for which a function returns true. It always delivers gaps
   * and the closing event.
   *
   * @param filter receives the data, and the event with its `type` and `id`. The data is parsed once and shared by all
   *   filters, maps and iterators, so it is frozen. The filter must be synchronous: a promise is an error, and never true. It
   *   runs in the `AsyncLocalStorage` context of the code that subscribed or returned it from a route. If it throws, only
   *   that subscriber's stream fails with the error. It decides what a client is sent, and not what exists: the ids that
   *   clients see show how many events the channel has. For secrets, use a channel for each audience
   * @throws `TypeError` `ERR_SSE_INVALID_FILTER` if it is not a function
   * @example
   * app.get('/prices/:symbol', (req) => prices.filter(({ symbol }) => symbol === req.params.symbol));
   * app.get('/halts', () => market.filter((_data, { type }) => type === 'halt'));
   */
  abstract filter(filter: Filter<Value>): Subscribable<Value>;

  /**
   * What a function returns instead of each event: data, which is sent without an event type, or `event(type, data)`. Each
   * event keeps its id, so clients resume as without the function. A gap and the closing event pass unchanged.
   *
   * Filters and maps apply in the order in which they were added. Those that follow receive the data as it is sent: through
   * the channel's `serialize` and `parse`.
   *
   * A function that several subscribers use is called once for each event and encoded once, in the `AsyncLocalStorage`
   * context of no request. A function that is made for one subscriber, such as an arrow function in a route, runs in the
   * context of that request.
   *
   * @param map receives the data, which is frozen, and the event with its `type` and `id`. It must be synchronous. If it
   *   throws, or returns what cannot be sent (a promise, a `comment()`, an event with an id of its own, `undefined`), the
   *   stream of that subscriber fails with the error
   * @throws `TypeError` `ERR_SSE_INVALID_MAP` if it is not a function
   * @example
   * const toResult = (data: Price) => ({ jsonrpc: '2.0', method: 'price', params: data });
   * app.get('/rpc', () => prices.map(toResult));
   * app.get('/next', () => prices.map((data) => event('next', { data })));
   */
  abstract map<Mapped>(map: Mapper<Value, Mapped>): Subscribable<Yielded<Mapped>>;

  /** Subscribes without a last event ID: to events published from now on, or with `replay` also to the retained ones. */
  [Symbol.asyncIterator](): Subscription<Value> {
    return this.subscribe();
  }
}

/**
 * Broadcasts events to many subscribers and replays missed ones. The channel's log retains the events, and each subscriber is
 * a cursor in that log. A client that reconnects with its last event ID receives the events it has missed, then live events:
 * none lost, none twice, in order. If the log no longer retains the missed events, an event `gap` with
 * `{ lastEventId, oldest }` is sent first.
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
  static {
    stateOf = (channel) => channel.#state;
  }

  readonly #state: ChannelState;

  /**
   * Broadcasts events to many subscribers and replays missed ones: return the channel from a route, and `publish()` to all
   * of its subscribers.
   *
   * @param options `log`: retains the events · `overflow`: `'disconnect'` or `'skip'` for subscribers that are too slow ·
   *   `replay`: whether new subscribers receive the retained events · `maxReplayEvents`: how many events are replayed to a
   *   subscriber · `serialize` and `parse`: data to text and back
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
   * @default `{ log: memoryLog(), overflow: 'disconnect', replay: false, maxReplayEvents: false, serialize: JSON.stringify,
   *   parse: JSON.parse }`
   */
  constructor(options?: ChannelOptions) {
    super();
    const resolved = resolveChannelOptions(options);
    this.#state = new ChannelState((options && given(options, 'log')) ?? memoryLog(), resolved);
  }

  /**
   * Runs a source once, independently of its subscribers: its values are published, its return value ends the channel, and
   * its error fails the channel. New subscribers receive all events from the first one; reconnecting clients receive the
   * events that they have missed.
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
    channel.#state.start(source, { ttlMs });
    return channel;
  }

  /** The number of subscribers in this process that have begun to read. */
  get size(): number {
    return this.#state.size;
  }

  /**
   * Appends an event to the log. Subscribers receive it in the next turn of the event loop.
   *
   * Await it for backpressure: after 100 events, or a quarter of the log's `maxEvents` if that is fewer, the promise waits
   * until the subscribers that read have received them.
   *
   * Where you do not await it, add `.catch()`: without it a rejection is an unhandledRejection, which ends the process. With
   * `memoryLog()` it rejects only for a mistake: a value that cannot be sent, such as `undefined`, or a channel that was
   * closed.
   *
   * @param value a value that a generator may yield, but not a `comment()` and not an `event()` with an id, because the log
   *   gives the ids. An event of another channel gets a new id. For an event with a type, pass `event(type, data)`
   * @param options `idempotencyKey`: the event is appended once for all calls with the same key, in every process, so you
   *   can publish again after a rejection. The log remembers the keys of at least its newest `maxEvents` events
   * @returns the event's id, once the log has stored it; for an `idempotencyKey` that the log knows, the id of the first event
   * @throws (rejects with) `TypeError` as `encode()` throws · `TypeError` `ERR_SSE_INVALID_EVENT` for any other second
   *   argument · `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` if `idempotencyKey` is not a string of 1 to 256
   *   characters · `SseError` `ERR_SSE_CHANNEL_CLOSED` after `close()` or `end()` · `SseError` `ERR_SSE_LOG_UNAVAILABLE` if
   *   the log is unavailable
   * @example
   * const id = await prices.publish({ symbol: 'ACME', price: 101.5 });
   * await prices.publish(event('split', { symbol: 'ACME', price: 50.75 }));
   * await prices.publish({ symbol: 'ACME', price: 102 }, { idempotencyKey: 'trade-4711' });
   */
  publish<Type extends EventTypeOf<Value>>(
    value: Publishable<Value> | GenericEvent<Value, Type>,
    options?: PublishOptions,
  ): Promise<string>;
  publish(value: Publishable<Value>, second?: unknown): Promise<string> {
    if (second === undefined) return this.#state.publish(value);
    return isPublishOptions(second)
      ? this.#publishOnce(value, second)
      : Promise.reject(secondArgument('publish', value, second));
  }

  /**
   * Ends the channel in all processes. Current and later subscribers receive the retained events and then the closing event,
   * after which an `EventSource` stops for good. The source of a channel made by `Channel.from()` is cancelled.
   *
   * @param value the data of the closing `end` event, or `event(type, data)` to name its type
   * @returns a promise that resolves when the log has stored it
   * @throws (rejects) as {@link Channel.publish} does
   * @example
   * await prices.end({ closed: 'until Monday' });
   */
  end(value?: unknown): Promise<void>;
  end(value?: unknown, second?: unknown): Promise<void> {
    return second === undefined
      ? this.#state.endAndCancel(value)
      : Promise.reject(secondArgument('end', value, second));
  }

  /**
   * Whether a client can resume after an event without a gap: its id is one of this channel, and the log has retained all
   * events after it. Use it before you subscribe, for a protocol that must not resume a stream with the id of another.
   *
   * @param id the last event ID of a client
   * @returns a promise of `false` for `''`, `'~end'`, and an id that is unknown, or from before what the log retains or
   *   `maxReplayEvents` replays
   * @throws (rejects with) `TypeError` `ERR_SSE_INVALID_OPTION` if it is not a string · `SseError`
   *   `ERR_SSE_LOG_UNAVAILABLE` if the log is unavailable
   * @example
   * app.get('/session', async (req, res) => {
   *   const { lastEventId } = res.sse;
   *   if (lastEventId !== '' && !(await prices.canResume(lastEventId))) return void res.sendStatus(404);
   *   return prices;
   * });
   */
  async canResume(id: string): Promise<boolean> {
    if (typeof id === 'string') return this.#state.canResume(id);
    throw wrongType(
      'ERR_SSE_INVALID_OPTION',
      `Expected the id of an event to be a string, got ${describe(id)}.`,
    );
  }

  /**
   * Closes the channel in this process. The streams of current and later subscribers end, so that their clients reconnect.
   * Nothing is appended to the log. The source of a channel made by `Channel.from()` is cancelled.
   *
   * @returns always the same promise, which resolves when no subscriber is left
   * @example
   * await prices.close(); // the clients reconnect, to another process
   */
  close(): Promise<void> {
    return this.#state.close();
  }

  override subscribe(subscriber?: Subscriber): Subscription<Value> {
    return this.#subscribeWith<Value>([], subscriber);
  }

  override filter(filter: Filter<Value>): Subscribable<Value> {
    return this.#derive(filterStep(filter));
  }

  override map<Mapped>(map: Mapper<Value, Mapped>): Subscribable<Yielded<Mapped>> {
    return this.#derive(mapStep(map));
  }

  async #publishOnce(value: unknown, options: PublishOptions): Promise<string> {
    const { idempotencyKey } = resolvePublishOptions(options);
    return this.#state.publish(value, idempotencyKey);
  }

  #derive<Derived>(step: Step): Subscribable<Derived> {
    return new DerivedChannel((steps, subscriber) => this.#subscribeWith(steps, subscriber), [step]);
  }

  #subscribeWith<Derived>(steps: readonly Step[], subscriber: Subscriber = {}): Subscription<Derived> {
    checkSubscriber(subscriber);
    return createSubscription<Derived>(this.#state, subscriber, steps);
  }
}

type SubscribeWith = <Value>(
  steps: readonly Step[],
  subscriber: Subscriber | undefined,
) => Subscription<Value>;

/** A channel with filters and maps. */
class DerivedChannel<Value> extends Subscribable<Value> {
  readonly #subscribeWith: SubscribeWith;
  readonly #steps: readonly Step[];

  constructor(subscribeWith: SubscribeWith, steps: readonly Step[]) {
    super();
    this.#subscribeWith = subscribeWith;
    this.#steps = steps;
  }

  override subscribe(subscriber?: Subscriber): Subscription<Value> {
    return this.#subscribeWith<Value>(this.#steps, subscriber);
  }

  override filter(filter: Filter<Value>): Subscribable<Value> {
    return new DerivedChannel(this.#subscribeWith, [...this.#steps, filterStep(filter)]);
  }

  override map<Mapped>(map: Mapper<Value, Mapped>): Subscribable<Yielded<Mapped>> {
    return new DerivedChannel(this.#subscribeWith, [...this.#steps, mapStep(map)]);
  }
}

/** The types of values are known to the compiler alone: what is read from the log has none. */
function filterStep<Value>(filter: Filter<Value>): Step {
  if (typeof filter === 'function') return { kind: 'filter', filter: filter as UntypedFilter };
  throw wrongType(
    'ERR_SSE_INVALID_FILTER',
    `Expected filter() to get a function (data, event) => boolean, got ${describe(filter)}.`,
  );
}

function mapStep<Value, Mapped>(map: Mapper<Value, Mapped>): Step {
  if (typeof map === 'function') return { kind: 'map', map: map as UntypedMap };
  throw wrongType(
    'ERR_SSE_INVALID_MAP',
    `Expected map() to get a function (data, event) => value, got ${describe(map)}.`,
  );
}

/** For the habit of other packages: `emit(type, data)`. */
function secondArgument(method: 'publish' | 'end', first: unknown, second: unknown): TypeError {
  const type = typeof first === 'string' && first.length < 80 ? `'${first}'` : 'type';
  return wrongType(
    'ERR_SSE_INVALID_EVENT',
    `Expected ${method}() to get one value, got a second one: ${describe(second)}. Use event(${type}, data).`,
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
