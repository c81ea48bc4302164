import { setImmediate, setTimeout } from 'node:timers/promises';
import type {
  EventLog,
  EventRecord,
  LogEntry,
  LogHead,
  LogPage,
  LogSubscriber,
  LogSubscription,
} from '../../lib';
import { SseError } from '../../lib/errors';

/** The state that all processes share: a table of entries, as in a database. */
export class Store {
  readonly subscribers = new Set<(entries: LogEntry[]) => void>();
  readonly maxEvents: number;
  #entries: LogEntry[] = [];
  #count = 0;

  constructor(maxEvents: number) {
    this.maxEvents = maxEvents;
  }

  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  get count(): number {
    return this.#count;
  }

  insert(record: EventRecord): string {
    if (this.ended) throw new SseError('ERR_SSE_CHANNEL_CLOSED', 'Cannot publish: the log has ENDED.');
    const entry = { id: `n${++this.#count}`, record };
    this.#entries = [...this.#entries, entry].slice(-this.maxEvents);
    for (const deliver of this.subscribers) deliver([entry]);
    return entry.id;
  }

  get ended(): boolean {
    const last = this.#entries.at(-1);
    return last !== undefined && last.record.kind !== 'event';
  }
}

/**
 * A log as a user would write one for a database: every operation takes time, and each process holds fewer entries in
 * memory than the store retains. `pause` sets the duration of each step.
 */
export class StoredLog implements EventLog {
  readonly cacheSize: number;
  readonly #store: Store;
  readonly #pause: () => Promise<unknown>;

  constructor(store: Store, cacheSize: number, pause: () => Promise<unknown> = setImmediate) {
    this.#store = store;
    this.cacheSize = cacheSize;
    this.#pause = pause;
  }

  async append(record: EventRecord): Promise<string> {
    // The order of entries is the order of calls, so pause afterwards.
    const id = this.#store.insert(record);
    await this.#pause();
    return id;
  }

  async read(after: string, limit: number): Promise<LogPage> {
    await this.#pause();
    const { entries, count } = this.#store;
    const oldest = count - entries.length;
    const seen = after === '' ? oldest : numberOf(after);
    const known = seen >= oldest && seen <= count;
    const page = entries.slice(known ? seen - oldest : 0).slice(0, limit);
    await this.#pause();
    return { entries: page, gap: !known };
  }

  async head(): Promise<LogHead> {
    const head = { id: `n${this.#store.count}`, ended: this.#store.ended };
    await this.#pause();
    return head;
  }

  subscribe(subscriber: LogSubscriber): LogSubscription {
    const { subscribers } = this.#store;
    let closed = false;
    let last = Promise.resolve();
    const deliver = (entries: LogEntry[]) => {
      // Chained, so that the order does not depend on the pauses.
      last = last.then(async () => {
        await this.#pause();
        if (!closed) void subscriber.onEntries(entries, false);
      });
    };
    const from = this.#pause().then(() => {
      if (!closed) subscribers.add(deliver);
      return `n${this.#store.count}`;
    });
    const close = () => {
      closed = true;
      subscribers.delete(deliver);
    };
    return { from, close };
  }

  compare(a: string, b: string): number {
    return numberOf(a) - numberOf(b);
  }
}

function numberOf(id: string): number {
  return /^n\d{1,15}$/.test(id) ? Number(id.slice(1)) : Number.NaN;
}

/** Random pauses: often none or one turn of the event loop, rarely a timer. The seed makes a run repeatable. */
export function pauses(seed: number): () => Promise<unknown> {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const kind = (state >>> 16) % 16;
    if (kind < 7) return Promise.resolve();
    return kind < 15 ? setImmediate() : setTimeout(0);
  };
}
