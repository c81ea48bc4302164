import { setImmediate } from 'node:timers/promises';
import { compileFunction } from 'node:vm';

/** The process itself. In a test file, `process` is a copy that receives no events. */
const realProcess = compileFunction('return process;')() as NodeJS.Process;

/**
 * Runs a client that rejects a promise which no application can handle: its own defect.
 *
 * @param expected matches the text of these rejections; any other fails the test as usual
 */
export async function withoutRejections<Result>(
  expected: RegExp,
  run: () => Promise<Result>,
): Promise<Result> {
  const listeners = realProcess.listeners('unhandledRejection');
  const filter = (reason: unknown, promise: Promise<unknown>): void => {
    if (expected.test(String(reason))) return;
    for (const listener of listeners) listener(reason, promise);
  };
  realProcess.removeAllListeners('unhandledRejection').on('unhandledRejection', filter);
  try {
    return await run();
  } finally {
    // They are reported after the microtasks of the turn in which they were rejected.
    await setImmediate();
    await setImmediate();
    realProcess.off('unhandledRejection', filter);
    for (const listener of listeners) realProcess.on('unhandledRejection', listener);
  }
}
