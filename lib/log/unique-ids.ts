import { createHash } from 'node:crypto';
import type { EventRecord } from '../format/record';
import type { LogEntry } from './entry';
import type { EventLog, LogHead, LogPage, LogSubscriber, LogSubscription } from './event-log';
import type { LeaseGrant, LeaseRequest, LeaseState, LeaseTerms, LogLease } from './log-lease';

/** Between the id of an entry in its log and the name of the log. */
const SEPARATOR = '.';

/** The id of no entry, in place of an id of another log. */
const UNKNOWN_ID = SEPARATOR;

/** 128 bits: two logs have different names. The key itself could be too long for an id, or a secret. */
const NAME_BYTES = 16;

/**
 * A log whose ids contain its name, such as `1718000000000-0.5sTqXn0QWzO2mF1cLk8vRw`: no other log has an equal id, and an id
 * of another log is an unknown one here. What is stored stays the same.
 *
 * @param log a log that is not in the memory of this process
 * @param key identifies the log in all processes
 */
export function withUniqueIds(log: EventLog, key: string): EventLog {
  return new UniqueIdLog(log, new IdSuffix(key));
}

/** Converts the ids of a log to unique ones and back. */
class IdSuffix {
  readonly #suffix: string;

  constructor(key: string) {
    const name = createHash('sha256').update(key).digest().subarray(0, NAME_BYTES).toString('base64url');
    this.#suffix = SEPARATOR + name;
  }

  add(id: string): string {
    return id + this.#suffix;
  }

  addIfAny(id: string | undefined): string | undefined {
    return id === undefined ? undefined : this.add(id);
  }

  addToAll(entries: readonly LogEntry[]): LogEntry[] {
    return entries.map(({ id, record }) => ({ id: this.add(id), record }));
  }

  /** @returns `undefined` for an id of another log, and for the suffix alone: `''` would mean the beginning of the log */
  remove(id: string): string | undefined {
    const end = id.length - this.#suffix.length;
    return end > 0 && id.endsWith(this.#suffix) ? id.slice(0, end) : undefined;
  }
}

class UniqueIdLog implements EventLog {
  readonly cacheSize: EventLog['cacheSize'];
  readonly hasSubscribers: EventLog['hasSubscribers'];
  readonly idBeforeNewest: EventLog['idBeforeNewest'];
  readonly appendOnce: EventLog['appendOnce'];
  readonly #log: EventLog;
  readonly #suffix: IdSuffix;

  constructor(log: EventLog, suffix: IdSuffix) {
    const { appendOnce, idBeforeNewest } = log;
    this.#log = log;
    this.#suffix = suffix;
    this.cacheSize = log.cacheSize;
    this.hasSubscribers = log.hasSubscribers?.bind(log);
    this.idBeforeNewest =
      idBeforeNewest && (async (count) => suffix.addIfAny(await idBeforeNewest.call(log, count)));
    this.appendOnce =
      appendOnce && (async (record, key) => suffix.add(await appendOnce.call(log, record, key)));
  }

  get lease(): LogLease | undefined {
    const { lease } = this.#log;
    return lease && new UniqueIdLease(lease, this.#suffix);
  }

  async append(record: EventRecord): Promise<string> {
    return this.#suffix.add(await this.#log.append(record));
  }

  async read(after: string, limit: number): Promise<LogPage> {
    const id = after === '' ? '' : (this.#suffix.remove(after) ?? UNKNOWN_ID);
    const { entries, gap } = await this.#log.read(id, limit);
    return { entries: this.#suffix.addToAll(entries), gap };
  }

  async head(): Promise<LogHead> {
    const { id, ended } = await this.#log.head();
    return { id: this.#suffix.add(id), ended };
  }

  subscribe(subscriber: LogSubscriber): LogSubscription {
    const subscription = this.#log.subscribe({
      onEntries: (entries, gapBefore) => subscriber.onEntries(this.#suffix.addToAll(entries), gapBefore),
    });
    const from = Promise.resolve(subscription.from).then((id) => this.#suffix.add(id));
    // Without a reader of `from`, its rejection must not be an unhandled rejection.
    from.catch(() => undefined);
    return { from, close: () => subscription.close() };
  }

  compare(a: string, b: string): number {
    const [ours, other] = [this.#suffix.remove(a), this.#suffix.remove(b)];
    return ours === undefined || other === undefined ? Number.NaN : this.#log.compare(ours, other);
  }
}

/** The lease of a run whose log has unique ids. */
class UniqueIdLease implements LogLease {
  readonly #lease: LogLease;
  readonly #suffix: IdSuffix;

  constructor(lease: LogLease, suffix: IdSuffix) {
    this.#lease = lease;
    this.#suffix = suffix;
  }

  async request(request: LeaseRequest): Promise<LeaseState> {
    const state = await this.#lease.request(request);
    return state.kind === 'granted' ? { kind: 'granted', grant: this.#grantOf(state.grant) } : state;
  }

  end(record: EventRecord, terms: LeaseTerms): Promise<boolean> {
    return this.#lease.end(record, terms);
  }

  #grantOf(grant: LeaseGrant): LeaseGrant {
    return {
      token: grant.token,
      lastId: grant.lastId === '' ? '' : this.#suffix.add(grant.lastId),
      append: async (record) => this.#suffix.add(await grant.append(record)),
      release: (record, canContinue) => grant.release(record, canContinue),
      close: () => grant.close(),
    };
  }
}
