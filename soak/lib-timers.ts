/**
 * Counts the timers of the package; must be imported before it. Only the package uses the global timer functions here: the
 * soak imports `node:timers`, and Node and Express do not use the globals.
 */
const alive = new Set<unknown>();
const { setTimeout: set, clearTimeout: clear, setInterval: setEvery, clearInterval: clearEvery } = globalThis;

type Callback = (...args: unknown[]) => void;

function countedTimeout(callback: Callback, ms?: number, ...args: unknown[]): NodeJS.Timeout {
  const timer = set(() => {
    alive.delete(timer);
    callback(...args);
  }, ms);
  alive.add(timer);
  return timer;
}

function countedInterval(callback: Callback, ms?: number, ...args: unknown[]): NodeJS.Timeout {
  const timer = setEvery(callback, ms, ...args);
  alive.add(timer);
  return timer;
}

Object.assign(globalThis, {
  setTimeout: countedTimeout,
  setInterval: countedInterval,
  clearTimeout: (timer: NodeJS.Timeout | undefined) => {
    alive.delete(timer);
    clear(timer);
  },
  clearInterval: (timer: NodeJS.Timeout | undefined) => {
    alive.delete(timer);
    clearEvery(timer);
  },
});

/** The number of timers that have neither fired for the last time nor been cleared. */
export function timersAlive(): number {
  return alive.size;
}
