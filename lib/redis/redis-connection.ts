import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, SseError, sseError } from '../errors';
import type { CommandDriver, Connect, RedisDriver } from './drivers';
import { replyCode } from './reply-code';

/** A connection for commands that reconnects until it is closed: to one server, or to the nodes of a cluster. */
export interface RedisConnection {
  /** Whether Redis accepts commands. */
  readonly ready: boolean;
  /**
   * Sends a command once, or rejects immediately while Redis is disconnected. The commands of one caller reach Redis in
   * the order of the calls.
   *
   * @throws (rejects with) `SseError` `ERR_SSE_LOG_UNAVAILABLE`
   */
  now<Reply>(command: (driver: CommandDriver) => Promise<Reply>): Promise<Reply>;
  /**
   * Waits until Redis is connected, and sends the command again if its reply was lost. Only for commands that may run
   * twice.
   *
   * @throws (rejects with) `SseError` `ERR_SSE_LOG_UNAVAILABLE` after `close()`, or if Redis refuses the command itself
   */
  retrying<Reply>(command: (driver: CommandDriver) => Promise<Reply>): Promise<Reply>;
  /** Waits before a retry. @returns a promise of `false` if the connection is closed meanwhile */
  pause(ms: number): Promise<boolean>;
  /** Closes the connection for good, and rejects waiting commands. @returns the same promise each time */
  close(): Promise<void>;
}

/** Receives the messages and the state changes of a {@link NodeConnection}. */
export interface RedisConnectionListener {
  /** Redis is connected, for the first time or again. */
  onReady(driver: RedisDriver): void;
  /** The connection was lost, or an attempt to connect has failed. */
  onLost(error: unknown): void;
  onMessage?(channel: string, text: string): void;
  /** As {@link DriverListener.onMoved}. */
  onMoved?(channel: string | undefined): void;
}

/**
 * Milliseconds between pings. The operating system may need 15 minutes to detect an unreachable peer; until then,
 * subscribers would receive nothing and assume that nothing was published.
 */
export const HEARTBEAT_MS = 10_000;

const MAX_RETRY_MS = 2_000;

/** A connection that lasted longer than this resets the back-off, so that the next attempt follows within 25 ms. */
const STABLE_MS = 1_000;

/** The error codes of temporary states, in which a retry may succeed. After any other code, a retry would fail again. */
const TEMPORARY_CODES = new Set([
  'LOADING',
  'BUSY',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'READONLY',
  'MOVED',
  'ASK',
]);

/** The command was not sent, because the connection is lost. */
class NotSentError extends Error {}

/** It starts in CONNECTING, alternates between DISCONNECTED and READY, and ends in CLOSED. */
enum RedisConnectionState {
  /** The first attempt to connect is in progress. Every command waits. */
  CONNECTING,
  /** The connection was lost or could not be made; attempts follow until one succeeds. `now()` rejects. */
  DISCONNECTED,
  /** Redis accepts commands. */
  READY,
  /** Closed for good. Every command rejects. */
  CLOSED,
}

/** A connection to one server that reconnects until it is closed. Each attempt creates a new {@link RedisDriver}. */
export class NodeConnection implements RedisConnection {
  readonly #connect: Connect;
  readonly #listener: RedisConnectionListener;
  #state = RedisConnectionState.CONNECTING;
  /** The driver in use, or the one that is connecting. */
  #current: RedisDriver | undefined;
  /** The drivers that have not closed completely yet. */
  readonly #ending = new Set<Promise<unknown>>();
  /** The error of the lost connection, or of the last attempt to connect. */
  #cause: unknown;
  /** The number of attempts to reconnect since the last stable connection. */
  #attempts = 0;
  #readySince = 0;
  /** The driver that has not yet answered the latest ping, or was not ready at that time. */
  #unanswered: RedisDriver | undefined;
  /** Commands that wait for the result of the first attempt, in order. */
  #waitingForFirst: Array<() => void> = [];
  /** Commands that wait until Redis is connected, in order. */
  #waitingForReady: Array<() => void> = [];
  readonly #heartbeat: NodeJS.Timeout;
  /** Aborts the pauses before retries. */
  readonly #pauses = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(connect: Connect, listener: RedisConnectionListener, heartbeatMs = HEARTBEAT_MS) {
    this.#connect = connect;
    this.#listener = listener;
    setMaxListeners(0, this.#pauses.signal);
    this.#heartbeat = setInterval(() => this.#ping(), heartbeatMs).unref();
    this.#attemptConnection();
  }

