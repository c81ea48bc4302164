/** What a {@link KeepAlive} looks after. */
export interface Kept {
  /** The {@link KeepAlive.tick} at which bytes were last written. */
  writtenAt: number;
  /** Writes a comment, unless bytes are waiting already. */
  keepAlive(): void;
}

/** Ticks in one idle time; a comment comes at most one of them late. */
const TICKS = 16;

/**
 * One timer for all connections that want a comment after the same idle time. A connection only notes the tick at
 * which it writes, so that an event costs no timer.
 */
export class KeepAlive {
  static readonly #byIdleMs = new Map<number, KeepAlive>();

  static after(idleMs: number): KeepAlive {
    const known = KeepAlive.#byIdleMs.get(idleMs);
    if (known !== undefined) return known;
    const made = new KeepAlive(idleMs);
    KeepAlive.#byIdleMs.set(idleMs, made);
    return made;
  }

  /** How often the timer has fired. */
  tick = 0;
  readonly #idleMs: number;
  readonly #kept = new Set<Kept>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  add(connection: Kept): void {
    connection.writtenAt = this.tick;
    this.#kept.add(connection);
    this.#timer ??= setInterval(() => this.#onTick(), Math.ceil(this.#idleMs / TICKS)).unref();
  }

  delete(connection: Kept): void {
    // Deleted before, it may be in the hands of a successor.
    if (!this.#kept.delete(connection) || this.#kept.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    KeepAlive.#byIdleMs.delete(this.#idleMs);
  }

  #onTick(): void {
    this.tick++;
    for (const connection of this.#kept) {
      // More than so many ticks: the first of them may have been almost over when the bytes were written.
      if (this.tick - connection.writtenAt > TICKS) connection.keepAlive();
    }
  }
}
