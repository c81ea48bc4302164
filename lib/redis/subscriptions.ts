import { isSharded } from './channel-name';
import { parseRedirection } from './cluster-slots';
import type { Connect, DriverListener, RedisDriver } from './drivers';
import { closedLogsError, HEARTBEAT_MS, NodeConnection } from './redis-connection';
import { parseMessage, type StreamMessage } from './redis-stream';
import { replyCode } from './reply-code';

/** Receives the messages of one channel. */
export interface ChannelListener {
  /**
   * Redis has acknowledged the subscription: every later message will arrive. Called again after each time that the
   * subscription was lost and made again.
   */
  onSubscribed(): void;
  onMessage(message: StreamMessage): void;
  /** No message has arrived for a while, although one may have been published: the end of the stream should be checked. */
  onIdle?(): void;
  /** A message that is not about an entry of a stream. */
  onNotice?(text: string): void;
  /** The subscriptions are closed for good. */
  onClose(error: unknown): void;
}

/** The servers that have the messages of the channels. A {@link ClusterTopology}, or a {@link SingleServer}. */
export interface MessageServers {
  /** @returns the name of the server; `undefined` if it is unknown at the moment */
  masterOf(channel: string): string | undefined;
  connect(server: string, listener: DriverListener): RedisDriver;
  /** @param listener called when the server of a channel may have changed */
  watch(listener: () => void): void;
  /** A server has named the one that has a slot. */
  move(slot: number, server: string): void;
  /** Finds out whether channels have changed their servers. */
  refresh(): void;
}

/** The messages of a Redis that is no cluster. */
export class SingleServer implements MessageServers {
  readonly #connect: Connect;

  constructor(connect: Connect) {
    this.#connect = connect;
  }

  masterOf(): string {
    return '';
  }

  connect(_server: string, listener: DriverListener): RedisDriver {
    return this.#connect(listener);
  }

  watch(): void {}

  move(): void {}

  refresh(): void {}
}

/** The subscription to one channel, which exists while the channel has listeners. */
interface ChannelSubscription {
  readonly channel: string;
  readonly listeners: Set<ChannelListener>;
  server: MessageServer | undefined;
  /** The driver on which it was requested. */
  driver: RedisDriver | undefined;
  acknowledged: boolean;
  /** Whether a message has arrived since the last check. */
  isActive: boolean;
}

/** The connection to one server, and the channels that are subscribed to there. */
interface MessageServer {
  readonly name: string;
  readonly connection: NodeConnection;
  readonly subscriptions: Set<ChannelSubscription>;
}

/** The number of channels in one command, because a client may pass them as the arguments of a function. */
const CHUNK = 1_000;

/** The number of idle channels whose streams are checked at each heartbeat. */
const MAX_CHECKED = 100;

/** Milliseconds before a subscription is requested again that the server could not make at the moment. */
const RETRY_MS = 100;

/** The states in which a server cannot subscribe to a channel that it had before, or will have. */
const MOVING_CODES = new Set(['MOVED', 'CLUSTERDOWN', 'TRYAGAIN']);

/** The subscriptions of one process, all of one server on one connection. Each channel is subscribed to once. */
export class RedisSubscriptions {
  readonly #subscriptions = new Map<string, ChannelSubscription>();
  readonly #servers = new Map<string, MessageServer>();
  readonly #router: MessageServers;
  readonly #events: { onReady(): void; onLost(error: unknown): void };
  readonly #isCluster: boolean;
  readonly #heartbeat: NodeJS.Timeout | undefined;
  /** Connections that are no longer needed and have not closed completely yet. */
  readonly #closing = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  /** @param events `onReady`: called each time that a connection is ready, for the first time or again */
  constructor(
    router: MessageServers,
    events: { onReady(): void; onLost(error: unknown): void },
    heartbeatMs = HEARTBEAT_MS,
  ) {
    this.#router = router;
    this.#events = events;
    this.#isCluster = !(router instanceof SingleServer);
    if (this.#isCluster) {
      router.watch(() => this.#placeAll());
      this.#heartbeat = setInterval(() => this.#checkIdle(), heartbeatMs).unref();
    } else {
      this.#server('');
    }
  }

  get ready(): boolean {
    return [...this.#servers.values()].every(({ connection }) => connection.ready);
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
    this.#leave(subscription);
  }

  /** Closes all listeners and the connections. @returns the same promise each time */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    clearInterval(this.#heartbeat);
    for (const { listeners } of this.#subscriptions.values()) {
      for (const listener of listeners) listener.onClose(closedLogsError());
    }
    this.#subscriptions.clear();
    const closing = [...this.#servers.values()].map(({ connection }) => connection.close());
    this.#servers.clear();
    await Promise.all([...closing, ...this.#closing]);
  }

  #addChannel(channel: string, listener: ChannelListener): void {
    const subscription: ChannelSubscription = {
      channel,
      listeners: new Set([listener]),
      server: undefined,
      driver: undefined,
      acknowledged: false,
      isActive: true,
    };
    this.#subscriptions.set(channel, subscription);
    this.#place(subscription);
  }

  #addListener(subscription: ChannelSubscription, listener: ChannelListener): void {
    subscription.listeners.add(listener);
    if (subscription.acknowledged) listener.onSubscribed();
  }

  #placeAll(): void {
    if (this.#closed !== undefined) return;
    for (const subscription of this.#subscriptions.values()) this.#place(subscription);
  }

  /** Requests a subscription on the server of its channel, if it is not there yet. */
  #place(subscription: ChannelSubscription): void {
    const name = this.#router.masterOf(subscription.channel);
    if (name === undefined || name === subscription.server?.name) return;
    this.#leave(subscription);
    const server = this.#server(name);
    subscription.server = server;
    server.subscriptions.add(subscription);
    const { driver } = server.connection;
    if (driver !== undefined) void this.#request(server, driver, [subscription]);
  }

  #leave(subscription: ChannelSubscription): void {
    const { server, driver, channel } = subscription;
    subscription.server = undefined;
    forget(subscription);
    if (server === undefined) return;
    server.subscriptions.delete(subscription);
    if (this.#isCluster && server.subscriptions.size === 0) this.#closeServer(server);
    else
      driver?.unsubscribe(channel).catch((error: unknown) => this.#onUnsubscribeError(server, driver, error));
  }

  #onUnsubscribeError(server: MessageServer, driver: RedisDriver, error: unknown): void {
    // The server does not have the channel any more.
    if (MOVING_CODES.has(replyCode(error) ?? '')) return;
    server.connection.drop(driver, error);
  }

  #closeServer(server: MessageServer): void {
    this.#servers.delete(server.name);
    const closing: Promise<void> = server.connection.close().then(() => {
      this.#closing.delete(closing);
    });
    this.#closing.add(closing);
  }

  #server(name: string): MessageServer {
    const known = this.#servers.get(name);
    if (known !== undefined) return known;
    const subscriptions = new Set<ChannelSubscription>();
    const connection = new NodeConnection((listener) => this.#router.connect(name, listener), {
      onReady: (driver) => {
        this.#events.onReady();
        this.#requestAll(server, driver, [...subscriptions]);
      },
      onLost: (error) => {
        for (const subscription of subscriptions) forget(subscription);
        this.#router.refresh();
        this.#events.onLost(error);
      },
      onMessage: (channel, text) => this.#forward(channel, text),
      onMoved: (channel) => this.#onMoved(server, channel),
    });
    const server: MessageServer = { name, connection, subscriptions };
    this.#servers.set(name, server);
    return server;
  }

