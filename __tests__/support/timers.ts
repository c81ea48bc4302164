import { createHook } from 'node:async_hooks';

/** A timer that `lib` itself asked for; Node makes some of its own on the way, such as that of the `Date` header. */
const ASKED_BY_LIB = /at set(?:Timeout|Interval) \(node:timers.*\n.*[\\/]lib[\\/](?!_)/;

/** The timers that `lib` has made and that neither fired for the last time nor were cleared, by the stack that made them. */
export class LibTimers {
  readonly #alive = new Map<number, string>();
  readonly #hook = createHook({
    init: (id, type) => {
      const stack = type === 'Timeout' ? new Error().stack : undefined;
      if (stack !== undefined && ASKED_BY_LIB.test(stack)) this.#alive.set(id, stack);
    },
    destroy: (id) => {
      this.#alive.delete(id);
    },
  }).enable();

  /** Where each of those that are left was made. */
  alive(): string[] {
    return [...this.#alive.values()];
  }

  /** Stops watching, and returns what is left. */
  stop(): string[] {
    this.#hook.disable();
    return this.alive();
  }
}
