import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { slotOf } from '../../lib/redis/slot';
import type { Connected } from './redis';
import { ReplicatedServer } from './redis-replicated';

const SLOTS = 16_384;

/** Milliseconds until a node that does not answer is replaced. */
const NODE_TIMEOUT_MS = 1_000;

const CLUSTERED = [
  ['--cluster-enabled', 'yes'],
  ['--cluster-node-timeout', String(NODE_TIMEOUT_MS)],
  ['--cluster-replica-validity-factor', '0'],
  ['--cluster-require-full-coverage', 'no'],
  ['--cluster-allow-replica-migration', 'no'],
].flat();

export interface RedisClusterOptions {
  readonly masters?: number;
  /** Of each master; 1 by default. */
  readonly replicas?: number;
  readonly password?: string;
  /** Further arguments of each server. */
  readonly args?: readonly string[];
}

/** One server of a {@link RedisCluster}. */
export class ClusterNode extends ReplicatedServer {
  constructor({ password, args = [] }: RedisClusterOptions) {
    super([...CLUSTERED, ...args], password);
  }

  id(): Promise<string> {
    return this.text('CLUSTER', 'MYID');
  }
}

/** A Redis Cluster on this machine. */
export class RedisCluster {
  readonly #options: RedisClusterOptions;
  /** First the masters as they were in the beginning, then their replicas in the same order. */
  readonly nodes: ClusterNode[] = [];

  constructor(options: RedisClusterOptions = {}) {
    this.#options = options;
  }

  get masters(): ClusterNode[] {
    return this.nodes.slice(0, this.#masters);
  }

  get #masters(): number {
    return this.#options.masters ?? 3;
  }

