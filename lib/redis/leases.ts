import { randomUUID } from 'node:crypto';
import { outsideRequests } from '../async-context';
import type { LeaseObserver, LeaseTerms } from '../log/log-lease';
import { CHECK } from './lease-scripts';
import type { RedisConnection } from './redis-connection';
import { replyList, replyText } from './redis-stream';
import { slotOf } from './slot';
import type { ChannelListener, RedisSubscriptions } from './subscriptions';

/** Milliseconds between two checks. Each is one command, on a cluster one for each slot. */
const CHECK_MS = 1_000;

/** Where the lease of a run is stored. */
export interface LeaseKeys {
  readonly stream: string;
  readonly lease: string;
}

/** The time that a busy process and Redis have to notice an expired lease, of `leaseMs` and a second. */
const MARGIN_MS = 500;

/** Milliseconds for which Redis keeps a lease without a renewal. */
export function lifeOf({ leaseMs }: LeaseTerms): number {
  return leaseMs - MARGIN_MS;
}

/** One run that this process runs or watches. */
export class LeaseEntry {
  readonly keys: LeaseKeys;
  readonly runId: string;
  readonly terms: LeaseTerms;
  readonly observer: LeaseObserver;
  readonly #onLost = new Set<() => void>();
  /** `undefined` while this process does not hold the lease. */
  #token: string | undefined;
  /** When Redis may let the lease expire at the earliest, on the clock of `performance.now()`. */
  deadline = Number.POSITIVE_INFINITY;

  constructor(keys: LeaseKeys, runId: string, terms: LeaseTerms, observer: LeaseObserver) {
    this.keys = keys;
    this.runId = runId;
    this.terms = terms;
    this.observer = observer;
  }

  get token(): string | undefined {
    return this.#token;
  }

  /** Whether this process still holds the lease with this token. A stopped process finds out here that it has expired. */
  isHeld(token: string): boolean {
    return this.#token === token && performance.now() < this.deadline;
  }

  /** @param sentAt when the command was sent that has taken or renewed the lease */
  hold(token: string, sentAt: number): void {
    this.#token = token;
    this.deadline = sentAt + lifeOf(this.terms);
  }

  /** Calls `onLost` if the lease is given up or lost. @returns a function that removes it */
  whenLost(onLost: () => void): () => void {
    this.#onLost.add(onLost);
    return () => this.#onLost.delete(onLost);
  }

  /** This process does not hold the lease any more. */
  drop(): void {
    this.#token = undefined;
    this.deadline = Number.POSITIVE_INFINITY;
    for (const onLost of this.#onLost) onLost();
    this.#onLost.clear();
  }
}

/**
 * The leases of one process: all that it holds are renewed, and all that it watches are checked, with one command a second.
 * A lease that could not be renewed in time counts as lost here before Redis lets it expire.
 */
export class RedisLeases implements ChannelListener {
  /** The channel on which this process is notified that a run has ended. */
  readonly channel: string;
  readonly #connection: RedisConnection;
  readonly #subscriptions: RedisSubscriptions;
  readonly #isCluster: boolean;
  readonly #entries = new Set<LeaseEntry>();
  /** The slots whose last check was not answered yet. */
  readonly #checking = new Set<number>();
  #checkTimer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #subscribed = false;

  constructor(
    connection: RedisConnection,
    subscriptions: RedisSubscriptions,
    { prefix, isCluster }: { readonly prefix: string; readonly isCluster: boolean },
  ) {
    this.#connection = connection;
    this.#subscriptions = subscriptions;
    this.#isCluster = isCluster;
    this.channel = `${prefix}runs:${randomUUID()}`;
  }

  add(entry: LeaseEntry): void {
    this.#entries.add(entry);
    if (entry.token !== undefined) this.#subscribe();
    this.#checkTimer ??= this.#startCheckTimer();
    this.#startDeadlineTimer();
  }

