/** Receives the messages and the end of a {@link RedisDriver}. */
export interface DriverListener {
  onMessage(channel: string, text: string): void;
  /** The connection was lost, or the attempt to connect failed. May be called more than once. */
  onEnd(error: unknown): void;
}

/**
 * One connection to Redis, made as a duplicate of the user's client. It does not reconnect and must never send a command
 * twice: a client that reconnects may repeat a command whose reply was lost, and the event would be appended twice.
 */
export interface RedisDriver {
  /** Resolves when Redis accepts commands. */
  readonly ready: Promise<unknown>;
  /** @param key the only key of the command, by which a cluster selects the node */
  send(key: string, command: readonly string[]): Promise<unknown>;
  subscribe(channels: readonly string[]): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  /** Sends the command to every node. @returns one reply for each node */
  sendToAll(command: readonly string[]): Promise<readonly unknown[]>;
  /** Closes the connection and rejects pending commands. May be called more than once. */
  end(): Promise<unknown>;
}

/** The members that we use of an ioredis client, `Redis` or `Cluster`. */
export interface Ioredis {
  readonly status: string;
  readonly isCluster?: boolean;
  readonly options: { readonly db?: number; readonly keyPrefix?: string };
  call(...command: string[]): Promise<unknown>;
  subscribe(...channels: string[]): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  duplicate(...overrides: object[]): Ioredis;
  disconnect(): void;
  nodes?(role: 'master'): Ioredis[];
  on(event: string, listener: (...values: never[]) => void): unknown;
  once(event: string, listener: (...values: never[]) => void): unknown;
}

type MessageListener = (text: string, channel: string) => void;

/** The members that we use of a node-redis client and of a cluster client. */
interface NodeRedisBase<Own> {
  connect(): Promise<unknown>;
  subscribe(channels: string[], listener: MessageListener): Promise<unknown>;
  unsubscribe(channel: string, listener: MessageListener): Promise<unknown>;
  duplicate(overrides: object): Own;
  /** Version 4 has only `disconnect()`. */
  destroy?(): unknown;
  disconnect(): Promise<unknown>;
  on(event: 'error' | 'end', listener: (error?: unknown) => void): unknown;
}

export interface NodeRedis extends NodeRedisBase<NodeRedis> {
  readonly isOpen: boolean;
  readonly options?: {
    readonly database?: number;
    readonly keyPrefix?: string;
    readonly socket?: object;
    readonly commandOptions?: object;
  };
  sendCommand(command: readonly string[]): Promise<unknown>;
}

export interface NodeRedisCluster extends NodeRedisBase<NodeRedisCluster> {
  readonly masters: ReadonlyArray<{ readonly client?: NodeRedis | Promise<NodeRedis> }>;
  readonly _options?: {
    readonly keyPrefix?: string;
    readonly defaults?: { readonly commandOptions?: object };
  };
  sendCommand(key: string | undefined, isReadonly: boolean, command: readonly string[]): Promise<unknown>;
}

/** Replaces options of the user's client. In a duplicate they would cause it to reconnect, or to repeat, delay or change commands. */
const IOREDIS_OVERRIDES = {
  enableReadyCheck: true,
  enableAutoPipelining: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: null,
  retryStrategy: () => null,
  reconnectOnError: null,
  monitor: false,
  keyPrefix: '',
};

const IOREDIS_SINGLE_OVERRIDES = { ...IOREDIS_OVERRIDES, lazyConnect: false, enableOfflineQueue: false };

/**
 * Without these options, a cluster client would resend a command to which a failing node has not replied. The offline queue
 * stays on, because the client connects to a node only at the first command for it, and that command must wait.
 */
const IOREDIS_CLUSTER_OVERRIDES = {
  lazyConnect: false,
  enableOfflineQueue: true,
  enableAutoPipelining: false,
  retryDelayOnFailover: 0,
  clusterRetryStrategy: () => null,
  keyPrefix: '',
  redisOptions: IOREDIS_OVERRIDES,
};

export class IoredisDriver implements RedisDriver {
  readonly ready: Promise<unknown>;
  readonly #client: Ioredis;

