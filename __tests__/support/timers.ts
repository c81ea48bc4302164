import { createHook } from 'node:async_hooks';

/** The stack of a timer that `lib` creates. Node creates others below it, such as the one for the `Date` header. */
const CREATED_BY_LIB = /at set(?:Timeout|Interval) \(node:timers.*\n.*[\\/]lib[\\/](?!_)/;

/** The active timers of `lib` (not yet fired for the last time and not cleared), with the stack of their creation. */
export class LibTimers {
  readonly #active = new Map<number, string>();
  readonly #hook = createHook({
    init: (id, type) => {
      const stack = type === 'Timeout' ? new Error().stack : undefined;
      if (stack !== undefined && CREATED_BY_LIB.test(stack)) this.#active.set(id, stack);
    },
    destroy: (id) => {
      this.#active.delete(id);
    },
  }).enable();

  /** The creation stack of each active timer. */
  active(): string[] {
    return [...this.#active.values()];
  }

  /** Stops tracking. @returns the creation stack of each active timer */
  stop(): string[] {
    this.#hook.disable();
    return this.active();
  }
}
