import type { AbortCode } from '../abort';
import type { OpenStream } from './diagnostics';
import type { CloseOptions } from './options';

/** An open stream, as its registry uses it. */
export interface Closable {
  /** Whether `drainMs` applies to it. */
  readonly drains: boolean;
  /** The key under which it counts for `maxStreamsPerKey`. */
  readonly key: string | undefined;
  /** Aborts the stream's signal with this code, and ends the stream within `graceMs`. */
  shutdown(graceMs: number, code: AbortCode): void;
  /** The stream for `sse.streams()`. */
  readonly view: OpenStream;
}

/** The open streams of one instance. */
export class Registry {
  readonly #open = new Set<Closable>();
  /** The number of open streams by their key; only with keys. */
  readonly #sizes = new Map<string, number>();
  /** The timers that shut down each stream after `close()`. */
  readonly #timers = new Map<Closable, NodeJS.Timeout>();
  #closing: Promise<void> | undefined;
  #resolveClosing: (() => void) | undefined;

  get size(): number {
    return this.#open.size;
  }

  /** The number of open streams of a key. */
  sizeOf(key: string): number {
    return this.#sizes.get(key) ?? 0;
  }

  /** The open streams; one that closes during the iteration is skipped. */
  *streams(): IterableIterator<OpenStream> {
    for (const stream of this.#open) yield stream.view;
  }

  /** Whether {@link Registry.close} was called; it stays true. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  add(stream: Closable): void {
    this.#open.add(stream);
    if (stream.key !== undefined) this.#sizes.set(stream.key, this.sizeOf(stream.key) + 1);
  }

  delete(stream: Closable): void {
    if (!this.#open.delete(stream)) return;
    if (stream.key !== undefined) this.#countDown(stream.key);
    clearTimeout(this.#timers.get(stream));
    this.#timers.delete(stream);
    if (this.#open.size === 0) this.#resolveClosing?.();
  }

  /**
   * Shuts down every stream, each at a random moment within `spreadMs`; those of fetch clients after `drainMs`.
   *
   * @returns always the same promise, which resolves when the last stream has closed
   */
  close({ spreadMs, graceMs, drainMs }: Required<CloseOptions>): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#resolveClosing = resolve;
      if (this.#open.size === 0) resolve();
      for (const stream of this.#open) {
        // The open sockets keep the process alive, so the timer need not.
        const ms = (stream.drains ? drainMs : 0) + Math.random() * spreadMs;
        const timer = setTimeout(() => stream.shutdown(graceMs, 'ERR_SSE_CLOSING'), ms).unref();
        this.#timers.set(stream, timer);
      }
    });
    return this.#closing;
  }

  #countDown(key: string): void {
    const size = this.sizeOf(key) - 1;
    if (size > 0) this.#sizes.set(key, size);
    else this.#sizes.delete(key);
  }
}
