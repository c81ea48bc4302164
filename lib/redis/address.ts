import { describe, wrongType } from '../errors';
import {
  type DriverListener,
  type Ioredis,
  IoredisDriver,
  type NodeRedis,
  type NodeRedisCluster,
  NodeRedisClusterDriver,
  NodeRedisDriver,
  type RedisDriver,
} from './drivers';

/**
 * A client of `redis` (node-redis, version 4 or later) or `ioredis` (version 5 or later): a single client or a cluster
 * client. It is only the template for the connections that `redisLogs()` opens; no command is sent on it.
 *
 * @example
 * const client: RedisClient = new Redis(process.env.REDIS_URL ?? 'redis://localhost:6379');
 * const logs = redisLogs(client);
 */
export interface RedisClient {
  /** Creates the connections of `redisLogs()`, with the address and the credentials of this client. */
  duplicate(...overrides: never[]): unknown;
}

/** Starts a connection. May throw if no node is known at the moment. */
export type Connect = (listener: DriverListener) => RedisDriver;

/** The connections and names to use for the Redis of a client. */
export interface RedisAddress {
  /** From the client's options; prepended to every key. */
  readonly keyPrefix: string;
  /** Part of each channel name, because Redis does not separate pub/sub messages by database. */
  readonly database: number;
  /** Whether a command may only have keys of one slot. */
  readonly isCluster: boolean;
  readonly connectForCommands: Connect;
  readonly connectForMessages: Connect;
}

/** @throws `TypeError` `ERR_SSE_INVALID_OPTION` for an unsupported client */
export function addressOf(client: RedisClient): RedisAddress {
  if (isIoredis(client)) return client.isCluster ? addressOfIoredisCluster(client) : addressOfIoredis(client);
  if (isNodeRedisCluster(client)) return addressOfNodeRedisCluster(client);
  if (isNodeRedis(client)) return addressOfNodeRedis(client);
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected client to be a client of 'redis' (4 or later) or 'ioredis' (5 or later), got ${describe(client)}. ` +
      'Use redisLogs(await createClient({ url }).connect()), or redisLogs(new Redis(url)).',
  );
}

function addressOfIoredis(client: Ioredis): RedisAddress {
  const { keyPrefix = '', db = 0 } = client.options;
  const connect: Connect = (listener) => new IoredisDriver(client, listener);
  return {
    keyPrefix,
    database: db,
    isCluster: false,
    connectForCommands: connect,
    connectForMessages: connect,
  };
}

/** A cluster forwards every message to all of its nodes, so a connection to any one of them receives all messages. */
function addressOfIoredisCluster(client: Ioredis): RedisAddress {
  return {
    keyPrefix: client.options.keyPrefix ?? '',
    database: 0,
    isCluster: true,
    connectForCommands: (listener) => new IoredisDriver(client, listener),
    connectForMessages: (listener) => new IoredisDriver(randomNode(client.nodes?.('master') ?? []), listener),
  };
}

function addressOfNodeRedis(client: NodeRedis): RedisAddress {
  const { keyPrefix = '', database = 0 } = client.options ?? {};
  const connect: Connect = (listener) => new NodeRedisDriver(client, listener);
  return { keyPrefix, database, isCluster: false, connectForCommands: connect, connectForMessages: connect };
}

function addressOfNodeRedisCluster(client: NodeRedisCluster): RedisAddress {
  return {
    keyPrefix: client._options?.keyPrefix ?? '',
    database: 0,
    isCluster: true,
    connectForCommands: (listener) => new NodeRedisClusterDriver(client, listener),
    connectForMessages: (listener) => {
      const nodes = client.masters.map((master) => master.client).filter(isNodeRedis);
      return new NodeRedisDriver(randomNode(nodes), listener);
    },
  };
}

/** Chosen anew for each attempt, because a node may have been removed for good. */
function randomNode<Node>(nodes: readonly Node[]): Node {
  const node = nodes[Math.floor(Math.random() * nodes.length)];
  if (node === undefined) throw new Error('The cluster client knows no node at the moment. Is it connected?');
  return node;
}

function isIoredis(client: unknown): client is Ioredis {
  return hasMethods(client, 'call', 'duplicate', 'disconnect', 'subscribe') && 'status' in client;
}

/** Clusters, sentinels and pools have no `select`. */
function isNodeRedis(client: unknown): client is NodeRedis {
  return (
    hasMethods(client, 'sendCommand', 'duplicate', 'connect', 'subscribe', 'select') && 'isOpen' in client
  );
}

function isNodeRedisCluster(client: unknown): client is NodeRedisCluster {
  return (
    hasMethods(client, 'sendCommand', 'duplicate', 'connect', 'subscribe', 'nodeClient') &&
    'masters' in client
  );
}

function hasMethods<Name extends string>(
  client: unknown,
  ...methods: Name[]
): client is Record<Name, () => unknown> {
  if (typeof client !== 'object' || client === null) return false;
  return methods.every((method) => typeof (client as Record<string, unknown>)[method] === 'function');
}
