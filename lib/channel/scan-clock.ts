/** The milliseconds for which filters and maps may run in one turn of the event loop, over all channels. */
const BUDGET_MS = 5;

/** The largest number of entries between two readings of the clock: it costs as much as the filter of one entry. */
const MAX_INTERVAL = 64;

/** An interval may double while it takes less than this; above it is halved. */
const INTERVAL_MS = 0.25;

/** After an entry of this size the clock is read: to parse it takes longer than to read the clock. */
const LARGE_BYTES = 16 * 1024;

/** How many entries a view scans before the clock is read again. It adapts to the view's cost. */
export interface ScanInterval {
  scanInterval: number;
}

/**
 * Limits the time that filters and maps take in one turn of the event loop. Scans that happen between turns, when a client
 * connects or calls `next()`, have a budget of their own until the next turn.
 */
class ScanClock {
  #inTurn = false;
  /** Whether the deadline of this turn is set. */
  #started = false;
  /** What is left for scans between turns. */
  #leftMs = BUDGET_MS;
  #deadline = 0;
  #expired = false;
  #interval: ScanInterval = { scanInterval: 1 };
  /** The entries until the clock is read. */
  #untilReading = 0;
  #readAt = 0;

  /** Whether the time of this turn is used up. */
  get expired(): boolean {
    return this.#expired;
  }

  /** A turn has a new budget. It is measured from the first scan, because most turns have none. */
  renew(): void {
    this.#started = false;
    this.#expired = false;
    this.#leftMs = BUDGET_MS;
  }

  enterTurn(): void {
    this.#inTurn = true;
  }

  leaveTurn(): void {
    this.#inTurn = false;
    this.#expired = false;
  }

  /** Begins the scan of one view. At least one entry may follow. */
  startScan(view: ScanInterval): void {
    this.#interval = view;
    if (this.#inTurn && this.#started) {
      this.#untilReading = Math.min(view.scanInterval, this.#untilReading);
      return;
    }
    this.#started = this.#inTurn;
    this.#untilReading = view.scanInterval;
    this.#readAt = performance.now();
    this.#deadline = this.#readAt + this.#leftMs;
  }

  endScan(): void {
    if (this.#inTurn) return;
    this.#leftMs = this.#deadline - performance.now();
    this.#expired = this.#leftMs <= 0;
  }

  /** Counts a scanned entry. @returns whether the scan must stop after it */
  count(bytes: number): boolean {
    if (--this.#untilReading > 0 && bytes < LARGE_BYTES) return false;
    return this.#read();
  }

  #read(): boolean {
    const now = performance.now();
    const view = this.#interval;
    const isCheap = now - this.#readAt < INTERVAL_MS;
    view.scanInterval = isCheap
      ? Math.min(2 * view.scanInterval, MAX_INTERVAL)
      : Math.ceil(view.scanInterval / 2);
    this.#readAt = now;
    this.#untilReading = view.scanInterval;
    this.#expired = now >= this.#deadline;
    return this.#expired;
  }
}

/** One for the process, because all channels share the turns of one event loop. */
export const scanClock = new ScanClock();
