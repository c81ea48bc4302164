import type { Connect } from './address';
import type { RedisDriver } from './drivers';
import { closedLogsError, RedisConnection } from './redis-connection';
import { parseMessage, type StreamMessage } from './redis-stream';

/** Receives the messages of one channel. */
export interface ChannelListener {
  /**
   * Redis has acknowledged the subscription: every later message will arrive. Called again after each time that the
   * subscription was lost and made again.
   */
  onSubscribed(): void;
  onMessage(message: StreamMessage): void;
  /** A message that is not about an entry of a stream. */
  onNotice?(text: string): void;
  /** The subscriptions are closed for good. */
  onClose(error: unknown): void;
}

/** The subscription to one channel, which exists while the channel has listeners. */
interface ChannelSubscription {
  readonly channel: string;
  readonly listeners: Set<ChannelListener>;
  /** The driver on which it was requested. */
  driver: RedisDriver | undefined;
  acknowledged: boolean;
}

/** The number of channels in one command, because a client may pass them as the arguments of a function. */
const CHUNK = 1_000;

/** The subscriptions of one process, all on one connection. Each channel is subscribed to once. */
export class RedisSubscriptions {
  readonly #subscriptions = new Map<string, ChannelSubscription>();
  readonly #connection: RedisConnection;
  #closed: Promise<void> | undefined;

  /** @param onReady called each time the connection is ready, for the first time or again */
  constructor(connect: Connect, { onReady, onLost }: { onReady(): void; onLost(error: unknown): void }) {
    this.#connection = new RedisConnection(connect, {
      onReady: (driver) => {
        onReady();
        this.#subscribeAll(driver);
      },
      onLost: (error) => {
        this.#forgetDriver();
        onLost(error);
      },
      onMessage: (channel, text) => this.#forward(channel, text),
    });
  }

  get ready(): boolean {
    return this.#connection.driver !== undefined;
  }

  subscribe(channel: string, listener: ChannelListener): void {
    const subscription = this.#subscriptions.get(channel);
    if (this.#closed !== undefined) listener.onClose(closedLogsError());
    else if (subscription === undefined) this.#addChannel(channel, listener);
    else this.#addListener(subscription, listener);
  }

  unsubscribe(channel: string, listener: ChannelListener): void {
    const subscription = this.#subscriptions.get(channel);
    if (!subscription?.listeners.delete(listener) || subscription.listeners.size > 0) return;
    this.#subscriptions.delete(channel);
    const { driver } = subscription;
    driver?.unsubscribe(channel).catch((error: unknown) => this.#connection.drop(driver, error));
  }

  /** Closes all listeners and the connection. @returns the same promise each time */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  #closeAll(): Promise<void> {
    for (const { listeners } of this.#subscriptions.values()) {
      for (const listener of listeners) listener.onClose(closedLogsError());
    }
    this.#subscriptions.clear();
    return this.#connection.close();
  }

  #addChannel(channel: string, listener: ChannelListener): void {
    const listeners = new Set([listener]);
    const subscription: ChannelSubscription = { channel, listeners, driver: undefined, acknowledged: false };
    this.#subscriptions.set(channel, subscription);
    const { driver } = this.#connection;
    if (driver !== undefined) void this.#request(driver, [subscription]);
  }

  #addListener(subscription: ChannelSubscription, listener: ChannelListener): void {
    subscription.listeners.add(listener);
    if (subscription.acknowledged) listener.onSubscribed();
  }

  #subscribeAll(driver: RedisDriver): void {
    const all = [...this.#subscriptions.values()];
    for (let i = 0; i < all.length; i += CHUNK) void this.#request(driver, all.slice(i, i + CHUNK));
  }

  async #request(driver: RedisDriver, subscriptions: readonly ChannelSubscription[]): Promise<void> {
    for (const subscription of subscriptions) subscription.driver = driver;
    try {
      await driver.subscribe(subscriptions.map(({ channel }) => channel));
    } catch (error) {
      // A connection that lacks subscriptions is of no use.
      this.#connection.drop(driver, error);
      return;
    }
    for (const subscription of subscriptions) this.#acknowledge(subscription, driver);
  }

  /** Does nothing if the subscription was lost, or requested on another driver, meanwhile. */
  #acknowledge(subscription: ChannelSubscription, driver: RedisDriver): void {
    if (subscription.driver !== driver) return;
    subscription.acknowledged = true;
    for (const listener of subscription.listeners) listener.onSubscribed();
  }

  #forgetDriver(): void {
    for (const subscription of this.#subscriptions.values()) {
      subscription.driver = undefined;
      subscription.acknowledged = false;
    }
  }

  #forward(channel: string, text: string): void {
    const subscription = this.#subscriptions.get(channel);
    if (subscription === undefined) return;
    const message = parseMessage(text);
    for (const listener of subscription.listeners) {
      if (message === undefined) listener.onNotice?.(text);
      else listener.onMessage(message);
    }
  }
}
