import { outsideRequests } from '../async-context';

/** A connection that is kept alive. */
export interface KeepAliveTarget {
  /** The {@link KeepAlive.tick} at which bytes were last written. */
  writtenAt: number;
  /** Used by the {@link KeepAlive}. */
  slot: number;
  /** Writes a comment, unless bytes are already waiting. */
  keepAlive(): void;
}

/** Ticks per idle time; a comment is at most one tick late. */
const TICKS = 16;

/** More than one idle time: the first tick may have almost passed when the bytes were written. */
const DUE_TICKS = TICKS + 1;

/**
 * One timer for all connections with the same idle time. A connection only records the tick of its last write, so an event
 * costs no timer. Each connection is checked once per idle time and not at every tick: with 10,000 connections that was a
 * sixth of the cost of their comments (measured).
 */
export class KeepAlive {
  static readonly #byIdleMs = new Map<number, KeepAlive>();

  static after(idleMs: number): KeepAlive {
    const known = KeepAlive.#byIdleMs.get(idleMs);
    if (known !== undefined) return known;
    const created = new KeepAlive(idleMs);
    KeepAlive.#byIdleMs.set(idleMs, created);
    return created;
  }

  /** The number of times the timer has fired. */
  tick = 0;
  readonly #idleMs: number;
  /** The connections by the remainder of the tick at which each is checked; a set is created for the first of a slot. */
  readonly #wheel: Array<Set<KeepAliveTarget> | undefined> = [];
  #size = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  add(connection: KeepAliveTarget): void {
    connection.writtenAt = this.tick;
    this.#put(connection, this.tick);
    this.#size++;
    this.#timer ??= outsideRequests(() => this.#startTimer());
  }

  delete(connection: KeepAliveTarget): void {
    // Already removed; its slot may belong to a newer wheel.
    if (!this.#wheel[connection.slot]?.delete(connection) || --this.#size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    KeepAlive.#byIdleMs.delete(this.#idleMs);
  }

  #startTimer(): NodeJS.Timeout {
    return setInterval(() => this.#onTick(), Math.ceil(this.#idleMs / TICKS)).unref();
  }

  /** Checked when a whole number of {@link DUE_TICKS} has passed since `tick`. */
  #put(connection: KeepAliveTarget, tick: number): void {
    const slot = tick % DUE_TICKS;
    connection.slot = slot;
    this.#wheel[slot] ??= new Set();
    this.#wheel[slot].add(connection);
  }

  #onTick(): void {
    this.tick++;
    const due = this.#wheel[this.tick % DUE_TICKS];
    if (due === undefined) return;
    for (const connection of due) {
      if (this.tick - connection.writtenAt >= DUE_TICKS) connection.keepAlive();
      else if (due.delete(connection)) this.#put(connection, connection.writtenAt);
    }
  }
}