  constructor(client: Ioredis, listener: DriverListener) {
    const own = client.isCluster
      ? client.duplicate([], IOREDIS_CLUSTER_OVERRIDES)
      : client.duplicate(IOREDIS_SINGLE_OVERRIDES);
    let lastError: unknown = new Error('The connection to Redis was closed.');
    own.on('error', (error: unknown) => {
      lastError = error;
    });
    own.on('message', (channel: string, text: string) => listener.onMessage(channel, text));
    own.once('end', () => listener.onEnd(lastError));
    this.ready = new Promise<void>((resolve) => own.once('ready', resolve));
    this.#client = own;
  }

  send(_key: string, command: readonly string[]): Promise<unknown> {
    return this.#client.call(...command);
  }

  subscribe(channels: readonly string[]): Promise<unknown> {
    return this.#client.subscribe(...channels);
  }

  unsubscribe(channel: string): Promise<unknown> {
    return this.#client.unsubscribe(channel);
  }

  sendToAll(command: readonly string[]): Promise<readonly unknown[]> {
    const nodes = this.#client.nodes?.('master') ?? [this.#client];
    return Promise.all(nodes.map((node) => node.call(...command)));
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
function nodeRedisOverrides(commandOptions: object | undefined) {
  return {
    disableOfflineQueue: true,
    clientSideCache: undefined,
    pingInterval: undefined,
    commandOptions: { ...commandOptions, timeout: undefined },
  };
}

abstract class NodeRedisBaseDriver<Client extends NodeRedisBase<Client>> implements RedisDriver {
  readonly ready: Promise<unknown>;
  protected readonly client: Client;
  readonly #messageListener: MessageListener;

  constructor(client: Client, listener: DriverListener) {
    this.client = client;
    this.#messageListener = (text, channel) => listener.onMessage(channel, text);
    client.on('error', (error) => listener.onEnd(error));
    client.on('end', () => listener.onEnd(new Error('The connection to Redis was closed.')));
    this.ready = client.connect();
  }

  abstract send(key: string, command: readonly string[]): Promise<unknown>;

  abstract sendToAll(command: readonly string[]): Promise<readonly unknown[]>;

  abstract end(): Promise<unknown>;

  subscribe(channels: readonly string[]): Promise<unknown> {
    return this.client.subscribe([...channels], this.#messageListener);
  }

  unsubscribe(channel: string): Promise<unknown> {
    return this.client.unsubscribe(channel, this.#messageListener);
  }

  protected async destroy(): Promise<void> {
    if (this.client.destroy === undefined) await this.client.disconnect();
    else await this.client.destroy();
  }
}

export class NodeRedisDriver extends NodeRedisBaseDriver<NodeRedis> {
  constructor(client: NodeRedis, listener: DriverListener) {
    const socket = { ...client.options?.socket, reconnectStrategy: false };
    super(client.duplicate({ ...nodeRedisOverrides(client.options?.commandOptions), socket }), listener);
  }

  override send(_key: string, command: readonly string[]): Promise<unknown> {
    return this.client.sendCommand(command);
  }

  override async sendToAll(command: readonly string[]): Promise<readonly unknown[]> {
    return [await this.client.sendCommand(command)];
  }

  override async end(): Promise<void> {
    if (this.client.isOpen) await this.destroy();
  }
}

/**
 * For commands only. Unlike other drivers, its client reconnects to the nodes. It neither queues commands meanwhile nor sends
 * them twice.
 */
export class NodeRedisClusterDriver extends NodeRedisBaseDriver<NodeRedisCluster> {
  #ended: Promise<void> | undefined;

  constructor(client: NodeRedisCluster, listener: DriverListener) {
    const { defaults } = client._options ?? {};
    const own = { ...defaults, ...nodeRedisOverrides(defaults?.commandOptions) };
    super(client.duplicate({ defaults: own }), listener);
  }

  override send(key: string, command: readonly string[]): Promise<unknown> {
    return this.client.sendCommand(key, false, command);
  }

  override async sendToAll(command: readonly string[]): Promise<readonly unknown[]> {
    const nodes = await Promise.all(this.client.masters.map(({ client }) => client));
    return Promise.all(nodes.map((node) => node?.sendCommand(command)));
  }

  override end(): Promise<void> {
    this.#ended ??= this.destroy();
    return this.#ended;
  }
}
