import { describe, wrongType } from '../errors';
import type { EventOf, ServerSentEvent } from '../format/event';
import type { Parse } from '../log/entry';
import { memoryLog } from '../log/memory-log';
import type { Accepts } from './batch';
import { ChannelState } from './channel-state';
import { type ChannelOptions, type RunOptions, resolveChannelOptions, resolveRunOptions } from './options';
import type { DataOf, RunSource, Yielded } from './source-run';
import { type ChannelEvent, type Subscriber, Subscription } from './subscription';

/**
 * Decides by its data, and by the event with its type and id, whether a subscriber gets an event.
 *
 * @example
 * const dear: Filter<Price> = ({ price }, { type }) => type === undefined && price > 100;
 * app.get('/dear', () => prices.filter(dear));
 */
export type Filter<Value> = (data: DataOf<Value>, event: EventOf<Value>) => boolean;

/**
 * What a channel takes. One of plain data takes the data, or an event of any type with it; one of `Events` takes these.
 *
 * @example
 * const split: Publishable<Price> = event('split', { symbol: 'ACME', price: 50.75 });
 */
export type Publishable<Value> = Value | EventOf<Value> | Hint<DataOf<Value>>;

/** Nothing is one. By it the compiler finds that `event('halt', { reason: 'news' })` may hold any of the data, and not its first alone. */
type Hint<Data> = ServerSentEvent<never, Data>;

/**
 * What can be subscribed to: a channel, or a part of one.
 *
 * @example
 * const acme: Subscribable<Price> = prices.filter(({ symbol }) => symbol === 'ACME');
 * app.get('/acme', () => acme);
 */
export abstract class Subscribable<Value> implements AsyncIterable<ChannelEvent<Value>, unknown> {
  /**
   * Takes a place in the channel, at this moment: behind the subscriber's last event ID, or at the end.
   *
   * Ask for it before you read a snapshot, and pass it on behind the snapshot; then nothing is missed between them.
   *
   * @param subscriber `res.sse`, or the `lastEventId` and `signal` of somebody else
   * @throws `TypeError` `ERR_SSE_INVALID_OPTION` for a `lastEventId` that is no string
   * @example
   * app.get('/mine', async function* (req, res) {
   *   const live = prices.subscribe(res.sse);
   *   yield await snapshot();
   *   yield* live;
   * });
   */
  abstract subscribe(subscriber?: Subscriber): Subscription<Value>;

  /**
   * The part of the channel that a function lets through. A gap and the end always come through.
   *
   * @param accepts gets the data as it was parsed from the log, once for all filters and iterators, which share it and so
   *   must not change it, and the event with its `type` and `id`. If it throws, that subscriber's stream ends with the error, and nobody else's.
   * @throws `TypeError` `ERR_SSE_INVALID_FILTER` if it is no function
   * @example
   * app.get('/prices/:symbol', (req) => prices.filter(({ symbol }) => symbol === req.params.symbol));
   * app.get('/halts', () => market.filter((_data, { type }) => type === 'halt'));
   */
  abstract filter(accepts: Filter<Value>): Subscribable<Value>;

  /** {@link Subscribable.subscribe} without a subscriber: what comes from now on, or with `replay` what is retained too. */
  [Symbol.asyncIterator](): Subscription<Value> {
    return this.subscribe();
  }
}

/**
 * One publisher, many subscribers. Every event is kept in the channel's log, and every subscriber is a place in it:
 * one that comes back with its last event ID gets what it has missed, then what comes live; none lost, none twice, in
 * order. If the log no longer reaches back so far, an event `gap` with `{ lastEventId, oldest }` comes first.
 *
 * Return it from a route, pass it on with `yield*`, or read it with `for await`. Without subscribers it costs what its
 * log retains, so there can be one for each room or user.
 *
 * `Channel<Price>` is one of data: prices, or events of any type with a price. `Channel<Events<{ price: Price; halt: Halt }>>`
 * is one of these events, which its filters and iterators tell apart by `event.type`.
 *
 * @example
 * const prices = new Channel<Price>({ log: memoryLog({ maxEvents: 10_000 }) });
 * app.get('/prices', () => prices);
 * await prices.publish({ symbol: 'ACME', price: 101.5 });
 */
export class Channel<Value = unknown> extends Subscribable<Value> {
  readonly #core: ChannelState;

  /**
   * One publisher, many subscribers: return the channel from a route, and `publish()` to all who are there. Who comes back
   * gets what it has missed.
   *
   * @param options `log`: keeps the events · `overflow`: `'disconnect'` or `'skip'` subscribers whom the log has passed ·
   *   `replay`: whether newcomers get what is retained · `serialize` and `parse`: data to text and back
   * @throws `TypeError` `ERR_SSE_INVALID_OPTION` at once
   * @default `{ log: memoryLog(), overflow: 'disconnect', replay: false, serialize: JSON.stringify, parse: JSON.parse }`
   */
  constructor(options?: ChannelOptions) {
    super();
    const settings = resolveChannelOptions(options);
    this.#core = new ChannelState(options?.log ?? memoryLog(), settings);
  }

