import { isSharded } from './channel-name';
import { replyCode } from './reply-code';

/** Receives the messages and the end of a {@link RedisDriver}. */
export interface DriverListener {
  onMessage(channel: string, text: string): void;
  /**
   * The node has ended a subscription, because its slot has moved to another node.
   *
   * @param channel `undefined` if it is unknown which one
   */
  onMoved?(channel: string | undefined): void;
  /** The connection was lost, or the attempt to connect failed. May be called more than once. */
  onEnd(error: unknown): void;
}

/** Sends commands to the Redis of the user's client. */
export interface CommandDriver {
  /** @param key the only key of the command, by which a cluster selects the node */
  send(key: string, command: readonly string[]): Promise<unknown>;
  /** @returns the reply to {@link countsOf} of each server that may have subscribers to the channel */
  subscriberCounts(channel: string): Promise<readonly unknown[]>;
}

/**
 * One connection to one Redis server, made as a duplicate of the user's client. It does not reconnect and must never send a
 * command twice: a client that reconnects may repeat a command whose reply was lost, and the event would be appended twice.
 */
export interface RedisDriver extends CommandDriver {
  /** Resolves when Redis accepts commands. */
  readonly ready: Promise<unknown>;
  /** Sharded channels need one call for each slot. */
  subscribe(channels: readonly string[]): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  ping(): Promise<unknown>;
  /** Closes the connection and rejects pending commands. May be called more than once. */
  end(): Promise<unknown>;
}

/** Starts a connection. May throw if no node is known at the moment. */
export type Connect = (listener: DriverListener) => RedisDriver;

/** The host and the port of a server. */
export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** The members that we use of an ioredis client, `Redis` or `Cluster`. */
export interface Ioredis {
  readonly status: string;
  readonly isCluster?: boolean;
  readonly options: {
    readonly db?: number;
    readonly keyPrefix?: string;
    readonly host?: string;
    readonly port?: number;
    readonly redisOptions?: object;
    readonly natMap?: AddressMap;
  };
  call(...command: string[]): Promise<unknown>;
  subscribe(...channels: string[]): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  ssubscribe?(channel: string): Promise<unknown>;
  sunsubscribe?(channel: string): Promise<unknown>;
  duplicate(...overrides: object[]): Ioredis;
  disconnect(): void;
  nodes?(role: 'all'): Ioredis[];
  on(event: string, listener: (...values: never[]) => void): unknown;
  once(event: string, listener: (...values: never[]) => void): unknown;
}

/** Leads from an address that a cluster announces to the one that this process must use. */
export type AddressMap =
  | Readonly<Record<string, NodeAddress>>
  | ((address: string) => NodeAddress | null | undefined);

type MessageListener = (text: string, channel: string) => void;

/** The members that we use of a node-redis client and of a cluster client. */
interface NodeRedisBase<Own> {
  connect(): Promise<unknown>;
  duplicate(overrides: object): Own;
  /** Version 4 has only `disconnect()`. */
  destroy?(): unknown;
  disconnect(): Promise<unknown>;
  on(event: string, listener: (value?: unknown) => void): unknown;
}

export interface NodeRedis extends NodeRedisBase<NodeRedis> {
  readonly isOpen: boolean;
  readonly options?: {
    readonly database?: number;
    readonly keyPrefix?: string;
    readonly legacyMode?: boolean;
    readonly socket?: object;
    readonly commandOptions?: object;
  };
  sendCommand(command: readonly string[]): Promise<unknown>;
  subscribe(channels: string[], listener: MessageListener): Promise<unknown>;
  unsubscribe(channel: string, listener: MessageListener): Promise<unknown>;
  sSubscribe?(channel: string, listener: MessageListener): Promise<unknown>;
  sUnsubscribe?(channel: string, listener: MessageListener): Promise<unknown>;
}

export interface NodeRedisCluster extends NodeRedisBase<NodeRedisCluster> {
  readonly masters: readonly NodeRedisShard[];
  readonly replicas?: readonly NodeRedisShard[];
  readonly _options?: {
    readonly keyPrefix?: string;
    readonly defaults?: { readonly commandOptions?: object };
    readonly nodeAddressMap?: AddressMap;
  };
  nodeClient(node: NodeRedisShard): NodeRedis | Promise<NodeRedis>;
}

export interface NodeRedisShard extends NodeAddress {
  readonly client?: NodeRedis | Promise<NodeRedis>;
}

/** Replaces options of the user's client. In a duplicate they would cause it to reconnect, or to repeat, delay or change commands. */
export const IOREDIS_OVERRIDES = {
  enableReadyCheck: true,
  enableAutoPipelining: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: null,
  retryStrategy: () => null,
  reconnectOnError: null,
  monitor: false,
  readOnly: false,
  keyPrefix: '',
};

const IOREDIS_SINGLE_OVERRIDES = { ...IOREDIS_OVERRIDES, lazyConnect: false, enableOfflineQueue: false };

export class IoredisDriver implements RedisDriver {
  readonly ready: Promise<unknown>;
  readonly #client: Ioredis;