  async start(): Promise<void> {
    const { replicas = 1 } = this.#options;
    for (let i = 0; i < this.#masters * (1 + replicas); i++) this.nodes.push(new ClusterNode(this.#options));
    await Promise.all(this.nodes.map((node) => node.start()));
    const [first] = this.nodes;
    if (first === undefined) return;
    for (const [index, node] of this.nodes.entries()) {
      await node.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      if (index < this.#masters) {
        const [from, to] = [index, index + 1].map((part) => Math.floor((part * SLOTS) / this.#masters));
        await node.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String((to ?? SLOTS) - 1));
      }
      if (node !== first) await first.call('CLUSTER', 'MEET', '127.0.0.1', String(node.port));
    }
    for (const node of this.nodes) await this.#knowsAll(node);
    for (const [index, node] of this.nodes.slice(this.#masters).entries()) {
      await node.call('CLUSTER', 'REPLICATE', (await this.masters[index % this.#masters]?.id()) ?? '');
    }
    for (const node of this.nodes.slice(this.#masters)) {
      await until(async () => (await node.text('INFO', 'replication')).includes('master_link_status:up'));
    }
    await this.settled();
  }

  /** Resolves when all running nodes agree that every slot has a master. */
  async settled(): Promise<void> {
    for (const node of this.nodes.filter(({ running }) => running)) {
      await until(async () => {
        const info = await node.text('CLUSTER', 'INFO');
        return info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`);
      });
    }
  }

  /** The running node that is the master of a key. */
  async masterOf(key: string): Promise<ClusterNode> {
    const slot = slotOf(key);
    for (;;) {
      for (const node of this.nodes.filter(({ running }) => running)) {
        const ranges = (await node.call('CLUSTER', 'SLOTS')) as Array<[number, number, [string, number]]>;
        const range = ranges.find(([first, last]) => first <= slot && slot <= last);
        const master = this.nodes.find(({ port, running }) => running && port === range?.[2][1]);
        if (master !== undefined) return master;
      }
      await sleep(20);
    }
  }

  /** Makes a replica the master of its slots, as an operator does. */
  async failover(replica: ClusterNode): Promise<void> {
    let requestedAt = Number.NEGATIVE_INFINITY;
    await until(async () => {
      if ((await replica.text('ROLE')).startsWith('master')) return true;
      // The nodes give up a failover that takes longer than 5 seconds.
      if (performance.now() - requestedAt > 6_000) {
        requestedAt = performance.now();
        await replica.call('CLUSTER', 'FAILOVER').catch(() => undefined);
      }
      return false;
    });
    await this.settled();
  }

  /** Resolves when a replica has replaced a master that was killed or hangs. */
  async replaced(master: ClusterNode): Promise<void> {
    const replica = this.replicaOf(master);
    await until(async () => (await replica.text('ROLE')).startsWith('master'));
  }

  /** The replica that a master had in the beginning. */
  replicaOf(master: ClusterNode): ClusterNode {
    const replica = this.nodes[this.nodes.indexOf(master) + this.#masters];
    if (replica === undefined) throw new Error('The cluster has no replicas.');
    return replica;
  }

  /**
   * Moves the slot of a key with all of its keys to another master, while it is in use.
   *
   * @param part `'keys only'` stops before the slot itself is moved
   */
  async moveSlot(key: string, to: ClusterNode, part: 'all' | 'keys only' = 'all'): Promise<void> {
    const slot = String(slotOf(key));
    const from = await this.masterOf(key);
    if (from === to) return;
    const [fromId, toId] = await Promise.all([from.id(), to.id()]);
    await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    for (;;) {
      const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, '10')) as string[];
      if (keys.length === 0) break;
      const { password } = this.#options;
      const rights = password === undefined ? [] : ['AUTH', password];
      await from.call('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', ...rights, 'KEYS', ...keys);
    }
    if (part === 'keys only') return;
    await to.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    await from.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    for (const node of this.nodes) {
      if (node.running && node !== to && node !== from) await this.#agrees(node, key, to);
    }
  }

  /** Takes a node out of the cluster. It runs on, and answers its clients as before. */
  async forget(removed: ClusterNode): Promise<void> {
    const id = await removed.id();
    const others = this.nodes.filter((node) => node !== removed && node.running);
    await Promise.all(others.map((node) => node.call('CLUSTER', 'FORGET', id)));
  }

  /** Adds an empty master. */
  async add(): Promise<ClusterNode> {
    const node = new ClusterNode(this.#options);
    await node.start();
    this.nodes.push(node);
    await this.nodes[0]?.call('CLUSTER', 'MEET', '127.0.0.1', String(node.port));
    await until(async () => (await node.text('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    return node;
  }

  /** The sum of a field of `INFO` over all running nodes. */
  async sum(section: string, field: string): Promise<number> {
    const texts = await Promise.all(
      this.nodes.filter(({ running }) => running).map((node) => node.text('INFO', section)),
    );
    return texts.reduce(
      (sum, text) => sum + Number(new RegExp(`${field}:([\\d.]+)`).exec(text)?.[1] ?? 0),
      0,
    );
  }

  async remove(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.remove()));
  }

  async #knowsAll(node: ClusterNode): Promise<void> {
    const known = `cluster_known_nodes:${this.nodes.length}`;
    await until(async () => (await node.text('CLUSTER', 'INFO')).includes(known));
    await until(async () => !(await node.text('CLUSTER', 'NODES')).includes('handshake'));
  }

  async #agrees(node: ClusterNode, key: string, master: ClusterNode): Promise<void> {
    const slot = slotOf(key);
    await until(async () => {
      const ranges = (await node.call('CLUSTER', 'SLOTS')) as Array<[number, number, [string, number]]>;
      return ranges.find(([first, last]) => first <= slot && slot <= last)?.[2][1] === master.port;
    });
  }
}

/** Redis has no event for its states. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}

type ClusterConnect = (nodes: readonly ClusterNode[], password?: string) => Promise<Connected>;

/** The clients of a cluster, which are given the masters as seeds. */
export const CLUSTER_CLIENTS: ReadonlyArray<
  readonly [name: 'node-redis' | 'ioredis', connect: ClusterConnect]
> = [
  [
    'node-redis',
    async (nodes, password) => {
      const client = createCluster({
        rootNodes: nodes.map(({ url }) => ({ url })),
        ...(password === undefined ? {} : { defaults: { password } }),
      });
      client.on('error', () => undefined);
      await client.connect();
      return { client, end: () => client.destroy() };
    },
  ],
  [
    'ioredis',
    async (nodes, password) => {
      const client = new Cluster(
        nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
        password === undefined ? {} : { redisOptions: { password } },
      );
      client.on('error', () => undefined);
      await new Promise((resolve) => client.once('ready', resolve));
      return { client, end: () => client.disconnect() };
    },
  ],
];
