/**
 * A timeout that is usually cleared soon: the timer starts only if it is not cleared within this turn of the event loop.
 * Starting and clearing a timer each time took 2 % of the time of a short stream (measured). It does not keep the process
 * alive.
 */
export class LazyTimeout {
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onTimeout: () => void) {
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      this.#timer = setTimeout(onTimeout, ms).unref();
    });
  }

  clear(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }
}
