import type { CloseOptions } from './options';

/** An open stream, as its registry uses it. */
export interface Closable {
  /** Aborts the stream's signal, and ends the stream within `graceMs`. */
  shutdown(graceMs: number): void;
}

/** The open streams of one instance. */
export class Registry {
  readonly #open = new Set<Closable>();
  /** The timers that shut down each stream after `close()`. */
  readonly #timers = new Map<Closable, NodeJS.Timeout>();
  #closing: Promise<void> | undefined;
  #resolveClosing: (() => void) | undefined;

  get size(): number {
    return this.#open.size;
  }

  /** Whether {@link Registry.close} was called; it stays true. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  add(stream: Closable): void {
    this.#open.add(stream);
  }

  delete(stream: Closable): void {
    this.#open.delete(stream);
    clearTimeout(this.#timers.get(stream));
    this.#timers.delete(stream);
    if (this.#open.size === 0) this.#resolveClosing?.();
  }

  /**
   * Shuts down every stream, each at a random moment within `spreadMs`.
   *
   * @returns always the same promise, which resolves when the last stream has closed
   */
  close({ spreadMs, graceMs }: Required<CloseOptions>): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#resolveClosing = resolve;
      if (this.#open.size === 0) resolve();
      for (const stream of this.#open) {
        // The open sockets keep the process alive, so the timer need not.
        const timer = setTimeout(() => stream.shutdown(graceMs), Math.random() * spreadMs).unref();
        this.#timers.set(stream, timer);
      }
    });
    return this.#closing;
  }
}
