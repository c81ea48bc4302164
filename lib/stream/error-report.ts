import { AsyncResource } from 'node:async_hooks';
import { types } from 'node:util';
import { cut, type HttpResponse, isGone, type Next } from '../connection/http';
import { destroy, offClosed, onClosed } from '../connection/pipeline';
import { answerFailure } from '../connection/short-responses';
import { inspected, isSseError, propertyOf, warn } from '../errors';
import type { WireFormat } from '../format/wire-format';
import { LazyTimeout } from '../lazy-timeout';
import { clientKindOf, type StreamRequest } from './stream-request';
import { warnOfRoute } from './warnings';

/**
 * Passes an error to the app through `next`. Without a `next` it answers, and calls `onError` or emits a process warning.
 * Never throws.
 *
 * @param onErrorCalled whether `onError` has received the error already
 */
export function report(error: unknown, request: StreamRequest, onErrorCalled = false): void {
  const { req, res, next, options } = request;
  if (next !== undefined) {
    passToNext(error, next, request);
    return;
  }
  try {
    if (!res.headersSent) endResponse(res, statusOf(error));
    else if (isHeadSent(error)) closeUnlessEnded(res);
    if (options.onError === undefined) warnUnlessRefused(error);
    else if (!onErrorCalled) Promise.resolve(options.onError(error, req)).catch(warn);
  } catch (thrown) {
    warn(thrown);
  }
}

/**
 * Reports why a request gets no stream. If its head has been sent, no error handler can answer: then the response ends as an
 * interrupted stream does, and the error is reported when it has closed, because Express's own error handler destroys the
 * socket.
 */
export function reportRefusal(error: unknown, request: StreamRequest): void {
  const { res } = request;
  if (!res.headersSent || isGone(res)) {
    report(error, request);
    return;
  }
  const onEnd = AsyncResource.bind(() => {
    offClosed(res, onEnd);
    report(error, request);
  });
  onClosed(res, onEnd);
  if (clientKindOf(request) === 'fetch') cut(res);
  else res.end();
}

/** How long a handler may take to end a response that it has begun itself, after an error that no `next` receives. */
const UNFINISHED_MS = 1_000;

function isHeadSent(error: unknown): boolean {
  return isSseError(error) && error.code === 'ERR_SSE_HEAD_SENT';
}

/** Without a `next`, nothing else would end a response whose handler has sent a head that no stream can use. */
function closeUnlessEnded(res: HttpResponse): void {
  const onClose = () => {
    timeout.clear();
    offClosed(res, onClose);
  };
  const timeout = new LazyTimeout(UNFINISHED_MS, () => {
    offClosed(res, onClose);
    if (!isGone(res)) res.destroy();
  });
  onClosed(res, onClose);
}

function passToNext(error: unknown, next: Next, request: StreamRequest): void {
  try {
    // Next takes a falsy error for none.
    next(error || new Error(`The handler threw ${inspected(error)}.`));
  } catch (thrown) {
    const shown = inspected(thrown);
    const outcome = endResponse(request.res, 500);
    warnOfRoute(
      'SSE_ERROR_HANDLER_FAILED',
      request,
      (name) => `The error handler of ${name} threw: ${shown.split('\n', 1)[0]}. ${outcome}`,
      shown,
    );
    warnUnlessRefused(error);
  }
}

/** A client's own mistake, such as a 406, must not be able to fill the log. */
function warnUnlessRefused(error: unknown): void {
  const isMistakeOfClient = isSseError(error) && error.status !== undefined && error.status < 500;
  if (!isMistakeOfClient) warn(error);
}

/** Ends a response for which no error handler is left. @returns the outcome, for a warning */
function endResponse(res: HttpResponse, statusCode: number): string {
  if (isGone(res)) return 'The response had ended before.';
  if (!res.headersSent && sendFailure(res, statusCode)) return `The response is a ${statusCode}.`;
  destroy(res);
  return 'The connection was closed.';
}

/** @returns `false` if that is impossible because of what the app has set before, such as an invalid status message */
function sendFailure(res: HttpResponse, statusCode: number): boolean {
  try {
    // The length of a body that was not sent.
    res.removeHeader('Content-Length');
    answerFailure(res, statusCode);
    return true;
  } catch {
    return false;
  }
}

/** The text of the value that `onError` returns for the client; `''` for none. */
export function errorText(error: unknown, { req, options }: StreamRequest, format: WireFormat): string {
  if (options.onError === undefined) return '';
  try {
    const value = options.onError(error, req);
    // The response ends now, so a promise comes too late; `encode` rejects it.
    if (types.isPromise(value)) value.catch(warn);
    return value === undefined ? '' : format.encode(value, options.serialize);
  } catch (thrown) {
    warn(thrown);
    return '';
  }
}

/** Warns that the generator of a route continues without a client; once per route. */
export function warnOfLongCleanup({ req, handler }: StreamRequest): void {
  warnOfRoute(
    'SSE_GENERATOR_OUTLIVES_CLIENT',
    { req, route: handler },
    (name) =>
      `The generator of ${name} continues although its client has left. ` +
      'Pass res.sse.signal to what it awaits; if that is done, what it awaits ignores it.',
  );
}

function statusOf(error: unknown): number {
  const status = propertyOf(error, 'status');
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}