  /** The driver to send commands with; `undefined` while Redis is not connected. */
  get driver(): RedisDriver | undefined {
    return this.#state === RedisConnectionState.READY ? this.#current : undefined;
  }

  get ready(): boolean {
    return this.driver !== undefined;
  }

  async now<Reply>(command: (driver: RedisDriver) => Promise<Reply>): Promise<Reply> {
    try {
      return await this.attempt(command);
    } catch (error) {
      throw publicError(error);
    }
  }

  /** As `now()`, but rejects with the error of the driver, for which {@link publicError} exists. */
  attempt<Reply>(command: (driver: RedisDriver) => Promise<Reply>): Promise<Reply> {
    if (this.#state !== RedisConnectionState.CONNECTING) return this.#sendOnce(command);
    return new Promise((resolve) => this.#waitingForFirst.push(() => resolve(this.#sendOnce(command))));
  }

  async retrying<Reply>(command: (driver: RedisDriver) => Promise<Reply>): Promise<Reply> {
    for (;;) {
      const driver = await this.#whenReady();
      try {
        return await command(driver);
      } catch (error) {
        const permanent = permanentError(error);
        if (permanent !== undefined) throw permanent;
        if (!(await this.pause(50 + Math.random() * 100))) throw closedLogsError();
      }
    }
  }

  pause(ms: number): Promise<boolean> {
    // Only close() aborts the signal.
    return sleep(ms, true, { ref: false, signal: this.#pauses.signal }).catch(() => false);
  }

  /** Ends a driver that cannot be used any more, and reconnects. Does nothing if the driver is not the current one. */
  drop(driver: RedisDriver, error: unknown): void {
    if (this.#current !== driver) return;
    this.#current = undefined;
    this.#end(driver);
    this.#reconnect(error);
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  async #shutDown(): Promise<void> {
    this.#state = RedisConnectionState.CLOSED;
    clearInterval(this.#heartbeat);
    const driver = this.#current;
    // Cleared before the driver ends, so that its end is not treated as a lost connection.
    this.#current = undefined;
    if (driver !== undefined) this.#end(driver);
    this.#pauses.abort();
    this.#resumeAll();
    await Promise.all(this.#ending);
  }

  #attemptConnection(): void {
    try {
      const driver = this.#connect({
        onMessage: (channel, text) => this.#listener.onMessage?.(channel, text),
        onMoved: (channel) => this.#listener.onMoved?.(channel),
        onEnd: (error) => this.drop(driver, error),
      });
      this.#current = driver;
      driver.ready.then(
        () => this.#open(driver),
        (error: unknown) => this.drop(driver, error),
      );
    } catch (error) {
      this.#reconnect(error);
    }
  }

  #open(driver: RedisDriver): void {
    if (this.#current !== driver) return;
    this.#state = RedisConnectionState.READY;
    this.#readySince = performance.now();
    this.#unanswered = undefined;
    this.#resumeAll();
    this.#listener.onReady(driver);
  }

  #reconnect(error: unknown): void {
    if (this.#wasStable()) this.#attempts = 0;
    this.#state = RedisConnectionState.DISCONNECTED;
    this.#cause = error;
    for (const resume of this.#waitingForFirst.splice(0)) resume();
    this.#listener.onLost(error);
    void this.#connectLater();
  }

  #wasStable(): boolean {
    return this.#state === RedisConnectionState.READY && performance.now() - this.#readySince > STABLE_MS;
  }

  async #connectLater(): Promise<void> {
    const delayMs = Math.min(25 * 2 ** this.#attempts++, MAX_RETRY_MS) * (0.5 + Math.random() / 2);
    if (await this.pause(delayMs)) this.#attemptConnection();
  }

  #end(driver: RedisDriver): void {
    const ended = () => this.#ending.delete(ending);
    const ending: Promise<unknown> = driver.end().then(ended, ended);
    this.#ending.add(ending);
  }

  /** Drops a driver that has not answered a ping when the next is due, or is not ready after two intervals. */
  #ping(): void {
    const driver = this.#current;
    if (driver === undefined) return;
    if (this.#unanswered === driver) {
      this.drop(driver, new Error('Redis has not answered in time.'));
      return;
    }
    this.#unanswered = driver;
    if (this.driver !== undefined) this.#sendPing(driver);
  }

  /** Only a reply of Redis is an answer: some clients reject a command themselves, although the connection is dead. */
  #sendPing(driver: RedisDriver): void {
    const answered = () => {
      if (this.#unanswered === driver) this.#unanswered = undefined;
    };
    driver.ping().then(answered, (error: unknown) => {
      if (replyCode(error) !== undefined) answered();
    });
  }

  async #sendOnce<Reply>(command: (driver: RedisDriver) => Promise<Reply>): Promise<Reply> {
    const { driver } = this;
    if (driver === undefined) throw this.#notSentError();
    try {
      return await command(driver);
    } catch (error) {
      // The primary has become a replica; its host name may lead to the new primary.
      if (replyCode(error) === 'READONLY') this.drop(driver, error);
      throw error;
    }
  }

  #notSentError(): Error {
    return this.#state === RedisConnectionState.CLOSED ? closedLogsError() : notSentError(this.#cause);
  }

