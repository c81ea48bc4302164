import { endedError, isSseError, type SseError, sseError } from '../errors';
import type { EventRecord } from '../format/record';
import type { Awaitable, EventLog, LogHead, LogPage, LogSubscriber, LogSubscription } from '../log/event-log';
import type { LeaseGrant, LeaseTerms, LogLease } from '../log/log-lease';

/** The log of a run that several processes share: only the process that holds the lease can append to it. */
export class RunLog implements EventLog {
  /** `undefined` while this process does not hold the lease. */
  grant: LeaseGrant | undefined;
  readonly idBeforeNewest: EventLog['idBeforeNewest'];
  readonly hasSubscribers: EventLog['hasSubscribers'];
  readonly cacheSize: EventLog['cacheSize'];
  readonly window: EventLog['window'];
  readonly #log: EventLog;
  readonly #lease: LogLease;
  readonly #terms: LeaseTerms;
  readonly #onEnded: () => void;

  /** @param onEnded called when this process has appended the last entry */
  constructor(log: EventLog, lease: LogLease, terms: LeaseTerms, onEnded: () => void) {
    this.#log = log;
    this.#lease = lease;
    this.#terms = terms;
    this.#onEnded = onEnded;
    this.idBeforeNewest = log.idBeforeNewest?.bind(log);
    this.hasSubscribers = log.hasSubscribers?.bind(log);
    this.cacheSize = log.cacheSize;
    this.window = log.window;
  }

  async append(record: EventRecord): Promise<string> {
    if (this.grant === undefined && record.kind === 'end') return this.#endElsewhere(record);
    const id = await this.#append(record);
    if (record.kind !== 'event') this.#onEnded();
    return id;
  }

  /** Ends the run, whichever process runs its source. @returns a promise of `false` if it has ended already */
  async end(record: EventRecord): Promise<boolean> {
    const ended = await this.#lease.end(record, this.#terms);
    if (ended) this.#onEnded();
    return ended;
  }

  read(after: string, limit: number): Awaitable<LogPage> {
    return this.#log.read(after, limit);
  }

  head(): Awaitable<LogHead> {
    return this.#log.head();
  }

  subscribe(subscriber: LogSubscriber): LogSubscription {
    return this.#log.subscribe(subscriber);
  }

  compare(a: string, b: string): number {
    return this.#log.compare(a, b);
  }

  /** `channel.end()` in a process that does not run the source. No caller needs the id. */
  async #endElsewhere(record: EventRecord): Promise<string> {
    if (await this.end(record)) return '';
    throw endedError();
  }

  async #append(record: EventRecord): Promise<string> {
    const { grant } = this;
    if (grant === undefined) throw notHeldError();
    try {
      return await grant.append(record);
    } catch (error) {
      // Its lease must not be released any more: another process may have it.
      if (isSseError(error) && error.code === 'ERR_SSE_RUN_LOST' && this.grant === grant) {
        this.grant = undefined;
      }
      throw error;
    }
  }
}

function notHeldError(): SseError {
  return sseError(
    'ERR_SSE_RUN_LOST',
    'Cannot publish: this process does not hold the lease of the run. Yield the value in its source, or end it with runs.stop().',
  );
}
