import { getMaxListeners, setMaxListeners } from 'node:events';
import { withPointer } from './errors';

/**
 * Why the signal of a stream was aborted: the `code` of its reason.
 *
 * @example
 * app.get('/report', async function* (_req, res) {
 *   res.sse.signal.addEventListener('abort', () => {
 *     const code: AbortCode = res.sse.signal.reason.code;
 *     console.log(code === 'ERR_SSE_CLIENT_LEFT' ? 'the client has left' : code);
 *   });
 *   yield 'started';
 * });
 */
export type AbortCode = 'ERR_SSE_CLIENT_LEFT' | 'ERR_SSE_CLOSING' | 'ERR_SSE_EXPIRED' | 'ERR_SSE_STALLED';

const ABORTED = 'This operation was aborted';

// Made once, because every client that disconnects needs one.
const MESSAGES: Readonly<Record<AbortCode | 'ERR_SSE_RUN_LOST', string>> = {
  ERR_SSE_CLIENT_LEFT: abortMessage('ERR_SSE_CLIENT_LEFT', 'the client has disconnected'),
  ERR_SSE_CLOSING: abortMessage('ERR_SSE_CLOSING', 'the server has closed the stream'),
  ERR_SSE_EXPIRED: abortMessage('ERR_SSE_EXPIRED', 'maxDurationMs has passed'),
  ERR_SSE_RUN_LOST: abortMessage('ERR_SSE_RUN_LOST', 'the lease of the run was lost'),
  ERR_SSE_STALLED: abortMessage('ERR_SSE_STALLED', 'the client has not read for stallTimeoutMs'),
};

function abortMessage(code: AbortCode | 'ERR_SSE_RUN_LOST', reason: string): string {
  return withPointer(code, `${ABORTED}: ${reason}.`);
}

/**
 * A controller whose signal may have any number of listeners: a generator may await many calls at a time. Node 20 warns of a
 * leak after ten listeners; later versions have no limit for signals.
 */
export function abortController(): AbortController {
  const controller = new AbortController();
  if (getMaxListeners(controller.signal) > 0) setMaxListeners(0, controller.signal);
  return controller;
}

/**
 * Whether `error` was caused by an aborted signal: the signal's reason, or the error that a library throws for it, under
 * any of the usual names.
 *
 * @param signal `undefined` if the handler has not read its signal, so that no error can be caused by it
 */
export function isAbortOf(signal: AbortSignal | undefined, error: unknown): boolean {
  if (signal?.aborted !== true) return false;
  try {
    return isCausedBy(error, signal.reason);
  } catch {
    // The thrown value throws when its properties are read.
    return false;
  }
}

/**
 * The same error as `controller.abort()` makes, with the code and its reason, but without a stack. The stack would show only
 * this package, and capturing it takes half the time of an abort (measured: 9 µs with it, 4 µs without).
 */
export function abortError(code?: AbortCode | 'ERR_SSE_RUN_LOST'): DOMException {
  const { stackTraceLimit } = Error;
  // An assignment would throw if the app has frozen `Error`.
  Reflect.set(Error, 'stackTraceLimit', 0);
  const error = new DOMException(code === undefined ? ABORTED : MESSAGES[code], 'AbortError');
  Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  if (code !== undefined) Object.defineProperty(error, 'code', { value: code });
  return error;
}

function isCausedBy(error: unknown, reason: unknown): boolean {
  // Limited, because a chain of causes may be circular; no known library nests an abort this deep.
  for (let cause = error, depth = 0; isObject(cause) && depth < 8; cause = cause.cause, depth++) {
    if (cause === reason || isNamedAbort(cause)) return true;
  }
  return false;
}

// AbortError (DOM, Node, AWS), CanceledError (axios), CancelError (got), APIUserAbortError (OpenAI, Anthropic).
const ABORT_NAME = /abort|cancel/i;

function isNamedAbort(error: Record<'name' | 'cause', unknown>): boolean {
  return ABORT_NAME.test(String(error.name)) || ABORT_NAME.test(error.constructor?.name ?? '');
}

// Not `instanceof Error`: under Jest and node:vm, Node's own errors belong to another realm.
function isObject(value: unknown): value is Record<'name' | 'cause', unknown> {
  return typeof value === 'object' && value !== null;
}
