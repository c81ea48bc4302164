import { once } from 'node:events';

/** A promise that the test settles. */
export class Gate<Value = void> {
  readonly promise: Promise<Value>;
  open!: (value: Value) => void;
  fail!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.open = resolve;
      this.fail = reject;
    });
    this.promise.catch(() => undefined);
  }
}

/** Resolves when the signal aborts, or immediately if it already has. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
