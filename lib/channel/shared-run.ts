import { abortError } from '../abort';
import { outsideRequests } from '../async-context';
import { type SseError, sseError } from '../errors';
import type { ServerSentEvent } from '../format/event';
import type { EventRecord } from '../format/record';
import type { EventLog } from '../log/event-log';
import type {
  LeaseGrant,
  LeaseObservation,
  LeaseObserver,
  LeasePurpose,
  LeaseState,
  LeaseTerms,
  LogLease,
} from '../log/log-lease';
import { Channel, stateOf } from './channel';
import type { ChannelState } from './channel-state';
import type { ResolvedChannelOptions } from './options';
import { RunLog } from './run-log';
import type { RunSource, SourceRun } from './source-run';

/** The number of entries that are read at a time, to find the last one. */
const PAGE_SIZE = 1_000;

/** What {@link SharedRun} and `LocalRun` need. */
export interface RunSettings {
  readonly log: EventLog;
  readonly terms: LeaseTerms;
  readonly channelOptions: ResolvedChannelOptions;
  /** A source runs from now on. */
  readonly onStarted: (source: SourceRun) => void;
  /** The key is free again, as far as this process knows. */
  readonly onReleased: (run: object) => void;
}

/** A run whose log several processes share, as one of them sees it: it runs the source, or watches the lease. */
export class SharedRun implements LeaseObserver {
  readonly channel: Channel;
  readonly #state: ChannelState;
  readonly #settings: RunSettings;
  readonly #lease: LogLease;
  readonly #log: RunLog;
  #observation: LeaseObservation | undefined;
  #source: SourceRun | undefined;
  /** Continues the run if its lease expires. */
  #successor: RunSource<unknown> | undefined;
  #recovering = false;
  #closing = false;
  #ended = false;
  /** This process does not know the run any more. */
  #forgotten = false;
  #releaseTimer: NodeJS.Timeout | undefined;

  constructor(settings: RunSettings, lease: LogLease) {
    const { log, terms, channelOptions } = settings;
    this.#settings = settings;
    this.#lease = lease;
    this.#log = new RunLog(log, lease, terms, () => this.#markEnded(terms.ttlMs));
    this.channel = new Channel({ ...channelOptions, log: this.#log });
    this.#state = stateOf(this.channel);
  }

  get source(): SourceRun | undefined {
    return this.#source?.running ? this.#source : undefined;
  }

  get closed(): boolean {
    return this.#state.closed;
  }

  get canTakeOver(): boolean {
    return this.#successor !== undefined && !this.#state.closed;
  }

  /** Asks for the lease. @returns a promise of `false` if the key has no run */
  async open(purpose: LeasePurpose, source?: RunSource<unknown>): Promise<boolean> {
    const state = await this.#request(purpose);
    if (state.kind === 'none') return false;
    if (state.kind === 'ended') this.onEnded(state.remainingMs);
    else if (state.kind === 'expired') this.onExpired(state.hasSuccessor);
    else if (state.kind === 'granted' && source !== undefined) await this.#run(source, state.grant);
    return true;
  }

  allowTakeover(source: RunSource<unknown>): void {
    this.#successor = source;
  }

  /** Ends the run in every process. @returns a promise of `false` if it has ended already */
  async stop(value: unknown): Promise<boolean> {
    const ended = await this.#log.end(this.#state.endRecord(value));
    this.#source?.cancel();
    return ended;
  }

  /**
   * Gives the lease up and ends the subscribers of this process.
   *
   * @param grace resolves when the cleanup of the source has had its time
   */
  async close(grace: Promise<void>): Promise<void> {
    const canContinue = this.#successor !== undefined;
    this.#closing = true;
    this.#successor = undefined;
    const isRunning = this.source !== undefined;
    this.#source?.cancel(abortError('ERR_SSE_CLOSING'));
    // Until then the lease is renewed: no other process may start the source while this one still runs it.
    await Promise.race([this.#source?.settled, grace]);
    const released = await this.#release(canContinue);
    this.#forget();
    if (isRunning && !released) this.#state.failHere(shutDownError());
    else await this.channel.close();
  }

  onDeposed(): void {
    this.#log.grant = undefined;
    this.#source?.cancel(abortError('ERR_SSE_RUN_LOST'));
  }

  onExpired(hasSuccessor: boolean): void {
    if (this.#recovering || (!this.canTakeOver && hasSuccessor)) return;
    this.#recovering = true;
    // If the log is unavailable, the next check of the lease calls this again.
    this.#recover()
      .catch(() => undefined)
      .finally(() => {
        this.#recovering = false;
      });
  }

  onEnded(remainingMs: number): void {
    this.#markEnded(remainingMs);
    this.#source?.cancel();
  }

  onGone(): void {
    this.#log.grant = undefined;
    this.#source?.cancel(abortError('ERR_SSE_RUN_LOST'));
    this.#state.failHere(lostError());
    this.#forget();
  }

  async #request(purpose: LeasePurpose): Promise<LeaseState> {
    const { terms } = this.#settings;
    const state = await this.#lease.request({ purpose, terms, observer: this });
    const observation = state.kind === 'granted' ? state.grant : undefined;
    this.#observe('observation' in state ? state.observation : observation);
    return state;
  }

  #observe(observation: LeaseObservation | undefined): void {
    this.#observation?.close();
    this.#observation = observation;
  }

  async #run(source: RunSource<unknown>, grant: LeaseGrant): Promise<void> {
    const { lastId } = grant;
    this.#log.grant = grant;
    const lastEvent = await this.#eventWith(lastId);
    // The lease may be lost meanwhile, or the runs closed.
    if (this.#log.grant !== grant || this.#state.closed) return;
    const onEnded = () => this.#onSourceEnded();
    this.#source = this.#state.start(source, { ttlMs: false, resume: { lastId, lastEvent }, onEnded });
    this.#settings.onStarted(this.#source);
  }

  /** Continues the run, or fails it if this process cannot. */
  async #recover(): Promise<void> {
    const successor = this.#successor;
    const state = await this.#request('takeover');
    if (this.#forgotten) {
      await this.#abandon(state);
      return;
    }
    if (state.kind === 'ended') this.onEnded(state.remainingMs);
    else if (state.kind === 'none') this.onGone();
    else if (state.kind === 'granted' && successor !== undefined) await this.#run(successor, state.grant);
    else if (state.kind === 'granted') await this.#fail(state.grant);
  }

  /** These runs were closed meanwhile. */
  async #abandon(state: LeaseState): Promise<void> {
    this.#observe(undefined);
    if (state.kind === 'granted') await state.grant.release(recordOf(lostError()));
  }

  async #fail(grant: LeaseGrant): Promise<void> {
    this.#log.grant = grant;
    await this.#state.fail(lostError());
  }

