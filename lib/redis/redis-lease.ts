import { randomUUID } from 'node:crypto';
import { endedError, type SseError, sseError } from '../errors';
import type { EventRecord } from '../format/record';
import type {
  LeaseGrant,
  LeaseObservation,
  LeaseRequest,
  LeaseState,
  LeaseTerms,
  LogLease,
} from '../log/log-lease';
import { FIRST } from './append-script';
import { APPEND_FENCED, END, REQUEST } from './lease-scripts';
import { LeaseEntry, type LeaseKeys, lifeOf, type RedisLeases } from './leases';
import type { RedisConnection } from './redis-connection';
import { type RedisStream, replyList, replyText, type StreamBounds } from './redis-stream';
import { Script } from './script';
import { siblingKey } from './slot';

const APPEND_SCRIPT = new Script(APPEND_FENCED);

/** How often a command is sent whose reply was lost. */
const ATTEMPTS = 3;

/** Milliseconds before it is sent again. */
const RETRY_MS = 100;

/** What the lease of a stream needs. */
export interface RedisLeaseOptions {
  readonly stream: RedisStream;
  readonly bounds: StreamBounds;
  readonly connection: RedisConnection;
  readonly leases: RedisLeases;
  /** The newest id that this process knows; new ids are greater, also if the run has begun anew. */
  readonly newest: () => string;
  /** Called with the id of each entry that this process has appended. */
  readonly onAppended: (id: string) => void;
  /** Called with the error of Redis if an entry was appended, but a later step was refused. */
  readonly onRefused: (error: string) => void;
}

/** The lease of the run that a stream stores. */
export class RedisLease implements LogLease {
  readonly #options: RedisLeaseOptions;
  readonly #keys: LeaseKeys;

  constructor(options: RedisLeaseOptions) {
    this.#options = options;
    const { key } = options.stream;
    this.#keys = { stream: key, lease: siblingKey(key, 'lease') };
  }

  async request({ purpose, terms, observer }: LeaseRequest): Promise<LeaseState> {
    const { leases } = this.#options;
    const sentAt = performance.now();
    const times = [String(lifeOf(terms)), String(terms.ttlMs)];
    const reply = await this.#send(REQUEST, purpose, ...times, leases.channel, randomUUID());
    const [kind, runId = '', detail = '', lastId = ''] = replyList(reply).map(replyText);
    if (kind === 'none') return { kind };
    if (kind === 'ended') return { kind, remainingMs: Number(detail) };
    const entry = new LeaseEntry(this.#keys, runId, terms, observer);
    if (kind === 'granted') entry.hold(detail, sentAt);
    leases.add(entry);
    if (kind === 'granted') {
      return { kind, grant: new RedisGrant({ ...this.#options, entry, token: detail, lastId }) };
    }
    const observation: LeaseObservation = { close: () => leases.delete(entry) };
    if (kind === 'held') return { kind, observation };
    return { kind: 'expired', hasSuccessor: detail === '1', observation };
  }

  async end(record: EventRecord, { ttlMs }: LeaseTerms): Promise<boolean> {
    const { stream, bounds, newest } = this.#options;
    const known = { newest: FIRST, floor: newest() };
    const values = [
      ...stream.appendArguments(bounds, known),
      ...stream.recordArguments(record),
      ...['', String(ttlMs), ''],
    ];
    return replyText(await this.#send(END, ...values)) === 'done';
  }

  /** Sends a command that may run twice, but does not wait for a Redis that is disconnected for long. */
  async #send(script: string, ...values: readonly string[]): Promise<unknown> {
    const { connection } = this.#options;
    const { stream, lease } = this.#keys;
    const command = ['EVAL', script, '2', stream, lease, ...values];
    for (let attempt = 1; ; attempt++) {
      try {
        return await connection.now((driver) => driver.send(stream, command));
      } catch (error) {
        if (attempt === ATTEMPTS || !(await connection.pause(RETRY_MS))) throw error;
      }
    }
  }
}

interface RedisGrantOptions extends RedisLeaseOptions {
  readonly entry: LeaseEntry;
  readonly token: string;
  readonly lastId: string;
}

/** A lease that this process holds. */
class RedisGrant implements LeaseGrant {
  readonly token: string;
  readonly lastId: string;
  readonly #options: RedisGrantOptions;
  /** The last append, whether it has succeeded or not. */
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;
  /** The last id of the run that this process knows. */
  #newest: string;

  constructor(options: RedisGrantOptions) {
    this.token = options.token;
    this.lastId = options.lastId;
    this.#newest = options.lastId === '' ? FIRST : options.lastId;
    this.#options = options;
  }

  append(record: EventRecord): Promise<string> {
    const sequence = ++this.#count;
    // One at a time: Redis knows the last append only, to which a repeated one is compared.
    const append = () => this.#whileHeld(() => this.#append(record, sequence));
    const id = this.#last.then(append, append);
    this.#last = id;
    return id;
  }

  async release(record: EventRecord, canContinue = false): Promise<boolean> {
    const { connection, entry } = this.#options;
    const mode = canContinue ? '2' : '1';
    const values = [...this.#argumentsOf(record), this.token, String(entry.terms.ttlMs), mode];
    const command = ['EVAL', END, '2', entry.keys.stream, entry.keys.lease, ...values];
    this.close();
    const reply = await connection.now((driver) => driver.send(entry.keys.stream, command));
    return replyText(reply) === 'released';
  }

  close(): void {
    const { leases, entry } = this.#options;
    leases.delete(entry);
  }

  /** Rejects when the lease is lost, also while Redis is disconnected. */
  #whileHeld<Result>(run: () => Promise<Result>): Promise<Result> {
    const { entry } = this.#options;
    if (!entry.isHeld(this.token)) return Promise.reject(lostError());
    return new Promise<Result>((resolve, reject) => {
      const remove = entry.whenLost(() => reject(lostError()));
      run().then(resolve, reject).finally(remove);
    });
  }

  async #append(record: EventRecord, sequence: number): Promise<string> {
    const { connection, entry, onAppended, onRefused } = this.#options;
    const { stream, lease } = entry.keys;
    const times = [String(lifeOf(entry.terms)), String(entry.terms.ttlMs)];
    const values = [...this.#argumentsOf(record), this.token, String(sequence), ...times];
    const reply = await connection.retrying(async (driver) =>
      entry.isHeld(this.token) ? APPEND_SCRIPT.run(driver, [stream, lease], values) : ['lost'],
    );
    const [state, id = '', refused = ''] = replyList(reply).map(replyText);
    if (state === 'appended') {
      if (refused !== '') onRefused(refused);
      this.#newest = id;
      onAppended(id);
      return id;
    }
    throw state === 'ended' ? endedError() : lostError();
  }

  /** A run knows only its own ids: what an earlier run of the key has appended is not lost. */
  #argumentsOf(record: EventRecord): string[] {
    const { stream, bounds, newest } = this.#options;
    const known = { newest: this.#newest, floor: newest() };
    return [...stream.appendArguments(bounds, known), ...stream.recordArguments(record)];
  }
}

function lostError(): SseError {
  return sseError(
    'ERR_SSE_RUN_LOST',
    'Cannot publish: this process has lost the lease of the run. Nothing was appended; end the source when its signal aborts.',
  );
}
