import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SseError } from 'express-yield';

/** The longest time from the exit of a holder until another process takes over. */
const LEASE_MS = 2_000;
const RENEW_MS = LEASE_MS / 4;

const RENEW = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

/** The part of a `redis` client that is used here. */
export interface Commands {
  set(key: string, value: string, options: SetOptions): Promise<string | null>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

interface SetOptions {
  readonly condition: 'NX';
  readonly expiration: { readonly type: 'PX'; readonly value: number };
}

/** A task that one process does at a time. It must find out what is left to do, because another process may have started it. */
export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * Runs each task in one of many processes: in the one that holds the task's lease, a key in Redis that expires unless it
 * is renewed. When that process exits, another takes the lease and continues.
 */
export class Leases {
  readonly #client: Commands;
  readonly #prefix: string;
  readonly #closing = new AbortController();
  readonly #tasks = new Set<Promise<void>>();

  constructor(client: Commands, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  /**
   * Runs the task as soon as this process gets the lease.
   *
   * @param task its signal aborts when the lease is lost and when these leases are closed
   * @returns a promise that resolves when the task is done, here or elsewhere, or these leases are closed
   */
  async inTurn(name: string, task: Task): Promise<void> {
    const done = this.#untilDone(this.#prefix + name, task);
    this.#tasks.add(done);
    await done.finally(() => this.#tasks.delete(done));
  }

  /** Stops the tasks of this process and releases their leases, so that other processes can continue immediately. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#tasks);
  }

  async #untilDone(key: string, task: Task): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted && !(await this.#try(key, task))) {
      await sleep(RENEW_MS, null, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** @returns whether the task is done */
  async #try(key: string, task: Task): Promise<boolean> {
    const holder = randomUUID();
    const options = { condition: 'NX', expiration: { type: 'PX', value: LEASE_MS } } as const;
    if ((await this.#client.set(key, holder, options)) === null) return false;
    const lost = new AbortController();
    const signal = AbortSignal.any([lost.signal, this.#closing.signal]);
    const renewal = setInterval(() => this.#renew(key, holder, lost), RENEW_MS);
    try {
      await task(signal);
      return true;
    } catch (error) {
      if (signal.aborted || (error instanceof SseError && error.code === 'ERR_SSE_LOG_UNAVAILABLE'))
        return false;
      throw error;
    } finally {
      clearInterval(renewal);
      await this.#client.eval(RELEASE, { keys: [key], arguments: [holder] });
    }
  }

  async #renew(key: string, holder: string, lost: AbortController): Promise<void> {
    const renewed = await this.#client
      .eval(RENEW, { keys: [key], arguments: [holder, String(LEASE_MS)] })
      .catch(() => 0);
    if (renewed !== 1) lost.abort();
  }
}
