import type { CloseOptions } from './options';

/** One open stream, as its registry sees it. */
export interface Retirable {
  /** Tells the stream to end within so many milliseconds. */
  retire(graceMs: number): void;
}

/** The open streams of one instance. */
export class Registry {
  readonly #open = new Set<Retirable>();
  /** Those that are to tell a stream that the instance closes. */
  readonly #timers = new Map<Retirable, NodeJS.Timeout>();
  #closing: Promise<void> | undefined;
  #allGone: (() => void) | undefined;

  get size(): number {
    return this.#open.size;
  }

  /** Whether {@link Registry.close} was called; never false again. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  add(stream: Retirable): void {
    this.#open.add(stream);
  }

  delete(stream: Retirable): void {
    this.#open.delete(stream);
    clearTimeout(this.#timers.get(stream));
    this.#timers.delete(stream);
    if (this.#open.size === 0) this.#allGone?.();
  }

  /**
   * Tells every stream to end, each at a random moment within `spreadMs`.
   *
   * @returns a promise, always the same, that resolves when the last stream is gone
   */
  close({ spreadMs, graceMs }: Required<CloseOptions>): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#allGone = resolve;
      if (this.#open.size === 0) resolve();
      for (const stream of this.#open) {
        // The open sockets keep the process alive, so the timer need not.
        const timer = setTimeout(() => stream.retire(graceMs), Math.random() * spreadMs).unref();
        this.#timers.set(stream, timer);
      }
    });
    return this.#closing;
  }
}
