/**
 * Counts the timers of the package; to be imported before it. It alone uses the global functions here: our own timers are
 * those of `node:timers`, and Node's and Express's come from elsewhere.
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

/** How many of them have neither fired for the last time nor been cleared. */
export function timersAlive(): number {
  return alive.size;
}
