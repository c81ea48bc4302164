import type { ClusterClient } from './cluster-clients';
import { coverage, majority, nameOf, parseName, parseSlots, type SlotRange } from './cluster-slots';
import type { CommandDriver, DriverListener, RedisDriver } from './drivers';
import { HEARTBEAT_MS, notSentError } from './redis-connection';
import { SLOTS, slotOf } from './slot';

/** The number of nodes that are asked at a time for the owners of the slots: enough to outvote one. */
const ASKED = 3;

/** Milliseconds for a node to answer. */
const ANSWER_MS = 2_000;

/** Milliseconds between two requests for the owners of the slots, however many connections are lost or slots are moved. */
const MIN_REFRESH_MS = 100;

/**
 * Which node of a cluster has which slot, as the nodes themselves say. It starts from the nodes that the user's client knows,
 * then from the last known nodes, and at last from those that the user has named, so that any of them may be replaced.
 */
export class ClusterTopology {
  readonly #client: ClusterClient;
  #masters: Array<string | undefined> = [];
  readonly #replicas = new Map<string, readonly string[]>();
  /** Every node that was seen in the last view. */
  #nodes: string[] = [];
  readonly #listeners = new Set<() => void>();
  #existing: (node: string) => CommandDriver | undefined = () => undefined;
  readonly #timer: NodeJS.Timeout;
  /** The connections that ask a node. */
  readonly #asking = new Set<RedisDriver>();
  #refreshing: Promise<void> | undefined;
  #nextRefresh: Promise<void> | undefined;
  #refreshAgain: NodeJS.Timeout | undefined;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #changedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;
  #lastError: unknown;

  constructor(client: ClusterClient, heartbeatMs = HEARTBEAT_MS) {
    this.#client = client;
    this.#timer = setInterval(() => this.refresh(), heartbeatMs).unref();
    void this.#refresh();
  }

  get isKnown(): boolean {
    return this.#nodes.length > 0;
  }

  /** Why the owners of the slots are unknown. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** When a slot was last found on another node than before, on the clock of `performance.now()`. */
  get changedAt(): number {
    return this.#changedAt;
  }

