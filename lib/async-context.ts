import { AsyncResource } from 'node:async_hooks';

/** The asynchronous context in which this module was loaded. It belongs to no request. */
const LOADED = new AsyncResource('ExpressYield');

/**
 * Runs a task in the context of no request: `AsyncLocalStorage.getStore()` returns what it returned when the package was
 * loaded. A timer, an immediate or a subscription that outlives the request during which it is created must be created
 * here. Otherwise it keeps that request's store in memory, and its callbacks read it.
 */
export function outsideRequests<Result>(task: () => Result): Result {
  return LOADED.runInAsyncScope(task);
}

/**
 * The asynchronous context of the code that creates it, in which callbacks can run later.
 *
 * An `AsyncResource`, because it is the cheapest way that Node 20 and 24 have (measured: 0.1 µs to create, 20 ns to run;
 * `AsyncLocalStorage.snapshot()`: 20 and 6 µs to create, 0.1 µs to run).
 */
export class CallbackContext extends AsyncResource {
  constructor() {
    super('ExpressYieldCallbacks');
  }
}