  /**
   * Runs a source once, whoever watches: its values are published, its return value ends the channel, its error ends it
   * as an error. Subscribers who come later get it from its beginning, and those who come back what they have missed.
   *
   * @param source a function that returns an async generator or any async iterable, and gets the `signal` that aborts
   *   when the run is cancelled; or the iterable itself
   * @param options those of a channel, and `ttlMs`: milliseconds without a subscriber, in any process, after which the run
   *   is cancelled: its signal aborts, its `return()` is called, and the channel ends with the error
   *   `ERR_SSE_CHANNEL_FAILED`
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
    channel.#core.run(source, ttlMs);
    return channel;
  }

  /** How many subscribers read it in this process. Those who have taken a place and not begun to read do not count. */
  get size(): number {
    return this.#core.size;
  }

  /**
   * Appends an event to the log; subscribers get it in the next turn of the event loop.
   *
   * A publisher that awaits is held back a little while subscribers who keep up have not got what was published before.
   *
   * @param value anything that a generator may yield, but no `comment()` and no `event()` with an id: ids are
   *   the log's. An event of another channel gets a new one
   * @returns the event's id, once the log has it
   * @throws (rejects with) `TypeError` as `encode()` throws · `SseError` `ERR_SSE_CHANNEL_CLOSED` after `close()` or
   *   `end()` · `SseError` `ERR_SSE_LOG_UNAVAILABLE` if the log is out of reach
   * @example
   * const id = await prices.publish({ symbol: 'ACME', price: 101.5 });
   * await prices.publish(event('split', { symbol: 'ACME', price: 50.75 }));
   */
  publish(value: Publishable<Value>): Promise<string> {
    return this.#core.publish(value);
  }

  /**
   * Finishes the channel: its subscribers, and all who come later, get what is retained and then the closing event, on
   * which an `EventSource` stops for good. The source of a channel made by `Channel.from()` is cancelled.
   *
   * @param value the data of the closing `end` event, or `event(type, data)` to name it
   * @returns a promise that resolves when the log has it
   * @throws (rejects) as {@link Channel.publish} does
   * @example
   * await prices.end({ closed: 'until Monday' });
   */
  end(value?: unknown): Promise<void> {
    return this.#core.endAndCancel(value);
  }

  /**
   * Closes the channel in this process: its subscribers' streams end so that their clients come again, and so do those of
   * all who come later. Nothing is appended to the log.
   *
   * @returns a promise, always the same, that resolves when no subscriber is left
   * @example
   * await prices.close(); // its subscribers reconnect, and find another process
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  override subscribe(subscriber?: Subscriber): Subscription<Value> {
    return this.#subscribe(subscriber, []);
  }

  override filter(accepts: Filter<Value>): Subscribable<Value> {
    return new FilteredChannel(
      (subscriber, all) => this.#subscribe(subscriber, all),
      [checkedFilter(accepts)],
    );
  }

  #subscribe(subscriber: Subscriber = {}, filters: readonly UntypedFilter[]): Subscription<Value> {
    checkSubscriber(subscriber);
    const accepts = acceptsOf(filters, this.#core.parse);
    return new Subscription<Value>({ channel: this.#core, subscriber, accepts });
  }
}

/** All filters as one; one by far is the rule, and costs a tenth less without a loop (measured). */
function acceptsOf(filters: readonly UntypedFilter[], parse: Parse): Accepts | undefined {
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
    return filters.every((accepts) => accepts(event.data, event));
  };
}

/** What a filter is when it runs: what comes from the log has no type. */
type UntypedFilter = (data: unknown, event: ServerSentEvent) => boolean;

type SubscribeWith<Value> = (
  subscriber: Subscriber | undefined,
  filters: readonly UntypedFilter[],
) => Subscription<Value>;

/** A channel seen through filters. */
class FilteredChannel<Value> extends Subscribable<Value> {
  readonly #subscribe: SubscribeWith<Value>;
  readonly #filters: readonly UntypedFilter[];

  constructor(subscribe: SubscribeWith<Value>, filters: readonly UntypedFilter[]) {
    super();
    this.#subscribe = subscribe;
    this.#filters = filters;
  }

  override subscribe(subscriber?: Subscriber): Subscription<Value> {
    return this.#subscribe(subscriber, this.#filters);
  }

  override filter(accepts: Filter<Value>): Subscribable<Value> {
    return new FilteredChannel(this.#subscribe, [...this.#filters, checkedFilter(accepts)]);
  }
}

function checkedFilter<Value>(accepts: Filter<Value>): UntypedFilter {
  if (typeof accepts === 'function') return accepts as UntypedFilter;
  throw wrongType(
    'ERR_SSE_INVALID_FILTER',
    `Expected filter() to get a function (data, event) => boolean, got ${describe(accepts)}.`,
  );
}

function checkSubscriber(subscriber: Subscriber): void {
  const { lastEventId } = Object(subscriber) as Subscriber;
  if (lastEventId === undefined || typeof lastEventId === 'string') return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected lastEventId to be a string, got ${describe(lastEventId)}. Pass res.sse, or { lastEventId, signal }.`,
  );
}