  /** @param address of a node of a cluster; by default that of the client */
  constructor(client: Ioredis, listener: DriverListener, address?: NodeAddress) {
    const own = client.duplicate({ ...IOREDIS_SINGLE_OVERRIDES, ...address });
    let lastError: unknown = new Error('The connection to Redis was closed.');
    own.on('error', (error: unknown) => {
      lastError = error;
    });
    const onMessage = (channel: string, text: string) => listener.onMessage(channel, text);
    own.on('message', onMessage);
    own.on('smessage', onMessage);
    own.on('moved', () => listener.onMoved?.(undefined));
    own.once('end', () => listener.onEnd(lastError));
    this.ready = new Promise<void>((resolve) => own.once('ready', resolve));
    this.#client = own;
  }

  send(_key: string, command: readonly string[]): Promise<unknown> {
    return this.#client.call(...command);
  }

  subscribe(channels: readonly string[]): Promise<unknown> {
    const [channel = ''] = channels;
    if (!isSharded(channel)) return this.#client.subscribe(...channels);
    return orPlain(this.#client.ssubscribe?.(channel), () => this.#client.subscribe(channel));
  }

  unsubscribe(channel: string): Promise<unknown> {
    if (!isSharded(channel)) return this.#client.unsubscribe(channel);
    return orPlain(this.#client.sunsubscribe?.(channel), () => this.#client.unsubscribe(channel));
  }

  subscriberCounts(channel: string): Promise<readonly unknown[]> {
    return countsOf((command) => this.send(channel, command), channel);
  }

  ping(): Promise<unknown> {
    return this.#client.call('ping');
  }

  end(): Promise<unknown> {
    const client = this.#client;
    if (client.status === 'end') return Promise.resolve();
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    client.disconnect();
    return ended;
  }
}

/**
 * @param commandOptions the user's options, without their `timeout`. It limits only how long a command waits to be written,
 *   and ours never wait. Version 6 implements it with one `AbortSignal` for each command, a third of the cost of publishing
 *   (measured)
 */
export function nodeRedisOverrides(commandOptions: object | undefined) {
  return {
    disableOfflineQueue: true,
    clientSideCache: undefined,
    pingInterval: undefined,
    readonly: false,
    commandOptions: { ...commandOptions, timeout: undefined },
  };
}

export class NodeRedisDriver implements RedisDriver {
  readonly ready: Promise<unknown>;
  readonly #client: NodeRedis;
  readonly #onMessage: MessageListener;

  /** @param address of a node of a cluster; by default that of the client */
  constructor(client: NodeRedis, listener: DriverListener, address?: NodeAddress) {
    const socket = { ...client.options?.socket, ...address, reconnectStrategy: false };
    const own = client.duplicate({ ...nodeRedisOverrides(client.options?.commandOptions), socket });
    own.on('error', (error) => listener.onEnd(error));
    own.on('end', () => listener.onEnd(new Error('The connection to Redis was closed.')));
    own.on('sharded-channel-moved', (channel) => listener.onMoved?.(String(channel)));
    this.#client = own;
    this.#onMessage = (text, channel) => listener.onMessage(channel, text);
    this.ready = own.connect();
  }

  send(_key: string, command: readonly string[]): Promise<unknown> {
    return this.#client.sendCommand(command);
  }

  subscribe(channels: readonly string[]): Promise<unknown> {
    const [channel = ''] = channels;
    const plain = () => this.#client.subscribe([...channels], this.#onMessage);
    return isSharded(channel) ? orPlain(this.#client.sSubscribe?.(channel, this.#onMessage), plain) : plain();
  }

  unsubscribe(channel: string): Promise<unknown> {
    const plain = () => this.#client.unsubscribe(channel, this.#onMessage);
    return isSharded(channel)
      ? orPlain(this.#client.sUnsubscribe?.(channel, this.#onMessage), plain)
      : plain();
  }

  subscriberCounts(channel: string): Promise<readonly unknown[]> {
    return countsOf((command) => this.send(channel, command), channel);
  }

  ping(): Promise<unknown> {
    return this.#client.sendCommand(['ping']);
  }

  async end(): Promise<void> {
    if (this.#client.isOpen) await endNodeRedis(this.#client);
  }
}

export async function endNodeRedis(client: NodeRedis | NodeRedisCluster): Promise<void> {
  if (client.destroy === undefined) await client.disconnect();
  else await client.destroy();
}

/** Before version 7, Redis has no sharded channels. */
async function orPlain(
  sharded: Promise<unknown> | undefined,
  plain: () => Promise<unknown>,
): Promise<unknown> {
  try {
    return await sharded;
  } catch (error) {
    if (!isUnknownCommand(error)) throw error;
    return plain();
  }
}

/** The reply of one server to `PUBSUB NUMSUB` or `PUBSUB SHARDNUMSUB`, as a list of one. */
export async function countsOf(
  send: (command: readonly string[]) => Promise<unknown>,
  channel: string,
): Promise<readonly unknown[]> {
  const plain = () => send(['pubsub', 'numsub', channel]);
  return [await (isSharded(channel) ? orPlain(send(['pubsub', 'shardnumsub', channel]), plain) : plain())];
}

/** Redis has no code for it. */
function isUnknownCommand(error: unknown): boolean {
  return replyCode(error) === 'ERR' && /unknown (sub)?command/i.test(String(error));
}
