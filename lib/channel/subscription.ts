import { wrongType } from '../errors';
import type { EventOf, ServerSentEvent } from '../format/event';
import { given } from '../given';
import type { Gap } from '../log/entry';
import type { Awaitable, LogHead } from '../log/event-log';
import type { CursorStart } from './cursor';
import {
  closedChannelError,
  type FrameSink,
  PullSubscriber,
  PushSubscriber,
  type SubscribedChannel,
} from './subscribers';
import { type Step, type ViewSteps, viewSteps } from './view';

/**
 * A gap: a subscription yields it where the log no longer retains events. Unlike every event of a channel, it has no id.
 *
 * @example
 * const onGap = ({ data }: GapEvent) => console.warn('missed events after', data.lastEventId);
 */
export interface GapEvent extends ServerSentEvent<'gap', Gap> {
  /** For a browser's `addEventListener('gap', …)`. A published event may have this type, too, but it has an id. */
  readonly type: 'gap';
  /** Always `undefined`, so that the client keeps its last event ID. */
  readonly id: undefined;
}

/**
 * A value that a subscription yields: an event of the channel, with its id, or a gap, which has no id.
 *
 * @example
 * for await (const event of prices.subscribe({ lastEventId })) {
 *   if (event.id === undefined) console.warn('missed events after', event.data.lastEventId);
 *   else console.log(event.data.price);
 * }
 */
export type ChannelEvent<Value> =
  | (EventOf<Value> & {
      /** The id that the log gave the event; a gap has none. */
      readonly id: string;
    })
  | GapEvent;

/**
 * The position after which a subscription begins, and the signal that ends it. `res.sse` is a subscriber.
 *
 * @example
 * const worker: Subscriber = { lastEventId: '', signal: AbortSignal.timeout(60_000) };
 * const subscription = prices.subscribe(worker);
 */
export interface Subscriber {
  /**
   * The id of the last event received. Without one, or with `''`, the channel's `replay` decides where the subscription
   * begins.
   */
  readonly lastEventId?: string | undefined;
  /** Ends the subscription when it is aborted. It is read when the first event is requested. */
  readonly signal?: AbortSignal | undefined;
}

/** The members of a channel that its subscriptions use. */
export interface SubscribableChannel extends SubscribedChannel {
  readonly overflow: CursorStart['overflow'];
  /** Whether a subscriber without a last event ID receives all retained events. */
  readonly replay: boolean;
  /** Whether `close()` was called. */
  readonly closed: boolean;
  /** The head of the log at the time of the call. */
  head(): Awaitable<LogHead>;
}

/** Controls a subscription that delivers its frames to a sink. */
export interface Attachment {
  /** The sink accepts frames again. */
  resume(): void;
  /** Ends the subscription; the sink receives nothing afterwards. May be called more than once. */
  cancel(): void;
  /** See {@link PushSubscriber.takeKeepAlive}. */
  takeKeepAlive(): string | undefined;
}

const DETACHED: Attachment = {
  resume: () => undefined,
  cancel: () => undefined,
  takeKeepAlive: () => undefined,
};

const DONE = { done: true, value: undefined } as const;

/** Creates a subscription. */
export let createSubscription: <Value>(
  channel: SubscribableChannel,
  subscriber: Subscriber,
  steps: readonly Step[],
) => Subscription<Value>;

/** Marks the subscriptions of every copy of this package in the process. */
const BRAND = Symbol.for('express-yield.subscription');

/**
 * How the routes of any copy of this package read a subscription. `version` must be raised with every change of these
 * members, of {@link FrameSink}, {@link Attachment} or `Frames`: a copy of another version reads it as an iterator instead.
 */
interface RouteAccess {
  readonly version: number;
  openForRoute(subscription: Subscription): 'push' | 'pull';
  attachSink(subscription: Subscription, sink: FrameSink): Attachment;
}

const VERSION = 1;

/** That of this copy. */
let ROUTE_ACCESS: RouteAccess;

/** Whether `value` is a subscription of any copy of this package in the process. */
export function isSubscription(value: unknown): value is Subscription {
  return typeof value === 'object' && value !== null && accessOf(value as Subscription) !== undefined;
}

/**
 * How a route delivers the subscription that it returned: `'push'` through {@link attachSink}, or `'pull'` through the
 * iterator, because that has been read already, or another version of this package has made it.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_SOURCE` if `return()` was called, or another route delivers the subscription
 */
export function openForRoute(subscription: Subscription): 'push' | 'pull' {
  const access = accessOf(subscription);
  return access?.version === VERSION ? access.openForRoute(subscription) : 'pull';
}

/** Delivers the frames of an unread subscription to a sink, which is notified of everything, also during the call. */
export function attachSink(subscription: Subscription, sink: FrameSink): Attachment {
  return accessOf(subscription)?.attachSink(subscription, sink) ?? DETACHED;
}

function accessOf(subscription: Subscription): RouteAccess | undefined {
  return subscription[BRAND];
}

