import type { Dial } from './address';
import type { Line } from './drivers';
import { closed, RedisConnection } from './redis-connection';
import { messageOf, type StreamMessage } from './redis-stream';

/** Who hears the messages of one channel. */
export interface Listener {
  /** Redis has acknowledged the subscription, anew after each time it was lost: from now on all messages arrive. */
  onSubscribed(): void;
  onMessage(message: StreamMessage): void;
  onClose(error: unknown): void;
}

/** One channel, while somebody listens. */
interface Subscription {
  readonly channel: string;
  readonly listeners: Set<Listener>;
  /** Where it was asked for. */
  line: Line | undefined;
  acknowledged: boolean;
}

/** How many channels one command names: a client may spread them over the arguments of a function. */
const CHUNK = 1_000;

/** What one process listens to: all channels on one connection, each once. */
export class RedisSubscriptions {
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #connection: RedisConnection;
  #closed: Promise<void> | undefined;

  /** @param onReady the connection is there, or there again */
  constructor(dial: Dial, { onReady, onLost }: { onReady(): void; onLost(error: unknown): void }) {
    this.#connection = new RedisConnection(dial, {
      onReady: (line) => {
        onReady();
        this.#subscribeAll(line);
      },
      onLost: (error) => {
        this.#onLost();
        onLost(error);
      },
      onMessage: (channel, text) => this.#onMessage(channel, text),
    });
  }

  get ready(): boolean {
    return this.#connection.line !== undefined;
  }

  join(channel: string, listener: Listener): void {
    if (this.#closed !== undefined) return listener.onClose(closed());
    const known = this.#subscriptions.get(channel);
    if (known === undefined) return this.#begin(channel, listener);
    known.listeners.add(listener);
    if (known.acknowledged) listener.onSubscribed();
  }

  leave(channel: string, listener: Listener): void {
    const subscription = this.#subscriptions.get(channel);
    if (!subscription?.listeners.delete(listener) || subscription.listeners.size > 0) return;
    this.#subscriptions.delete(channel);
    const { line } = subscription;
    line?.unsubscribe(channel).catch((error: unknown) => this.#connection.lose(line, error));
  }

  /** Ends the connection. @returns the same promise each time */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #subscribeAll(line: Line): void {
    const all = [...this.#subscriptions.values()];
    for (let i = 0; i < all.length; i += CHUNK) void this.#subscribe(line, all.slice(i, i + CHUNK));
  }

  #onLost(): void {
    for (const subscription of this.#subscriptions.values()) {
      subscription.line = undefined;
      subscription.acknowledged = false;
    }
  }

  #onMessage(channel: string, text: string): void {
    const subscription = this.#subscriptions.get(channel);
    const message = subscription && messageOf(text);
    if (message === undefined) return;
    for (const listener of subscription?.listeners ?? []) listener.onMessage(message);
  }

  #close(): Promise<void> {
    for (const { listeners } of this.#subscriptions.values()) {
      for (const listener of listeners) listener.onClose(closed());
    }
    this.#subscriptions.clear();
    return this.#connection.close();
  }

  #begin(channel: string, listener: Listener): void {
    const listeners = new Set([listener]);
    const subscription: Subscription = { channel, listeners, line: undefined, acknowledged: false };
    this.#subscriptions.set(channel, subscription);
    const line = this.#connection.line;
    if (line !== undefined) void this.#subscribe(line, [subscription]);
  }

  async #subscribe(line: Line, subscriptions: readonly Subscription[]): Promise<void> {
    for (const subscription of subscriptions) subscription.line = line;
    try {
      await line.subscribe(subscriptions.map(({ channel }) => channel));
    } catch (error) {
      // Without its subscriptions it is worth nothing.
      return this.#connection.lose(line, error);
    }
    for (const subscription of subscriptions) {
      if (subscription.line !== line) continue;
      subscription.acknowledged = true;
      for (const listener of subscription.listeners) listener.onSubscribed();
    }
  }
}