  delete(entry: LeaseEntry): void {
    this.#entries.delete(entry);
    entry.drop();
    if (this.#entries.size === 0) this.#stop();
  }

  /** The connections are closed for good: nothing can be renewed any more. */
  close(): void {
    for (const entry of this.#entries) if (entry.token !== undefined) this.#depose(entry);
    this.#entries.clear();
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#checkTimer);
    clearTimeout(this.#deadlineTimer);
    this.#checkTimer = undefined;
    if (this.#subscribed) this.#subscriptions.unsubscribe(this.channel, this);
    this.#subscribed = false;
  }

  onSubscribed(): void {}

  onMessage(): void {}

  onClose(): void {}

  /** The token, the remaining milliseconds and the key of a lease whose run another process has ended. */
  onNotice(text: string): void {
    const [token = '', remainingMs = '', ...rest] = text.split(' ');
    const key = rest.join(' ');
    const ended = [...this.#entries].filter((entry) => entry.token === token && entry.keys.lease === key);
    for (const { observer } of ended) observer.onEnded(Number(remainingMs));
  }

  #subscribe(): void {
    if (this.#subscribed) return;
    this.#subscribed = true;
    this.#subscriptions.subscribe(this.channel, this);
  }

  /** Never sooner than a second after the last check, however often entries are added and deleted. */
  #startCheckTimer(): NodeJS.Timeout {
    const delayMs = Math.max(0, this.#checkedAt + CHECK_MS - performance.now());
    return outsideRequests(() => setTimeout(() => this.#checkAll(), Math.min(delayMs, CHECK_MS)).unref());
  }

  #checkAll(): void {
    this.#checkedAt = performance.now();
    for (const [slot, entries] of this.#entriesBySlot()) {
      if (!this.#checking.has(slot)) void this.#check(slot, entries);
    }
    this.#checkTimer = this.#startCheckTimer();
  }

  #entriesBySlot(): Map<number, LeaseEntry[]> {
    if (!this.#isCluster) return new Map([[0, [...this.#entries]]]);
    const slots = new Map<number, LeaseEntry[]>();
    for (const entry of this.#entries) {
      const slot = slotOf(entry.keys.stream);
      const entries = slots.get(slot);
      if (entries === undefined) slots.set(slot, [entry]);
      else entries.push(entry);
    }
    return slots;
  }

  async #check(slot: number, entries: readonly LeaseEntry[]): Promise<void> {
    this.#checking.add(slot);
    const tokens = entries.map(({ token }) => token);
    const sentAt = performance.now();
    try {
      const reply = await this.#connection.now((driver) =>
        driver.send(entries[0]?.keys.stream ?? '', checkCommand(entries)),
      );
      const states = replyList(reply).map(replyText);
      for (const [index, entry] of entries.entries()) {
        if (entry.token === tokens[index]) this.#apply(entry, states[index] ?? '', sentAt);
      }
    } catch {
      // Redis is unavailable: the next check follows, and the deadline ends what this process runs.
    } finally {
      this.#checking.delete(slot);
    }
    this.#startDeadlineTimer();
  }

  #apply(entry: LeaseEntry, reply: string, sentAt: number): void {
    // Its observer may have removed it meanwhile, with the change of another entry.
    if (!this.#entries.has(entry)) return;
    const [state, detail = ''] = reply.split(' ');
    const { token, observer } = entry;
    if (state === 'renewed' && token !== undefined) {
      entry.hold(token, sentAt);
      return;
    }
    // A process that was stopped may find the run ended by the process that has taken its lease.
    if (token !== undefined && (state !== 'ended' || !entry.isHeld(token))) this.#depose(entry);
    if (state === 'ended') observer.onEnded(Number(detail));
    else if (state === 'expired') observer.onExpired(detail === '1');
    else if (state === 'gone') observer.onGone();
  }

  #depose(entry: LeaseEntry): void {
    entry.drop();
    entry.observer.onDeposed();
  }

  #startDeadlineTimer(): void {
    clearTimeout(this.#deadlineTimer);
    const deadline = Math.min(...[...this.#entries].map((entry) => entry.deadline));
    if (deadline === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(0, deadline - performance.now());
    this.#deadlineTimer = outsideRequests(() => setTimeout(() => this.#onDeadline(), delayMs).unref());
  }

  #onDeadline(): void {
    const now = performance.now();
    for (const entry of this.#entries) if (entry.deadline <= now) this.#depose(entry);
    this.#startDeadlineTimer();
  }
}

function checkCommand(entries: readonly LeaseEntry[]): string[] {
  const keys = entries.flatMap(({ keys: { stream, lease } }) => [stream, lease]);
  const items = entries.map(({ runId, token = '', terms, observer }) => [
    runId,
    token,
    lifeOf(terms),
    terms.ttlMs,
    observer.canTakeOver ? '1' : '',
  ]);
  return ['EVAL', CHECK, String(keys.length), ...keys, JSON.stringify(items)];
}