  /** The masters that have slots. */
  get masters(): ReadonlySet<string> {
    return new Set(this.#masters.filter((master) => master !== undefined));
  }

  /** @returns `undefined` if no node has the slot, as far as is known */
  masterOf(key: string): string | undefined {
    return this.#masters[slotOf(key)];
  }

  replicasOf(key: string): readonly string[] {
    return this.#replicas.get(this.masterOf(key) ?? '') ?? [];
  }

  /** @param listener called after a slot has changed its node, and each time that the slots could not be found */
  watch(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** @param existing returns a connection to a node, if there is one that may be used to ask it */
  reuseConnections(existing: (node: string) => CommandDriver | undefined): void {
    this.#existing = existing;
  }

  /** A node has named the owner of a slot. Others may not know it yet. */
  move(slot: number, node: string): void {
    if (this.#masters[slot] === node) return;
    this.#masters[slot] = node;
    this.#changedAt = performance.now();
    if (!this.#nodes.includes(node)) this.#nodes.push(node);
    this.#notify();
    this.refresh();
  }

  connect(node: string, listener: DriverListener): RedisDriver {
    return this.#client.connect(parseName(node), listener);
  }

  /** Sends a command that may run twice to one node. @throws (rejects with) any error, also if no reply arrives in time */
  async ask(node: string, command: readonly string[]): Promise<unknown> {
    if (this.#isClosed) throw notSentError(undefined);
    let fail: (error: unknown) => void = () => undefined;
    const failed = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    failed.catch(() => undefined);
    const timer = setTimeout(() => fail(new Error(`${node} has not answered in time.`)), ANSWER_MS).unref();
    const existing = this.#existing(node);
    const driver =
      existing === undefined ? this.connect(node, { onMessage: () => undefined, onEnd: fail }) : undefined;
    if (driver !== undefined) this.#asking.add(driver);
    try {
      await Promise.race([driver?.ready, failed]);
      return await Promise.race([(driver ?? existing)?.send('', command), failed]);
    } finally {
      clearTimeout(timer);
      if (driver !== undefined) {
        await driver.end();
        this.#asking.delete(driver);
      }
    }
  }

  /** Asks the nodes again, soon. May be called often. */
  refresh(): void {
    if (this.#isClosed || this.#refreshAgain !== undefined) return;
    const delayMs = Math.max(0, this.#refreshedAt + MIN_REFRESH_MS - performance.now());
    this.#refreshAgain = setTimeout(() => void this.#refresh(), delayMs).unref();
  }

  /** Asks the nodes now. Resolves when they have answered, or none has. */
  renew(): Promise<void> {
    return this.#refresh();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#refreshAgain);
    this.#client.end();
    await Promise.allSettled([...this.#asking].map((driver) => driver.end()));
    await this.#refreshing;
  }

  /** One request serves all that ask before it is sent: those that ask during another share the next. */
  #refresh(): Promise<void> {
    this.#nextRefresh ??= this.#refreshAfter(this.#refreshing);
    return this.#nextRefresh;
  }

  async #refreshAfter(current: Promise<void> | undefined): Promise<void> {
    await current;
    this.#nextRefresh = undefined;
    if (this.#isClosed) return;
    clearTimeout(this.#refreshAgain);
    this.#refreshAgain = undefined;
    this.#refreshing = this.#find();
    await this.#refreshing;
  }

  async #find(): Promise<void> {
    this.#refreshedAt = performance.now();
    try {
      this.#apply(await this.#askAny());
    } catch (error) {
      this.#lastError = error;
      this.#notify();
      if (!this.isKnown) this.refresh();
    }
  }

  async #askAny(): Promise<readonly SlotRange[]> {
    const all = shuffled(this.isKnown ? this.#nodes : this.#client.nodes().map(nameOf));
    const isConnected = (node: string) => this.#existing(node) !== undefined;
    const sorted = [...all.filter(isConnected), ...all.filter((node) => !isConnected(node))];
    for (let i = 0; i < sorted.length; i += ASKED) {
      const view = await this.#askSome(sorted.slice(i, i + ASKED));
      if (view !== undefined) return view;
    }
    const named = (await this.#client.discover()).map(nameOf);
    const view = await this.#askSome(named);
    if (view === undefined) throw this.#lastError;
    return view;
  }

  async #askSome(nodes: readonly string[]): Promise<readonly SlotRange[] | undefined> {
    const answers = await Promise.allSettled(
      nodes.map(async (node) => parseSlots(await this.ask(node, ['cluster', 'slots']), node)),
    );
    const views: SlotRange[][] = [];
    for (const answer of answers) {
      if (answer.status === 'rejected') this.#lastError = answer.reason;
      else if (coverage(answer.value) > 0) views.push(answer.value);
    }
    return majority(views);
  }

  #apply(view: readonly SlotRange[]): void {
    const masters: Array<string | undefined> = [];
    const nodes = new Set<string>();
    this.#replicas.clear();
    for (const { first, last, master, replicas } of view) {
      for (let slot = first; slot <= last; slot++) masters[slot] = master;
      this.#replicas.set(master, replicas);
      for (const node of [master, ...replicas]) nodes.add(node);
    }
    const previous = this.#masters;
    this.#masters = masters;
    this.#nodes = [...nodes];
    for (let slot = 0; slot < SLOTS; slot++) {
      if (previous[slot] !== masters[slot]) {
        if (previous.length > 0) this.#changedAt = performance.now();
        this.#notify();
        return;
      }
    }
  }

  #notify(): void {
    if (this.#isClosed) return;
    for (const listener of this.#listeners) listener();
  }
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
