import { inspect, types } from 'node:util';
import { isGone } from '../connection/http';
import { answerFailure } from '../connection/short-responses';
import { isSseError, propertyOf, warn } from '../errors';
import { encode } from '../format/event-stream';
import type { StreamRequest } from './stream-request';

/**
 * Passes an error to the app through `next`. Without a `next` it answers, and calls `onError` or emits a process warning.
 * Never throws.
 *
 * @param onErrorCalled whether `onError` has received the error already
 */
export function report(error: unknown, request: StreamRequest, onErrorCalled = false): void {
  const { req, res, next, options } = request;
  try {
    if (next !== undefined) {
      // Next takes a falsy error for none.
      next(error || new Error(`The handler threw ${inspect(error)}.`));
      return;
    }
    if (!res.headersSent && !isGone(res)) answerFailure(res, statusOf(error));
    if (isMistakeOfClient(error)) return;
    if (options.onError === undefined) warn(error);
    else if (!onErrorCalled) Promise.resolve(options.onError(error, req)).catch(warn);
  } catch (thrown) {
    warn(thrown);
  }
}

/** The frame of the value that `onError` returns for the client; `''` for none. */
export function errorFrame(error: unknown, { req, options }: StreamRequest): string {
  if (options.onError === undefined) return '';
  try {
    const value = options.onError(error, req);
    // The response ends now, so a promise comes too late; `encode` rejects it.
    if (types.isPromise(value)) value.catch(warn);
    return value === undefined ? '' : encode(value, options.serialize);
  } catch (thrown) {
    warn(thrown);
    return '';
  }
}

const warnedHandlers = new WeakSet<object>();

/** Warns that the generator of a route continues without a client; once per route. */
export function warnOfLongCleanup({ req, handler }: StreamRequest): void {
  if (warnedHandlers.has(handler)) return;
  warnedHandlers.add(handler);
  const path = ('originalUrl' in req ? String(req.originalUrl) : req.url)?.split('?', 1)[0];
  process.emitWarning(
    `The generator of ${req.method} ${path} continues although its client has left. Pass res.sse.signal to what it awaits.`,
    { type: 'SseWarning', code: 'SSE_GENERATOR_OUTLIVES_CLIENT' },
  );
}

/** A client's mistake, such as a 406, must not fill the log of a server without error handlers. */
function isMistakeOfClient(error: unknown): boolean {
  return isSseError(error) && error.status !== undefined && error.status < 500;
}

function statusOf(error: unknown): number {
  const status = propertyOf(error, 'status');
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}