/**
 * One subscriber's events: the retained events after its last event ID, then live events; none lost, none twice, in order.
 * Made by `channel.subscribe()`, which fixes its position at the time of the call. Return it from a route, delegate to it
 * with `yield*`, or read it with `for await`.
 *
 * An unread subscription holds no resources, so one that is never read needs no cleanup.
 *
 * Reading it ends when the channel has ended; the channel's closing value is the iterator's return value. It throws
 * `SseError` `ERR_SSE_CHANNEL_CLOSED` if the channel is closed, `ERR_SSE_OVERFLOW` if the log no longer retains its next
 * event, the error of a run that has failed, and the signal's reason after that was aborted.
 *
 * @example
 * const subscription = prices.subscribe({ lastEventId });
 * for await (const { id, data } of subscription) console.log(id, data);
 */
export class Subscription<Value = unknown> implements AsyncIterableIterator<ChannelEvent<Value>> {
  // The package's own modules use these closures. As methods they would be in the types that users see.
  static {
    createSubscription = (channel, subscriber, steps) =>
      new Subscription(channel, subscriber, viewSteps(steps));
    ROUTE_ACCESS = {
      version: VERSION,
      openForRoute: (subscription) => subscription.#openForRoute(),
      attachSink: (subscription, sink) => subscription.#attach(sink),
    };
  }

  /** @internal */
  get [BRAND](): RouteAccess {
    return ROUTE_ACCESS;
  }

  readonly #channel: SubscribableChannel;
  readonly #subscriber: Subscriber;
  readonly #start: CursorStart;
  #reader: PullSubscriber | PushSubscriber | undefined;
  #returned = false;

  private constructor(channel: SubscribableChannel, subscriber: Subscriber, view: ViewSteps | undefined) {
    this.#channel = channel;
    this.#subscriber = subscriber;
    const lastEventId = given(subscriber, 'lastEventId') ?? '';
    this.#start = {
      after: startOf(channel, lastEventId),
      clientLastEventId: lastEventId,
      view,
      overflow: channel.overflow,
    };
  }

  /**
   * The id of the last event that was delivered or that the filter dropped; before the first event, the id after which the
   * subscription begins. A new subscription with this id continues after the same event. `''` while the log has not reported
   * the id.
   */
  get lastEventId(): string {
    if (this.#reader !== undefined) return this.#reader.lastId;
    return typeof this.#start.after === 'string' ? this.#start.after : '';
  }

  /** The next event. Calls may overlap; they settle in their order. */
  next(): Promise<IteratorResult<ChannelEvent<Value>, unknown>> {
    if (this.#returned || this.#reader instanceof PushSubscriber) return Promise.resolve(DONE);
    if (this.#reader === undefined) {
      const signal = given(this.#subscriber, 'signal');
      if (signal?.aborted) return this.#reject(signal.reason);
      if (this.#channel.closed) return this.#reject(closedChannelError());
      this.#reader = new PullSubscriber(this.#channel, this.#start, signal);
    }
    return this.#reader.next() as Promise<IteratorResult<ChannelEvent<Value>, unknown>>;
  }

  /** Ends the subscription immediately, also while an event is awaited. Never rejects. */
  return(value?: unknown): Promise<IteratorReturnResult<unknown>> {
    this.#returned = true;
    if (this.#reader instanceof PushSubscriber) this.#reader.close();
    else this.#reader?.cancel();
    return Promise.resolve({ done: true, value });
  }

  /** Returns the subscription itself: it can be read once. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  #openForRoute(): 'push' | 'pull' {
    if (!this.#returned && !(this.#reader instanceof PushSubscriber)) {
      return this.#reader === undefined ? 'push' : 'pull';
    }
    throw wrongType(
      'ERR_SSE_INVALID_SOURCE',
      'Expected a new subscription for each request, got one that was already read or ended. Return the channel, or channel.subscribe(res.sse).',
    );
  }

  #attach(sink: FrameSink): Attachment {
    const signal = this.#ownSignal();
    if (this.#channel.closed || signal?.aborted) {
      this.#returned = true;
      sink.disconnect();
      return DETACHED;
    }
    const subscriber = new PushSubscriber(this.#channel, this.#start, signal, sink);
    this.#reader = subscriber;
    subscriber.begin();
    return subscriber;
  }

  /** Rejects `next()`. Like every iterator that has thrown, the subscription is done afterwards. */
  #reject(error: unknown): Promise<never> {
    this.#returned = true;
    return Promise.reject(error);
  }

  /**
   * The signal that the caller has passed. The signal of `res.sse` is not read, because it is created on first access, and its
   * stream ends the subscription anyway.
   */
  #ownSignal(): AbortSignal | undefined {
    return Object.hasOwn(this.#subscriber, 'signal') ? this.#subscriber.signal : undefined;
  }
}

/** The id after which the subscriber's events begin. */
function startOf(channel: SubscribableChannel, lastEventId: string): Awaitable<string> {
  if (lastEventId !== '' || channel.replay) return lastEventId;
  const head = channel.head();
  if (!('then' in head)) return startAtHead(head);
  const start = Promise.resolve(head).then(startAtHead);
  // Rejects the first `next()`; without a reader it must not be an unhandled rejection.
  start.catch(() => undefined);
  return start;
}

/** A channel that has ended is replayed from its oldest event, because a client can do little with the closing event alone. */
function startAtHead({ id, ended }: LogHead): string {
  return ended ? '' : id;
}
