/**
 * A timer for what mostly does not happen: made only if it is not called off within this turn of the event loop. Node
 * links and unlinks a timer at once, which was 2 % of a short visit (measured). It keeps no process alive.
 */
export class LazyTimeout {
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onPassed: () => void) {
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      this.#timer = setTimeout(onPassed, ms).unref();
    });
  }

  clear(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }
}
