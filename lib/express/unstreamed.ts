import { types } from 'node:util';
import { isSubscription } from '../channel/subscription';
import { isGone } from '../connection/http';
import type { WarningCode } from '../errors';
import { has, isAsyncGenerator, isNodeReadable, isSyncGenerator } from '../source';
import type { RequestContext } from '../stream/context';
import { isSubscribable } from '../stream/producer';
import { type HandledRequest, isResponsible, warnOfRoute, watchResponse } from '../stream/warnings';

/** A return value that is not streamed, although its handler may mean it to be. */
interface Mistake {
  readonly code: WarningCode;
  readonly message: (name: string) => string;
  /** How long the request may take to be answered in another way. */
  readonly afterMs: number;
  /** Whether it is still a mistake after that time. */
  readonly isUnused?: () => boolean;
}

/**
 * How long another package may take to stream a generator that its own handler has returned: until its first value, with
 * which it sends the head.
 */
const UNSTREAMED_AFTER_MS = 250;

/** How long a handler may take to respond by a callback after it has returned something that it does not mean to send. */
const UNANSWERED_AFTER_MS = 1_000;

/** What `sse(handler)` and `sse()` have returned: functions that do nothing until they are called. */
const streamingFunctions = new WeakSet<object>();

export function noteStreamingFunction<Made extends object>(made: Made): Made {
  streamingFunctions.add(made);
  return made;
}

/** Warns if a handler without an `sse()` has returned a generator, a channel or a subscription, and nothing streams it. */
export function warnIfUnstreamed(request: HandledRequest, result: unknown): void {
  consider(request, () => notCalled(result) ?? notStreamed(result));
}

/**
 * Warns if a handler under `app.use(sse())` has returned what that leaves alone, and the request is not answered.
 *
 * @param cleanupWarnMs for an event emitter that cannot be asked for its listeners
 */
export function warnIfUnstreamable(
  request: HandledRequest,
  result: unknown,
  cleanupWarnMs: number | false,
  context: RequestContext,
): void {
  const { req, res, handler } = request;
  if (result === req || result === res || !isResponsible(handler, context)) return;
  const find = () => notCalled(result) ?? notStreamable(result, cleanupWarnMs);
  consider(request, find, () => isResponsible(handler, context));
}

/** The routes whose return value was examined. Those that answer their requests in another way are not examined again. */
const considered = new WeakSet<object>();

function consider(request: HandledRequest, find: () => Mistake | undefined, isDue = () => true): void {
  const { res, route } = request;
  if (considered.has(route) || isGone(res)) return;
  const mistake = withoutThrowing(find);
  if (mistake === undefined) return;
  considered.add(route);
  const { code, message, afterMs, isUnused = () => true } = mistake;
  const onUnanswered = () => {
    if (isDue() && withoutThrowing(isUnused) === true) warnOfRoute(code, request, message);
  };
  // A client that leaves too early leaves the question open.
  watchResponse(res, afterMs, onUnanswered, () => considered.delete(route));
}

/** A foreign object may throw on property access, also later. */
function withoutThrowing<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function notStreamed(result: unknown): Mistake | undefined {
  const what = sourceName(result);
  if (what === undefined) return undefined;
  return {
    code: 'SSE_NOT_STREAMED',
    afterMs: UNSTREAMED_AFTER_MS,
    message: (name) =>
      `${name} returned ${what}, but no sse() applies to this route, so nothing is sent. ` +
      'Call app.use(sse()) before the route, on the same app or router, or wrap the handler: sse(handler).',
  };
}

/** What nothing but this package streams. Express ignores a generator, so that it is a mistake without this package, too. */
function sourceName(result: unknown): string | undefined {
  if (isSubscribable(result)) return isSubscription(result) ? 'a subscription' : 'a channel';
  if (isAsyncGenerator(result)) return 'an async generator';
  return isSyncGenerator(result) ? 'a generator' : undefined;
}

function notCalled(result: unknown): Mistake | undefined {
  if (typeof result !== 'function') return undefined;
  const isGeneratorFunction = types.isGeneratorFunction(result);
  if (!isGeneratorFunction && !streamingFunctions.has(result)) return undefined;
  const what = isGeneratorFunction
    ? `the generator function ${result.name || '(anonymous)'}`
    : 'a function made by sse()';
  return {
    code: 'SSE_NOT_CALLED',
    afterMs: UNSTREAMED_AFTER_MS,
    message: (name) =>
      `${name} returned ${what} without calling it, so nothing is sent. ` +
      'Pass the function itself to app.get(path, handler), or call it and return its result.',
  };
}

function notStreamable(result: unknown, cleanupWarnMs: number | false): Mistake | undefined {
  if (isNodeReadable(result))
    return unstreamable('a Node stream', UNANSWERED_AFTER_MS, () => isUnread(result));
  if (has(result, Symbol.asyncIterator) && has(result, 'on'))
    return unstreamableEmitter(result, cleanupWarnMs);
  if (has(result, Symbol.asyncIterator) || !has(result, Symbol.iterator) || ArrayBuffer.isView(result)) {
    return undefined;
  }
  const tag = Object.prototype.toString.call(result).slice('[object '.length, -1);
  return unstreamable(tag === 'Array' ? 'an array' : `an iterable (${tag})`, UNANSWERED_AFTER_MS);
}

function unstreamable(what: string, afterMs: number, isUnused?: () => boolean): Mistake {
  return {
    code: 'SSE_NOT_STREAMABLE',
    afterMs,
    ...(isUnused && { isUnused }),
    message: (name) =>
      `${name} returned ${what}, which app.use(sse()) does not stream, and has sent no response. ` +
      'Wrap the handler to stream it: app.get(path, sse(handler)).',
  };
}

/** An emitter whose listeners cannot be counted may be what a handler responds from, but not for ever. */
function unstreamableEmitter(emitter: object, cleanupWarnMs: number | false): Mistake | undefined {
  const what = 'an event emitter';
  if (has(emitter, 'eventNames')) {
    return unstreamable(what, UNANSWERED_AFTER_MS, () => (emitter.eventNames() as unknown[]).length === 0);
  }
  return cleanupWarnMs === false ? undefined : unstreamable(what, cleanupWarnMs);
}

interface ReadableState {
  readonly readableFlowing?: boolean | null;
  readonly readableDidRead?: boolean;
  readonly readableLength?: number;
}

/** Whether nothing reads a stream. A Duplex, such as a hash, may be there to be written to; then it has nothing to read. */
function isUnread(stream: object): boolean {
  const { readableFlowing, readableDidRead, readableLength } = stream as ReadableState;
  if (readableFlowing !== null || readableDidRead === true) return false;
  return !has(stream, 'write') || readableLength !== 0;
}
