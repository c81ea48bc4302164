import {
  type AddressMap,
  type DriverListener,
  endNodeRedis,
  IOREDIS_OVERRIDES,
  type Ioredis,
  IoredisDriver,
  type NodeAddress,
  type NodeRedis,
  type NodeRedisCluster,
  NodeRedisDriver,
  nodeRedisOverrides,
  type RedisDriver,
} from './drivers';

/** The user's client of a cluster, which only leads to the nodes. Connections to them are made by {@link ClusterClient.connect}. */
export interface ClusterClient {
  /** The nodes that the client knows at the moment; none before it is connected. */
  nodes(): NodeAddress[];
  /** Asks the nodes that the user has named. @throws (rejects with) any error if none of them answers in time */
  discover(): Promise<NodeAddress[]>;
  /** Connects to a node with the credentials of the client. @throws before any node was known */
  connect(address: NodeAddress, listener: DriverListener): RedisDriver;
  /** Ends a discovery that is in progress. */
  end(): void;
}

export class IoredisCluster implements ClusterClient {
  readonly #client: Ioredis;
  /** Any client of a node: all have the same options but for the address. */
  #template: Ioredis | undefined;
  #discovery: Ioredis | undefined;

  constructor(client: Ioredis) {
    this.#client = client;
  }

  nodes(): NodeAddress[] {
    return this.#addressesOf(this.#client);
  }

  async discover(): Promise<NodeAddress[]> {
    const { redisOptions } = this.#client.options;
    // Before version 5.9, duplicate() replaces the user's redisOptions, which have the password.
    const own = this.#client.duplicate([], {
      lazyConnect: false,
      enableReadyCheck: false,
      clusterRetryStrategy: () => null,
      redisOptions: { ...redisOptions, ...IOREDIS_OVERRIDES },
    });
    this.#discovery = own;
    try {
      await connected(own);
      return this.#addressesOf(own);
    } finally {
      own.disconnect();
    }
  }

  connect(address: NodeAddress, listener: DriverListener): RedisDriver {
    const template = known(this.#template);
    return new IoredisDriver(template, listener, mapped(address, this.#client.options.natMap));
  }

  end(): void {
    this.#discovery?.disconnect();
  }

  #addressesOf(client: Ioredis): NodeAddress[] {
    const nodes = client.nodes?.('all') ?? [];
    this.#template ??= nodes[0];
    return nodes.map(({ options: { host = '127.0.0.1', port = 6379 } }) => ({ host, port }));
  }
}

function connected(client: Ioredis): Promise<void> {
  return new Promise((resolve, reject) => {
    let lastError: unknown = new Error('No node of the cluster could be reached.');
    client.on('error', (error: unknown) => {
      lastError = error;
    });
    client.once('ready', resolve);
    client.once('end', () => reject(lastError));
  });
}

export class NodeRedisClusterClient implements ClusterClient {
  readonly #client: NodeRedisCluster;
  /** Any client of a node: all have the same options but for the address. */
  #template: NodeRedis | undefined;
  #discovery: NodeRedisCluster | undefined;

  constructor(client: NodeRedisCluster) {
    this.#client = client;
  }

  nodes(): NodeAddress[] {
    const shards = [...this.#client.masters, ...(this.#client.replicas ?? [])];
    for (const { client } of shards) {
      if (client !== undefined && !('then' in client)) this.#template ??= client;
    }
    return shards.map(({ host, port }) => ({ host, port }));
  }

  async discover(): Promise<NodeAddress[]> {
    const { defaults } = this.#client._options ?? {};
    const own = this.#client.duplicate({
      minimizeConnections: true,
      // Before version 5, duplicate() replaces the user's defaults, which have the password.
      defaults: { ...defaults, ...nodeRedisOverrides(defaults?.commandOptions) },
    });
    this.#discovery = own;
    own.on('error', () => undefined);
    try {
      await own.connect();
      this.#template ??= await firstClient(own);
      return own.masters.map(({ host, port }) => ({ host, port }));
    } finally {
      await endNodeRedis(own);
    }
  }

  connect(address: NodeAddress, listener: DriverListener): RedisDriver {
    const template = known(this.#template);
    return new NodeRedisDriver(template, listener, mapped(address, this.#client._options?.nodeAddressMap));
  }

  end(): void {
    if (this.#discovery !== undefined) void endNodeRedis(this.#discovery).catch(() => undefined);
  }
}

async function firstClient(cluster: NodeRedisCluster): Promise<NodeRedis> {
  let lastError: unknown = new Error('The cluster has no node.');
  for (const master of cluster.masters) {
    try {
      return await cluster.nodeClient(master);
    } catch (error) {
      lastError = error;
    }
  }
  throw lastError;
}

function known<Client>(template: Client | undefined): Client {
  if (template === undefined) throw new Error('No node of the cluster is known yet.');
  return template;
}

function mapped(address: NodeAddress, map: AddressMap | undefined): NodeAddress {
  const name = `${address.host}:${address.port}`;
  const other = typeof map === 'function' ? map(name) : map?.[name];
  return other ?? address;
}
