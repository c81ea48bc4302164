import { describe, wrongType } from '../errors';
import {
  type Ioredis,
  IoredisLine,
  type Line,
  type LineListener,
  type NodeRedis,
  type NodeRedisCluster,
  NodeRedisClusterLine,
  NodeRedisLine,
} from './drivers';

/**
 * A client of `redis` (node-redis, version 4 or later) or `ioredis` (version 5 or later), or of a cluster by either.
 * Nothing is sent on it: it is the pattern of the connections that are made.
 *
 * @example
 * const client: RedisClient = new Redis(process.env.REDIS_URL ?? 'redis://localhost:6379');
 * const logs = redisLogs(client);
 */
export interface RedisClient {
  /** How the connections are made, with the client's own address and credentials. */
  duplicate(...overrides: never[]): unknown;
}

/** Makes a line; throws if there is nothing to make it of at the moment. */
export type Dial = (listener: LineListener) => Line;

/** How to reach the Redis that a client is connected to. */
export interface RedisAddress {
  /** Of the client's options; goes in front of every key. */
  readonly keyPrefix: string;
  /** Messages know no databases, so it is a part of the channels' names. */
  readonly database: number;
  readonly dialForCommands: Dial;
  readonly dialForMessages: Dial;
}

/** @throws `TypeError` `ERR_SSE_INVALID_OPTION` for what is not a client of a kind that we know */
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
  const dial: Dial = (listener) => new IoredisLine(client, listener);
  return { keyPrefix, database: db, dialForCommands: dial, dialForMessages: dial };
}

/** A message that is published at one node reaches all, so that one connection to any of them hears it. */
function addressOfIoredisCluster(client: Ioredis): RedisAddress {
  return {
    keyPrefix: client.options.keyPrefix ?? '',
    database: 0,
    dialForCommands: (listener) => new IoredisLine(client, listener),
    dialForMessages: (listener) => new IoredisLine(anyOf(client.nodes?.('master') ?? []), listener),
  };
}

function addressOfNodeRedis(client: NodeRedis): RedisAddress {
  const { keyPrefix = '', database = 0 } = client.options ?? {};
  const dial: Dial = (listener) => new NodeRedisLine(client, listener);
  return { keyPrefix, database, dialForCommands: dial, dialForMessages: dial };
}

function addressOfNodeRedisCluster(client: NodeRedisCluster): RedisAddress {
  return {
    keyPrefix: client._options?.keyPrefix ?? '',
    database: 0,
    dialForCommands: (listener) => new NodeRedisClusterLine(client, listener),
    dialForMessages: (listener) => {
      const nodes = client.masters.map((master) => master.client).filter(isNodeRedis);
      return new NodeRedisLine(anyOf(nodes), listener);
    },
  };
}

/** Another one each time, for one may be gone for good. */
function anyOf<Node>(nodes: readonly Node[]): Node {
  const node = nodes[Math.floor(Math.random() * nodes.length)];
  if (node === undefined) throw new Error('The cluster client knows no node at the moment. Is it connected?');
  return node;
}

function isIoredis(client: unknown): client is Ioredis {
  return has(client, 'call', 'duplicate', 'disconnect', 'subscribe') && 'status' in client;
}

/** `select` is what a cluster, a sentinel and a pool do not have. */
function isNodeRedis(client: unknown): client is NodeRedis {
  return has(client, 'sendCommand', 'duplicate', 'connect', 'subscribe', 'select') && 'isOpen' in client;
}

function isNodeRedisCluster(client: unknown): client is NodeRedisCluster {
  return has(client, 'sendCommand', 'duplicate', 'connect', 'subscribe', 'nodeClient') && 'masters' in client;
}

function has<Name extends string>(
  client: unknown,
  ...methods: Name[]
): client is Record<Name, () => unknown> {
  if (typeof client !== 'object' || client === null) return false;
  return methods.every((method) => typeof (client as Record<string, unknown>)[method] === 'function');
}
