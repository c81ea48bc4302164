import { clearTimeout, setTimeout } from './clock';

/**
 * A wait that `takes` events gets them after all earlier waits of that kind. A wait that `observes` takes no events, and fails
 * when the response ends. A wait that `outlasts` takes no events, and continues after the end of the response.
 */
export type WaitKind = 'takes' | 'observes' | 'outlasts';

/** The members of a stream that its waits use. */
export interface AwaitedStream {
  /** Milliseconds after which a wait fails. */
  readonly timeoutMs: number;
  /** Why a wait has timed out, as the end of a sentence. */
  timeoutReason(): string;
  /** Why nothing more can be received, as the end of a sentence; `undefined` while something can. */
  endReason(): string | undefined;
  /**
   * Completes the error of a failed wait.
   *
   * @param expected what the wait expected, as the object of a sentence
   * @param callSite an error that was made where the wait began
   */
  waitError(expected: string, reason: string, callSite: Error): Error;
}

/** One wait on a stream. */
interface Wait {
  readonly kind: WaitKind;
  /** @returns whether the wait has resolved */
  tryResolve(): boolean;
  /** @param reason the end of a sentence, or an error that a predicate has thrown */
  fail(reason: string | Error): void;
}

/** All waits on one stream, in the order in which they began. */
export class Waits {
  readonly #stream: AwaitedStream;
  readonly #waits = new Set<Wait>();

  constructor(stream: AwaitedStream) {
    this.#stream = stream;
  }

  /**
   * Begins a wait.
   *
   * @param expected what the wait expects, as the object of a sentence in its error
   * @param find returns the value of the wait, or `undefined` if it is not available yet
   */
  begin<Value>(kind: WaitKind, expected: string, find: () => Value | undefined): Promise<Value> {
    const callSite = new Error();
    const promise = new Promise<Value>((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#waits.delete(wait);
      };
      const wait: Wait = {
        kind,
        tryResolve: () => {
          const found = find();
          if (found === undefined) return false;
          settle();
          resolve(found);
          return true;
        },
        fail: (reason) => {
          settle();
          reject(reason instanceof Error ? reason : this.#stream.waitError(expected, reason, callSite));
        },
      };
      const timer = this.#startTimeout(wait);
      this.#waits.add(wait);
    });
    // A test that has failed elsewhere may never await the promise; its rejection must not end the process.
    promise.catch(() => undefined);
    this.check();
    return promise;
  }

  /** Resolves the waits whose value is available, and fails those whose value can no longer be received. */
  check(): void {
    const endReason = this.#stream.endReason();
    let isTaking = false;
    for (const wait of this.#waits) {
      // Events belong to the earliest wait that takes them, even while it has not received all of its own.
      if ((wait.kind === 'takes' && isTaking) || trySettle(wait)) continue;
      if (endReason !== undefined && wait.kind !== 'outlasts') wait.fail(endReason);
      else isTaking ||= wait.kind === 'takes';
    }
  }

  /** Not unref'd: during a wait on a stalled stream, only this timer keeps the process alive to report the failure. */
  #startTimeout(wait: Wait): NodeJS.Timeout {
    return setTimeout(() => {
      wait.fail(this.#stream.timeoutReason());
      this.check();
    }, this.#stream.timeoutMs);
  }
}

/** @returns whether the wait has settled */
function trySettle(wait: Wait): boolean {
  try {
    return wait.tryResolve();
  } catch (error) {
    // A predicate belongs to the test, and may throw.
    wait.fail(error as Error);
    return true;
  }
}
