import { describe, type MistakeCode, wrongType } from './errors';

/**
 * Refuses a promise, or any other thenable, as the result of a callback that must be synchronous. A promise is truthy, so a
 * filter that returns one would accept every event. Its outcome is ignored, so a rejection is not an unhandledRejection.
 *
 * @param callback how the error message names the callback
 * @throws `TypeError` with this code
 */
export function refusePromise(result: unknown, callback: string, code: MistakeCode): void {
  if (!isThenable(result)) return;
  Promise.resolve(result).catch(() => undefined);
  throw wrongType(
    code,
    `Expected ${callback} to return its result and not a promise of it, got ${describe(result)}. ` +
      'It is synchronous: await what it needs before.',
  );
}

function isThenable(value: unknown): boolean {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject && typeof (value as { readonly then?: unknown }).then === 'function';
}