  async #whenReady(): Promise<RedisDriver> {
    while (this.driver === undefined) {
      if (this.#state === RedisConnectionState.CLOSED) throw closedLogsError();
      await new Promise<void>((resolve) => this.#waitingForReady.push(resolve));
    }
    return this.driver;
  }

  #resumeAll(): void {
    for (const resume of this.#waitingForFirst.splice(0)) resume();
    for (const resume of this.#waitingForReady.splice(0)) resume();
  }
}

/** The error of a command that must not be sent again; `undefined` if it may be, provided that it may run twice. */
export function permanentError(error: unknown): SseError | undefined {
  if (error instanceof SseError) return error;
  const code = replyCode(error);
  return code === undefined || TEMPORARY_CODES.has(code) ? undefined : refusedError(error);
}

export function notSentError(cause: unknown): Error {
  return new NotSentError('The connection to Redis is lost.', { cause });
}

/** Converts an error of a command that was sent once. */
export function publicError(error: unknown): SseError {
  if (error instanceof SseError) return error;
  if (error instanceof NotSentError) return disconnectedError(error.cause);
  return replyCode(error) === undefined ? outcomeUnknownError(error) : refusedError(error);
}

function disconnectedError(cause: unknown): SseError {
  const message =
    'Cannot publish: Redis is DISCONNECTED. Nothing was appended; publish again after it has reconnected.';
  return sseError('ERR_SSE_LOG_UNAVAILABLE', message, { cause });
}

function outcomeUnknownError(cause: unknown): SseError {
  const message = 'Redis disconnected before it answered: it is unknown whether the event was appended.';
  return sseError('ERR_SSE_LOG_UNAVAILABLE', message, { cause });
}

export function refusedError(cause: unknown): SseError {
  const message = `Redis has refused the command: ${messageOf(cause)}`;
  return sseError('ERR_SSE_LOG_UNAVAILABLE', message, { cause });
}

export function closedLogsError(): SseError {
  return sseError(
    'ERR_SSE_LOG_UNAVAILABLE',
    'Cannot use the log: its redisLogs() is CLOSED. Call redisLogs() again and use its logs.',
  );
}
