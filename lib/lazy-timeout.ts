/**
 * A timeout that is usually cleared soon: the timer starts only if it is not cleared within this turn of the event loop.
 * Starting and clearing a timer each time took 2 % of the time of a short stream (measured). It does not keep the process
 * alive.
 *
 * After a blocked event loop, timers fire before sockets are read. The callback therefore runs after the next poll for I/O,
 * and only if the timeout is not cleared by then.
 */
export class LazyTimeout {
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onTimeout: () => void) {
    const afterPoll = () => {
      this.#immediate = setImmediate(onTimeout);
    };
    this.#immediate = setImmediate(() => {
      this.#timer = setTimeout(afterPoll, ms).unref();
    });
  }

  clear(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }
}