  /** Requests again what the server may have ended. If it does not have the channel any more, it names the one that has. */
  #onMoved(server: MessageServer, channel: string | undefined): void {
    this.#router.refresh();
    const { driver } = server.connection;
    const moved = [...server.subscriptions].filter(
      (subscription) =>
        isSharded(subscription.channel) && (channel ?? subscription.channel) === subscription.channel,
    );
    for (const subscription of moved) forget(subscription);
    if (driver !== undefined) this.#requestAll(server, driver, moved);
  }

  #requestAll(server: MessageServer, driver: RedisDriver, all: readonly ChannelSubscription[]): void {
    const plain = all.filter(({ channel }) => !isSharded(channel));
    for (let i = 0; i < plain.length; i += CHUNK)
      void this.#request(server, driver, plain.slice(i, i + CHUNK));
    // Each may be in another slot.
    for (const one of all) if (isSharded(one.channel)) void this.#request(server, driver, [one]);
  }

  async #request(
    server: MessageServer,
    driver: RedisDriver,
    subscriptions: readonly ChannelSubscription[],
  ): Promise<void> {
    for (const subscription of subscriptions) subscription.driver = driver;
    try {
      await driver.subscribe(subscriptions.map(({ channel }) => channel));
    } catch (error) {
      if (MOVING_CODES.has(replyCode(error) ?? ''))
        await this.#requestLater(server, driver, subscriptions, error);
      // A connection that lacks subscriptions is of no use.
      else server.connection.drop(driver, error);
      return;
    }
    for (const subscription of subscriptions) acknowledge(subscription, driver);
  }

  async #requestLater(
    server: MessageServer,
    driver: RedisDriver,
    subscriptions: readonly ChannelSubscription[],
    error: unknown,
  ): Promise<void> {
    const target = replyCode(error) === 'MOVED' ? parseRedirection(error, server.name) : undefined;
    if (target === undefined) this.#router.refresh();
    else this.#router.move(target.slot, target.node);
    if (!(await server.connection.pause(RETRY_MS)) || server.connection.driver !== driver) return;
    const remaining = subscriptions.filter((one) => one.server === server && !one.acknowledged);
    this.#requestAll(server, driver, remaining);
  }

  #forward(channel: string, text: string): void {
    const subscription = this.#subscriptions.get(channel);
    if (subscription === undefined) return;
    subscription.isActive = true;
    const message = parseMessage(text);
    for (const listener of subscription.listeners) {
      if (message === undefined) listener.onNotice?.(text);
      else listener.onMessage(message);
    }
  }

  /**
   * A node that other nodes cannot reach, or whose slots are just being moved, may publish nothing on a healthy connection. So
   * the streams of idle channels are checked, in turn.
   */
  #checkIdle(): void {
    let checked = 0;
    for (const [channel, subscription] of [...this.#subscriptions]) {
      if (checked === MAX_CHECKED) break;
      const isIdle = subscription.acknowledged && !subscription.isActive;
      subscription.isActive = false;
      if (!isIdle) continue;
      checked++;
      // Moves it to the end, for its next turn.
      this.#subscriptions.delete(channel);
      this.#subscriptions.set(channel, subscription);
      for (const listener of subscription.listeners) listener.onIdle?.();
    }
  }
}

/** Does nothing if the subscription was lost, or requested on another driver, meanwhile. */
function acknowledge(subscription: ChannelSubscription, driver: RedisDriver): void {
  if (subscription.driver !== driver) return;
  subscription.acknowledged = true;
  for (const listener of subscription.listeners) listener.onSubscribed();
}

function forget(subscription: ChannelSubscription): void {
  subscription.driver = undefined;
  subscription.acknowledged = false;
}
