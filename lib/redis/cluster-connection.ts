import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseRedirection } from './cluster-slots';
import type { ClusterTopology } from './cluster-topology';
import { type CommandDriver, countsOf, type DriverListener, type RedisDriver } from './drivers';
import {
  closedLogsError,
  NodeConnection,
  notSentError,
  permanentError,
  publicError,
  type RedisConnection,
} from './redis-connection';
import { subscribersOf } from './redis-stream';
import { replyCode } from './reply-code';

/** How often a command is sent to another node, or again because its keys are just being moved. */
const MAX_REDIRECTIONS = 32;

/** Milliseconds before a command is sent again while its keys are being moved. */
const MOVING_MS = 50;

/** Milliseconds after a failover or a move of slots, in which subscribers may not be back yet. */
const SETTLING_MS = 5_000;

/** Milliseconds after which a failover shows in what the nodes report. */
const UNNOTICED_MS = 1_000;

/** The largest pause between two attempts of a command that may run twice. */
const MAX_RETRY_MS = 1_000;

/** The reply of a node that has not run the command, because another node has the key. */
class Redirection {
  readonly code: string;
  readonly error: unknown;

  constructor(code: string, error: unknown) {
    this.code = code;
    this.error = error;
  }
}

/** Receives the state changes of a {@link ClusterConnection}. */
export interface ClusterConnectionListener {
  /** A node accepts commands. */
  onReady(): void;
  /** A node was lost, or no node answers. */
  onLost(error: unknown): void;
}

/**
 * One connection for commands to each master that is needed. A node that is lost or does not answer affects its own keys only.
 */
