import type { CloseOptions } from '../options';

/** One open stream, as its registry sees it. */
export interface Retirable {
  /** Tells the stream to end within so many milliseconds. */
  retire(graceMs: number): void;
}

/** The open streams of one instance. */
export class Registry {
  /** Each with the timer that is to tell it that the instance closes. */
  readonly #open = new Map<Retirable, NodeJS.Timeout | undefined>();
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
    this.#open.set(stream, undefined);
  }

  delete(stream: Retirable): void {
    clearTimeout(this.#open.get(stream));
    this.#open.delete(stream);
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
      for (const stream of this.#open.keys()) {
        // The open sockets keep the process alive, so the timer need not.
        const timer = setTimeout(() => stream.retire(graceMs), Math.random() * spreadMs).unref();
        this.#open.set(stream, timer);
      }
    });
    return this.#closing;
  }
}
