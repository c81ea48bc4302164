import { describe, wrongType } from '../errors';
import { type ClusterClient, IoredisCluster, NodeRedisClusterClient } from './cluster-clients';
import { ClusterConnection, type ClusterConnectionListener } from './cluster-connection';
import { ClusterTopology } from './cluster-topology';
import {
  type Connect,
  type Ioredis,
  IoredisDriver,
  type NodeRedis,
  type NodeRedisCluster,
  NodeRedisDriver,
} from './drivers';
import { NodeConnection, type RedisConnection } from './redis-connection';
import { RedisSubscriptions, SingleServer } from './subscriptions';

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

/** The connections of one `redisLogs()`. */
export interface RedisConnections {
  readonly commands: RedisConnection;
  readonly subscriptions: RedisSubscriptions;
  close(): Promise<void>;
}

/** The connections and names to use for the Redis of a client. */
export interface RedisAddress {
  /** From the client's options; prepended to every key. */
  readonly keyPrefix: string;
  /** Part of each channel name, because Redis does not separate pub/sub messages by database; `undefined` on a cluster. */
  readonly database: number | undefined;
  /** Whether a command may only have keys of one slot. */
  readonly isCluster: boolean;
  /** @param listener `onReady`: a connection is ready, for the first time or again · `onLost`: one was lost */
  open(listener: ClusterConnectionListener): RedisConnections;
}

/** @throws `TypeError` `ERR_SSE_INVALID_OPTION` for an unsupported client */
export function addressOf(client: RedisClient): RedisAddress {
  if (isIoredis(client)) return client.isCluster ? addressOfIoredisCluster(client) : addressOfIoredis(client);
  if (isNodeRedisCluster(client)) return addressOfNodeRedisCluster(client);
  if (isNodeRedis(client)) return addressOfNodeRedis(client);
  if (isNodeRedisSentinel(client)) throw unsupported('a Sentinel client', SENTINEL_REMEDY);
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected client to be a client of 'redis' (4 or later) or 'ioredis' (5 or later), got ${describe(client)}. ` +
      'Use redisLogs(await createClient({ url }).connect()), or redisLogs(new Redis(url)).',
  );
}

const SENTINEL_REMEDY = 'Use ioredis: redisLogs(new Redis({ sentinels, name })).';

const LEGACY_REMEDY = 'Use redisLogs(client.duplicate({ legacyMode: false })), or leave the option out.';

function unsupported(what: string, remedy: string): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected client to be usable by redisLogs(), got ${what}. ${remedy}`,
  );
}

function addressOfIoredis(client: Ioredis): RedisAddress {
  const { keyPrefix = '', db = 0 } = client.options;
  return addressOfServer(keyPrefix, db, (listener) => new IoredisDriver(client, listener));
}

function addressOfNodeRedis(client: NodeRedis): RedisAddress {
  const { keyPrefix = '', database = 0, legacyMode = false } = client.options ?? {};
  if (legacyMode) throw unsupported('a client with legacyMode', LEGACY_REMEDY);
  return addressOfServer(keyPrefix, database, (listener) => new NodeRedisDriver(client, listener));
}

function addressOfServer(keyPrefix: string, database: number, connect: Connect): RedisAddress {
  const open = (listener: ClusterConnectionListener): RedisConnections => {
    const subscriptions = new RedisSubscriptions(new SingleServer(connect), listener);
    const commands = new NodeConnection(connect, listener);
    const close = async () => {
      await Promise.all([commands.close(), subscriptions.close()]);
    };
    return { commands, subscriptions, close };
  };
  return { keyPrefix, database, isCluster: false, open };
}

function addressOfIoredisCluster(client: Ioredis): RedisAddress {
  if (!hasMethods(client, 'ssubscribe'))
    throw unsupported('a cluster client without SSUBSCRIBE', UPDATE_REMEDY);
  return addressOfCluster(client.options.keyPrefix ?? '', new IoredisCluster(client));
}

const UPDATE_REMEDY = 'Install the newest version of the client.';

function addressOfNodeRedisCluster(client: NodeRedisCluster): RedisAddress {
  if (!hasMethods(client, 'sSubscribe'))
    throw unsupported('a cluster client without SSUBSCRIBE', UPDATE_REMEDY);
  return addressOfCluster(client._options?.keyPrefix ?? '', new NodeRedisClusterClient(client));
}

function addressOfCluster(keyPrefix: string, client: ClusterClient): RedisAddress {
  const open = (listener: ClusterConnectionListener): RedisConnections => {
    const topology = new ClusterTopology(client);
    const subscriptions = new RedisSubscriptions(topology, listener);
    const commands = new ClusterConnection(topology, listener);
    const close = async () => {
      await Promise.all([commands.close(), subscriptions.close(), topology.close()]);
    };
    return { commands, subscriptions, close };
  };
  return { keyPrefix, database: undefined, isCluster: true, open };
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

function isNodeRedisSentinel(client: unknown): boolean {
  return hasMethods(client, 'sendCommand', 'duplicate', 'connect', 'getSentinelNode');
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