export class ClusterConnection implements RedisConnection {
  readonly #topology: ClusterTopology;
  readonly #listener: ClusterConnectionListener;
  readonly #nodes = new Map<string, NodeConnection>();
  /** The connections that are no longer needed and have not closed completely yet. */
  readonly #closing = new Set<Promise<unknown>>();
  /** Commands that wait until the owners of the slots are known, in order. */
  #waiting: Array<() => void> = [];
  readonly #router: CommandDriver;
  readonly #pauses = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(topology: ClusterTopology, listener: ClusterConnectionListener) {
    this.#topology = topology;
    this.#listener = listener;
    this.#router = {
      send: (key, command) => this.#send(key, command),
      subscriberCounts: (channel) => this.#subscriberCounts(channel),
    };
    setMaxListeners(0, this.#pauses.signal);
    topology.reuseConnections((node) => this.#nodes.get(node)?.driver);
    topology.watch(() => this.#onTopology());
  }

  get ready(): boolean {
    if (this.#closed !== undefined || !this.#topology.isKnown) return false;
    return [...this.#nodes.values()].every(({ ready }) => ready);
  }

  async now<Reply>(command: (driver: CommandDriver) => Promise<Reply>): Promise<Reply> {
    try {
      return await command(this.#router);
    } catch (error) {
      throw publicError(error);
    }
  }

  async retrying<Reply>(command: (driver: CommandDriver) => Promise<Reply>): Promise<Reply> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await command(this.#router);
      } catch (error) {
        const permanent = permanentError(error);
        if (permanent !== undefined) throw permanent;
        const delayMs = Math.min(50 * 2 ** attempt, MAX_RETRY_MS) * (0.5 + Math.random() / 2);
        if (!(await this.pause(delayMs))) throw closedLogsError();
      }
    }
  }

  pause(ms: number): Promise<boolean> {
    // Only close() aborts the signal.
    return sleep(ms, true, { ref: false, signal: this.#pauses.signal }).catch(() => false);
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  async #shutDown(): Promise<void> {
    const closing = [...this.#nodes.values()].map((node) => node.close());
    this.#nodes.clear();
    this.#pauses.abort();
    this.#resumeAll();
    await Promise.all([...closing, ...this.#closing]);
  }

  #onTopology(): void {
    this.#resumeAll();
    if (!this.#topology.isKnown) {
      this.#listener.onLost(this.#topology.lastError);
      return;
    }
    const { masters } = this.#topology;
    for (const [name, node] of this.#nodes) if (!masters.has(name)) this.#retire(name, node);
  }

  /** Closes the connection to a node that has no slots any more, once the replies on the way have arrived. */
  #retire(name: string, node: NodeConnection): void {
    this.#nodes.delete(name);
    const closing: Promise<unknown> = this.#closeAfterReplies(node).finally(() =>
      this.#closing.delete(closing),
    );
    this.#closing.add(closing);
  }

  async #closeAfterReplies(node: NodeConnection): Promise<void> {
    const answered = node.driver?.ping().catch(() => undefined);
    if (answered !== undefined) await Promise.race([answered, this.pause(MAX_RETRY_MS)]);
    await node.close();
  }

  #resumeAll(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }

  #send(key: string, command: readonly string[]): Promise<unknown> {
    if (this.#topology.isKnown || this.#closed !== undefined) return this.#route(key, command);
    return new Promise((resolve) => this.#waiting.push(() => resolve(this.#route(key, command))));
  }

  async #route(key: string, command: readonly string[]): Promise<unknown> {
    const master = this.#topology.masterOf(key);
    let reply = await this.#sendTo(master, key, command);
    for (let count = 0; reply instanceof Redirection; count++) {
      if (count === MAX_REDIRECTIONS) throw reply.error;
      reply = await this.#redirect(reply, key, command);
    }
    return reply;
  }

  async #redirect({ code, error }: Redirection, key: string, command: readonly string[]): Promise<unknown> {
    const master = this.#topology.masterOf(key);
    if (code === 'TRYAGAIN') {
      if (!(await this.pause(MOVING_MS))) throw closedLogsError();
      return this.#sendTo(master, key, command);
    }
    const target = parseRedirection(error, master ?? '');
    if (target === undefined) throw error;
    if (code === 'ASK') return this.#sendTo(target.node, key, command, true);
    this.#topology.move(target.slot, target.node);
    return this.#sendTo(target.node, key, command);
  }

  /** @param isAsking whether the node does not have the slot yet, but has taken over the key */
  async #sendTo(
    name: string | undefined,
    key: string,
    command: readonly string[],
    isAsking = false,
  ): Promise<unknown> {
    if (this.#closed !== undefined) throw closedLogsError();
    if (name === undefined) {
      this.#topology.refresh();
      throw notSentError(
        this.#topology.lastError ?? new Error('No node of the cluster has the slot of the key.'),
      );
    }
    return this.#nodeOf(name).attempt(async (driver) => {
      try {
        if (isAsking) driver.send(key, ['asking']).catch(() => undefined);
        return await driver.send(key, command);
      } catch (error) {
        const code = replyCode(error);
        if (code === 'MOVED' || code === 'ASK' || code === 'TRYAGAIN') return new Redirection(code, error);
        throw error;
      }
    });
  }

  #nodeOf(name: string): NodeConnection {
    let node = this.#nodes.get(name);
    if (node === undefined) {
      node = this.#connectTo(name);
      this.#nodes.set(name, node);
    }
    return node;
  }

  #connectTo(name: string): NodeConnection {
    const connect = (listener: DriverListener): RedisDriver => this.#topology.connect(name, listener);
    return new NodeConnection(connect, {
      onReady: () => this.#listener.onReady(),
      onLost: (error) => {
        this.#topology.refresh();
        this.#listener.onLost(error);
      },
    });
  }

  /** While slots change their nodes, subscribers have to find out where to subscribe to. */
  async #subscriberCounts(channel: string): Promise<readonly unknown[]> {
    const askedAt = performance.now();
    for (;;) {
      const counts = await this.#countNow(channel);
      if (hasSubscribers(counts)) return counts;
      await this.#topology.renew();
      const settledAt = Math.max(askedAt + UNNOTICED_MS, this.#topology.changedAt + SETTLING_MS);
      if (performance.now() >= settledAt || !(await this.pause(SETTLING_MS / 20))) return counts;
    }
  }

  /** Asks the master and its replicas: a former master may still have subscribers. */
  async #countNow(channel: string): Promise<readonly unknown[]> {
    const counts = await countsOf((command) => this.#send(channel, command), channel);
    if (hasSubscribers(counts)) return counts;
    const replicas = this.#topology.replicasOf(channel);
    const asked = await Promise.allSettled(
      replicas.map((node) => countsOf((command) => this.#topology.ask(node, command), channel)),
    );
    return [...counts, ...asked.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))];
  }
}

function hasSubscribers(counts: readonly unknown[]): boolean {
  return counts.some((count) => subscribersOf(count) > 0);
}
