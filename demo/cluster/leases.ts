import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SseError } from 'express-yield';

/** So long after a holder has died another process goes on. */
const LEASE_MS = 2_000;
const RENEW_MS = LEASE_MS / 4;

const RENEW = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

/** What is asked of a client of `redis`. */
export interface Commands {
  set(key: string, value: string, options: SetOptions): Promise<string | null>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

interface SetOptions {
  readonly condition: 'NX';
  readonly expiration: { readonly type: 'PX'; readonly value: number };
}

/** A task that one process at a time does; it finds out by itself what is left to do. */
export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * Has tasks done by one of many processes: by the one that holds the task's lease, a key in Redis that expires unless it
 * is renewed. When that process dies, another takes the lease and goes on.
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
   * Does the task as soon as this process is the one to do it.
   *
   * @param task its signal aborts when the lease is lost, and when these leases are closed
   * @returns a promise that resolves when the task is done, here or elsewhere, or these leases are closed
   */
  async inTurn(name: string, task: Task): Promise<void> {
    const done = this.#untilDone(this.#prefix + name, task);
    this.#tasks.add(done);
    await done.finally(() => this.#tasks.delete(done));
  }

  /** Stops the tasks of this process, and leaves them to the others at once. */
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