  /** The last entry was appended. The result is retained, so the run stays known for a while. */
  #markEnded(remainingMs: number): void {
    if (this.#ended || this.#forgotten) return;
    this.#ended = true;
    this.#log.grant = undefined;
    this.#observe(undefined);
    const release = () => this.#forget();
    this.#releaseTimer = outsideRequests(() => setTimeout(release, Math.max(1, remainingMs)).unref());
  }

  /** If the source was cancelled before the run has ended, such as by `channel.close()`, no process must wait for it. */
  #onSourceEnded(): void {
    if (this.#log.grant === undefined || this.#closing) return;
    void this.#release().then(() => this.#forget());
  }

  /** @returns a promise of whether another process can take over; `undefined` if this one does not hold the lease */
  async #release(canContinue = false): Promise<boolean | undefined> {
    const { grant } = this.#log;
    if (grant === undefined) return undefined;
    this.#log.grant = undefined;
    try {
      return await grant.release(recordOf(shutDownError()), canContinue);
    } catch {
      // The log is unavailable, so the lease expires.
      return undefined;
    }
  }

  #forget(): void {
    this.#forgotten = true;
    clearTimeout(this.#releaseTimer);
    this.#observe(undefined);
    this.#settings.onReleased(this);
  }

  async #eventWith(id: string): Promise<ServerSentEvent | undefined> {
    if (id === '') return undefined;
    let after = '';
    for (;;) {
      const { entries } = await this.#settings.log.read(after, PAGE_SIZE);
      const found = entries.find((entry) => entry.id === id);
      if (found !== undefined) return this.#state.eventOf(found);
      const last = entries.at(-1);
      if (last === undefined) return undefined;
      after = last.id;
    }
  }
}

function recordOf({ code, message }: SseError): EventRecord {
  return { kind: 'error', type: code, data: message, serialized: false };
}

function lostError(): SseError {
  const message =
    'The run was lost: the process that ran its source has died, was stopped, or was disconnected for longer than leaseMs.';
  return sseError('ERR_SSE_RUN_LOST', message);
}

export function shutDownError(): SseError {
  const message = 'The run was lost: the process that ran its source has closed its runs.';
  return sseError('ERR_SSE_RUN_LOST', message);
}
