import { clearTimeout, setTimeout } from './clock';

/** Those that take events do so one after another; the others only look; one that outlasts the response waits on after it. */
export type WaitKind = 'takes' | 'looks' | 'outlasts';

/** The stream, as its waits see it. */
export interface AwaitedStream {
  /** Milliseconds after which a wait fails. */
  readonly timeoutMs: number;
  whyLate(): string;
  /** `undefined` as long as something may come. */
  whyOver(): string | undefined;
  /** @param begun where the wait began; to be filled in */
  disappointed(what: string, why: string, begun: Error): Error;
}

/** Something that is waited for. */
interface Wait {
  readonly kind: WaitKind;
  /** @returns whether what it waits for has come */
  look(): boolean;
  /** @param why the end of a sentence, or an error that is the test's own */
  fail(why: string | Error): void;
}

/** All that is waited for on one stream, in the order in which the waits began. */
export class Waits {
  readonly #stream: AwaitedStream;
  readonly #waits = new Set<Wait>();

  constructor(stream: AwaitedStream) {
    this.#stream = stream;
  }

  /**
   * @param what the object of the sentence with which it fails
   * @param find gives `undefined` as long as it has not come
   */
  begin<Value>(kind: WaitKind, what: string, find: () => Value | undefined): Promise<Value> {
    const begun = new Error();
    const promise = new Promise<Value>((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#waits.delete(wait);
      };
      const wait: Wait = {
        kind,
        look: () => {
          const found = find();
          if (found === undefined) return false;
          settle();
          resolve(found);
          return true;
        },
        fail: (why) => {
          settle();
          reject(why instanceof Error ? why : this.#stream.disappointed(what, why, begun));
        },
      };
      const timer = this.#giveUpLater(wait);
      this.#waits.add(wait);
    });
    // Who awaits it hears of the error; one that nobody awaits, as in a test that has failed elsewhere, ends no process.
    promise.catch(() => undefined);
    this.check();
    return promise;
  }

  /** Looks for each wait whether what it waits for has come, or can no longer come. */
  check(): void {
    const over = this.#stream.whyOver();
    let isHeld = false;
    for (const wait of this.#waits) {
      if ((wait.kind === 'takes' && isHeld) || hasCome(wait)) continue;
      if (over !== undefined && wait.kind !== 'outlasts') wait.fail(over);
      else isHeld ||= wait.kind === 'takes';
    }
  }

  /** Not unref'd: when a stalled stream is waited for, nothing else may keep the process alive to say so. */
  #giveUpLater(wait: Wait): NodeJS.Timeout {
    return setTimeout(() => {
      wait.fail(this.#stream.whyLate());
      this.check();
    }, this.#stream.timeoutMs);
  }
}

function hasCome(wait: Wait): boolean {
  try {
    return wait.look();
  } catch (error) {
    // A predicate is the test's own, and may throw.
    wait.fail(error as Error);
    return true;
  }
}
