import { createHook } from 'node:async_hooks';
import { join, sep } from 'node:path';

const LIB = join(__dirname, '../../lib') + sep;

/** The frame before that of a timer's creator. Node creates others below, such as the one for the `Date` header. */
const TIMER_FRAME = /at set(?:Timeout|Interval) \(node:timers.*\n(.*)/;

/** Whether `lib`, and not a folder `lib` of another package, has created the timer. */
function isCreatedByLib(stack: string): boolean {
  return TIMER_FRAME.exec(stack)?.[1]?.includes(LIB) === true;
}

/** The active timers of `lib` (not yet fired for the last time and not cleared), with the stack of their creation. */
export class LibTimers {
  readonly #active = new Map<number, string>();
  readonly #hook = createHook({
    init: (id, type) => {
      const stack = type === 'Timeout' ? new Error().stack : undefined;
      if (stack !== undefined && isCreatedByLib(stack)) this.#active.set(id, stack);
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
