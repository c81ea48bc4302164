import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SseError } from '../errors';
import type { Dial } from './address';
import type { Line } from './drivers';

/** What its owner does when Redis comes and goes. */
export interface ConnectionListener {
  onReady(line: Line): void;
  onLost(error: unknown): void;
  onMessage(channel: string, text: string): void;
}

/**
 * The operating system may take a quarter of an hour to notice that the other side has vanished; subscribers would hear
 * nothing for so long, and believe that nothing happens.
 */
const HEARTBEAT_MS = 10_000;

const MAX_RETRY_MS = 2_000;

/** A line that has held so long was a good one: the next attempt comes at once. */
const GOOD_LINE_MS = 1_000;

/** What Redis answers while it is not itself for a moment. Other refusals would be the same the next time. */
const PASSING = new Set(['LOADING', 'BUSY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'READONLY']);

/** It goes to and fro between AWAY and READY; the first and the last it leaves and enters once. */
enum State {
  CONNECTING,
  AWAY,
  READY,
  CLOSED,
}

/** A connection that is there for ever: one {@link Line} after the other. */
export class RedisConnection {
  readonly #dial: Dial;
  readonly #listener: ConnectionListener;
  #state = State.CONNECTING;
  /** The one in use, or the next one on its way. */
  #line: Line | undefined;
  /** Those lines that are not quite gone yet. */
  readonly #ending = new Set<Promise<unknown>>();
  /** Why it is away. */
  #cause: unknown;
  #attempts = 0;
  #readySince = 0;
  /** The line that has not answered to the last heartbeat. */
  #silent: Line | undefined;
  /** In their order: what waits for the first line or the first failure, and what waits for a line. */
  #hasty: Array<() => void> = [];
  #patient: Array<() => void> = [];
  readonly #heartbeat: NodeJS.Timeout;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(dial: Dial, listener: ConnectionListener, heartbeatMs = HEARTBEAT_MS) {
    this.#dial = dial;
    this.#listener = listener;
    setMaxListeners(0, this.#closing.signal);
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs).unref();
    this.#connect();
  }

  /** The line, while there is one that can be used. */
  get line(): Line | undefined {
    return this.#state === State.READY ? this.#line : undefined;
  }

  /**
   * Sends at once or not at all. Commands of one caller reach Redis in the order of the calls.
   *
   * @throws (rejects with) `SseError` `ERR_SSE_LOG_UNAVAILABLE`
   */
  now<Reply>(command: (line: Line) => Promise<Reply>): Promise<Reply> {
    if (this.#state !== State.CONNECTING) return this.#attempt(command);
    return new Promise((resolve) => this.#hasty.push(() => resolve(this.#attempt(command))));
  }

  /**
   * Waits for Redis, and asks again if the answer was lost: only for what may be asked twice.
   *
   * @throws (rejects with) `SseError` `ERR_SSE_LOG_UNAVAILABLE` once it is closed, or if Redis refuses the command itself
   */
  async patiently<Reply>(command: (line: Line) => Promise<Reply>): Promise<Reply> {
    for (;;) {
      const line = await this.#whenReady();
      try {
        return await command(line);
      } catch (error) {
        const code = replyCode(error);
        if (code !== undefined && !PASSING.has(code)) throw refused(error);
        if (!(await this.pause(50 + Math.random() * 100))) throw closed();
      }
    }
  }

  /** Before something is tried again. @returns a promise of `false` if it is closed meanwhile */
  pause(ms: number): Promise<boolean> {
    // Aborted, it has only been closed.
    return sleep(ms, true, { ref: false, signal: this.#closing.signal }).catch(() => false);
  }

  /** This line is of no use any more. */
  lose(line: Line, error: unknown): void {
    if (this.#line !== line) return;
    this.#line = undefined;
    this.#end(line);
    this.#retry(error);
  }

  /** Ends it for good, and rejects what waits. @returns the same promise each time */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#state = State.CLOSED;
    clearInterval(this.#heartbeat);
    const line = this.#line;
    // First, so that its end is not taken for a loss.
    this.#line = undefined;
    if (line !== undefined) this.#end(line);
    this.#closing.abort();
    this.#release();
    await Promise.all(this.#ending);
  }

  #connect(): void {
    try {
      const line = this.#dial({
        onMessage: (channel, text) => this.#listener.onMessage(channel, text),
        onEnd: (error) => this.lose(line, error),
      });
      this.#line = line;
      line.ready.then(
        () => this.#open(line),
        (error: unknown) => this.lose(line, error),
      );
    } catch (error) {
      this.#retry(error);
    }
  }

  #open(line: Line): void {
    if (this.#line !== line) return;
    this.#state = State.READY;
    this.#readySince = performance.now();
    this.#silent = undefined;
    this.#release();
    this.#listener.onReady(line);
  }

  #retry(error: unknown): void {
    if (this.#state === State.READY && performance.now() - this.#readySince > GOOD_LINE_MS)
      this.#attempts = 0;
    this.#state = State.AWAY;
    this.#cause = error;
    for (const go of this.#hasty.splice(0)) go();
    this.#listener.onLost(error);
    void this.#connectLater();
  }

  async #connectLater(): Promise<void> {
    const delayMs = Math.min(25 * 2 ** this.#attempts++, MAX_RETRY_MS) * (0.5 + Math.random() / 2);
    if (await this.pause(delayMs)) this.#connect();
  }

  #end(line: Line): void {
    const ended = () => this.#ending.delete(ending);
    const ending: Promise<unknown> = line.end().then(ended, ended);
    this.#ending.add(ending);
  }

  /** A line that is not ready after two heartbeats, or has not answered to one when the next is due, is lost. */
  #beat(): void {
    const line = this.#line;
    if (line === undefined) return;
    if (this.#silent === line) return this.lose(line, new Error('Redis has not answered for too long.'));
    this.#silent = line;
    if (this.line === undefined) return;
    const answered = () => {
      if (this.#silent === line) this.#silent = undefined;
    };
    line.sendToAll(['PING']).then(answered, answered);
  }

  async #attempt<Reply>(command: (line: Line) => Promise<Reply>): Promise<Reply> {
    const { line } = this;
    if (line === undefined) throw this.#state === State.CLOSED ? closed() : away(this.#cause);
    try {
      return await command(line);
    } catch (error) {
      const code = replyCode(error);
      // The primary has become a replica: its name may lead to the new one.
      if (code === 'READONLY') this.lose(line, error);
      throw code === undefined ? inDoubt(error) : refused(error);
    }
  }

  async #whenReady(): Promise<Line> {
    while (this.line === undefined) {
      if (this.#state === State.CLOSED) throw closed();
      await new Promise<void>((resolve) => this.#patient.push(resolve));
    }
    return this.line;
  }

  #release(): void {
    for (const go of this.#hasty.splice(0)) go();
    for (const go of this.#patient.splice(0)) go();
  }
}

/** The code of what Redis itself has answered; `undefined` if it has not. */
function replyCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !isReply(error)) return undefined;
  return error.message.split(' ', 1)[0];
}

/** By the name of its class, in ioredis and in node-redis, for we have neither's. */
function isReply(error: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(error);
  if (prototype === null) return false;
  return ['ReplyError', 'ErrorReply'].includes(prototype.constructor.name) || isReply(prototype);
}

function away(cause: unknown): SseError {
  const message = 'Cannot publish: Redis is away. Nothing was appended; publish again when it is back.';
  return new SseError('ERR_SSE_LOG_UNAVAILABLE', message, { cause });
}

function inDoubt(cause: unknown): SseError {
  const message = 'Redis went away before it answered: it is unknown whether the event was appended.';
  return new SseError('ERR_SSE_LOG_UNAVAILABLE', message, { cause });
}

function refused(cause: unknown): SseError {
  const message = `Redis refuses the command: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new SseError('ERR_SSE_LOG_UNAVAILABLE', message, { cause });
}

export function closed(): SseError {
  return new SseError(
    'ERR_SSE_LOG_UNAVAILABLE',
    'Cannot use the log: its redisLogs() is CLOSED. Make new ones.',
  );
}
