import type { EventRecord } from '../format/record';

/**
 * The durations of a lease. All processes should use the same ones for a key.
 *
 * @example
 * const terms: LeaseTerms = { leaseMs: 5_000, ttlMs: 60_000 };
 */
export interface LeaseTerms {
  /** Milliseconds without a renewal after which the lease has expired. A log may let it expire half a second earlier. */
  readonly leaseMs: number;
  /** Milliseconds for which the log retains a run after its end. Then the key is free again. */
  readonly ttlMs: number;
}

/**
 * Why a process asks for the lease of a run.
 *
 * | purpose | key is free | lease is held | lease has expired |
 * | --- | --- | --- | --- |
 * | `'find'` | | watches it | watches it |
 * | `'start'` | takes it | watches it | watches it |
 * | `'resume'` | takes it | watches it | takes it |
 * | `'takeover'` | | watches it | takes it |
 *
 * @example
 * const purpose: LeasePurpose = 'start';
 */
export type LeasePurpose = 'find' | 'start' | 'resume' | 'takeover';

/**
 * Receives the changes of a run's lease, at most a second after them. No member may throw.
 *
 * @example
 * const observer: LeaseObserver = {
 *   canTakeOver: false,
 *   onDeposed: () => console.log('this process has lost the lease'),
 *   onExpired: () => console.log('its holder has died'),
 *   onEnded: (remainingMs) => console.log('the run has ended; its log is released in', remainingMs),
 *   onGone: () => console.log('the run is no longer stored'),
 * };
 */
export interface LeaseObserver {
  /** Whether this process would continue the run. Read at every check. */
  readonly canTakeOver: boolean;
  /** This process has held the lease, and has lost it. The observer watches the lease from now on. */
  onDeposed(): void;
  /**
   * The lease has expired, so its holder has died or was disconnected. Called at every check until that changes.
   *
   * @param hasSuccessor whether a process that can take over was there in the last seconds
   */
  onExpired(hasSuccessor: boolean): void;
  /**
   * The run has ended: its last entry was appended, in this process or in another.
   *
   * @param remainingMs milliseconds for which its log is still retained
   */
  onEnded(remainingMs: number): void;
  /** The run is no longer stored, or another run has the key. */
  onGone(): void;
}

/**
 * A process's request for the lease of a run.
 *
 * @example
 * const terms = { leaseMs: 5_000, ttlMs: 60_000 };
 * const toFind = (observer: LeaseObserver): LeaseRequest => ({ purpose: 'find', terms, observer });
 */
export interface LeaseRequest {
  /** Decides in which state of the key this process takes the lease. */
  readonly purpose: LeasePurpose;
  /** The durations for this run. */
  readonly terms: LeaseTerms;
  /** Receives the changes of the lease until its {@link LeaseObservation} is closed. */
  readonly observer: LeaseObserver;
}

/**
 * An observer's registration.
 *
 * @example
 * const stop = (observation: LeaseObservation) => observation.close();
 */
export interface LeaseObservation {
  /** The observer receives nothing afterwards. A lease that this process holds is not renewed any more. */
  close(): void;
}

/**
 * The right to append to the log of a run, with a fencing token that is greater than that of every earlier holder. It is
 * renewed until the observation is closed.
 *
 * @example
 * async function end(grant: LeaseGrant) {
 *   await grant.append({ kind: 'end', data: 'done', serialized: false });
 * }
 */
export interface LeaseGrant extends LeaseObservation {
  /** The fencing token, as a decimal number. */
  readonly token: string;
  /** The id of the run's last entry when the lease was taken; `''` if there was none. */
  readonly lastId: string;
  /**
   * Appends an entry, once and in the order of the calls. An append whose reply was lost is repeated while the lease is
   * held. The log must refuse it if the lease has expired or another process has taken it.
   *
   * @throws (rejects with) `SseError` `ERR_SSE_RUN_LOST` if the lease is lost, `ERR_SSE_CHANNEL_CLOSED` if the run has ended,
   *   and `ERR_SSE_LOG_UNAVAILABLE` if the log refuses the append
   */
  append(record: EventRecord): Promise<string>;
  /**
   * Gives the lease up before the run has ended. If another process can take over, the lease expires immediately;
   * otherwise the record is appended as the last one.
   *
   * @param canContinue whether the lease expires immediately in any case, because a process may ask for it later to continue
   *   the run; `false` by default
   * @returns a promise of whether another process can take over
   */
  release(record: EventRecord, canContinue?: boolean): Promise<boolean>;
}

/**
 * The answer to a {@link LeaseRequest}.
 *
 * @example
 * const isRunning = ({ kind }: LeaseState) => kind === 'granted' || kind === 'held';
 */
export type LeaseState =
  | {
      /** The key is free: it has no run. */
      readonly kind: 'none';
    }
  | {
      /** This process has the lease. */
      readonly kind: 'granted';
      /** The right to append. */
      readonly grant: LeaseGrant;
    }
  | {
      /** Another process has the lease. */
      readonly kind: 'held';
      /** Ends the observer's registration. */
      readonly observation: LeaseObservation;
    }
  | {
      /** No process has the lease, and the run has not ended. */
      readonly kind: 'expired';
      /** As for `onExpired()` of an observer. */
      readonly hasSuccessor: boolean;
      /** Ends the observer's registration. */
      readonly observation: LeaseObservation;
    }
  | {
      /** The run has ended. */
      readonly kind: 'ended';
      /** Milliseconds for which its log is still retained. */
      readonly remainingMs: number;
    };

/**
 * The lease of the run that a log stores, from `EventLog.lease`: the right of one process at a time to append to it.
 *
 * @example
 * // The log of a run that another process has started.
 * async function isThere(lease: LogLease, observer: LeaseObserver) {
 *   const terms = { leaseMs: 5_000, ttlMs: 60_000 };
 *   const state = await lease.request({ purpose: 'find', terms, observer });
 *   if (state.kind === 'held' || state.kind === 'expired') state.observation.close();
 *   return state.kind !== 'none';
 * }
 */
export interface LogLease {
  /**
   * Takes the lease or watches it, depending on the purpose. It must be atomic: of two processes that ask in the same
   * moment, one gets it. A run that takes a free key begins with an empty log.
   *
   * @throws (rejects with) `SseError` `ERR_SSE_LOG_UNAVAILABLE` if the log is unavailable
   */
  request(request: LeaseRequest): Promise<LeaseState>;
  /**
   * Ends the run with a record, whichever process holds the lease. The holder is notified within a second.
   *
   * @returns a promise of `false` if there was no run to end
   * @throws (rejects with) `SseError` `ERR_SSE_LOG_UNAVAILABLE` if the log is unavailable
   */
  end(record: EventRecord, terms: LeaseTerms): Promise<boolean>;
}
