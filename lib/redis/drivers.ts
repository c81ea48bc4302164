/** Who hears what happens on a {@link Line}. */
export interface LineListener {
  onMessage(channel: string, text: string): void;
  /** It is lost, or could not be had. */
  onEnd(error: unknown): void;
}

/**
 * One connection to Redis of our own, made as a duplicate of the user's client, from its beginning to its end. It never
 * comes back by itself and sends nothing twice: a client that reconnects may send a command again whose answer was
 * lost, and the event would be there twice.
 */
export interface Line {
  /** Resolves when Redis can be asked. */
  readonly ready: Promise<unknown>;
  /** @param key the one key of the command, which says where in a cluster it goes */
  send(key: string, command: readonly string[]): Promise<unknown>;
  subscribe(channels: readonly string[]): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  /** Asks every node the same. */
  sendToAll(command: readonly string[]): Promise<readonly unknown[]>;
  /** Rejects what waits. Can be called more than once. */
  end(): Promise<unknown>;
}

/** What we call of an ioredis client, `Redis` or `Cluster`. */
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

type Hear = (text: string, channel: string) => void;

/** What we call of a node-redis client and of its cluster's. */
interface NodeRedisBase<Own> {
  connect(): Promise<unknown>;
  subscribe(channels: string[], listener: Hear): Promise<unknown>;
  unsubscribe(channel: string, listener: Hear): Promise<unknown>;
  duplicate(overrides: object): Own;
  /** Version 4 has `disconnect()` only. */
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

/** Whatever else the user's client does, a line of ours does none of it. */
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
 * A cluster's client would send again what a failing node has not answered. Its nodes are connected to when the first
 * command is for them; that one waits for it.
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

export class IoredisLine implements Line {
  readonly ready: Promise<unknown>;
  readonly #client: Ioredis;

  constructor(client: Ioredis, listener: LineListener) {
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
 * @param commandOptions the user's, without the time limit that version 6 gives each command by an `AbortSignal` of its
 *   own: a third of the cost of publishing (measured), for what only waits to be written and here never does
 */
function nodeRedisOverrides(commandOptions: object | undefined) {
  return {
    disableOfflineQueue: true,
    clientSideCache: undefined,
    pingInterval: undefined,
    commandOptions: { ...commandOptions, timeout: undefined },
  };
}

abstract class NodeRedisBaseLine<Client extends NodeRedisBase<Client>> implements Line {
  readonly ready: Promise<unknown>;
  protected readonly client: Client;
  readonly #hear: Hear;

  constructor(client: Client, listener: LineListener) {
    this.client = client;
    this.#hear = (text, channel) => listener.onMessage(channel, text);
    client.on('error', (error) => listener.onEnd(error));
    client.on('end', () => listener.onEnd(new Error('The connection to Redis was closed.')));
    this.ready = client.connect();
  }

  abstract send(key: string, command: readonly string[]): Promise<unknown>;

  abstract sendToAll(command: readonly string[]): Promise<readonly unknown[]>;

  abstract end(): Promise<unknown>;

  subscribe(channels: readonly string[]): Promise<unknown> {
    return this.client.subscribe([...channels], this.#hear);
  }

  unsubscribe(channel: string): Promise<unknown> {
    return this.client.unsubscribe(channel, this.#hear);
  }

  protected async destroy(): Promise<void> {
    if (this.client.destroy === undefined) await this.client.disconnect();
    else await this.client.destroy();
  }
}

export class NodeRedisLine extends NodeRedisBaseLine<NodeRedis> {
  constructor(client: NodeRedis, listener: LineListener) {
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

/** For commands. Its nodes' connections come back by themselves, but hold nothing back and send nothing again. */
export class NodeRedisClusterLine extends NodeRedisBaseLine<NodeRedisCluster> {
  #ended: Promise<void> | undefined;

  constructor(client: NodeRedisCluster, listener: LineListener) {
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
