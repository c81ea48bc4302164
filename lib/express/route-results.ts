import { tracingChannel } from 'node:diagnostics_channel';
import { IncomingMessage } from 'node:http';
import type { HttpRequest, HttpResponse } from '../connection/http';
import { isMeantAsSource } from '../source';
import { RequestContext } from '../stream/context';
import { isSubscribable } from '../stream/producer';
import { stream } from '../stream/stream';
import { type HandledRequest, warnIfNotAnswered, warnOfNextInGenerator } from '../stream/warnings';
import { type RoutedRequest, scopeOf, trackRouter } from './scope';
import { warnIfUnstreamable, warnIfUnstreamed } from './unstreamed';

/** The message that router 2.3 publishes for each handler it calls (its README, "Tracing"). */
interface HandlerCall {
  readonly req: RoutedRequest;
  readonly res: HttpResponse & { readonly sse?: unknown };
  readonly handler: object;
  /** Internal to the router. It identifies the route, which may share its handler with others. */
  readonly layer?: object;
  /** The return value of the handler, or the value of its promise. */
  readonly result?: unknown;
  /** Only for `router.param()` callbacks. */
  readonly param?: string;
}

// This variable keeps the channel alive: Node references it weakly, and would drop the subscriptions together with it.
const calls = tracingChannel<string, object>('express.router.request');

let middlewareCount = 0;
let subscribed = false;

// On import, so that a generator is not lost without a word in an app that never calls `sse()`.
subscribeToResults();

/** Subscribes to everything that `app.use(sse())` needs, on its first call. */
export function subscribeToRouteResults(): void {
  if (++middlewareCount > 1) return;
  calls.start.subscribe(onStart);
  calls.error.subscribe(onError);
  subscribeToResults();
}

/** Unsubscribes an app that only wraps handlers, until its first `app.use(sse())`: its other routes are not slowed down. */
export function unsubscribeWithoutMiddleware(): void {
  if (middlewareCount > 0 || !subscribed) return;
  subscribed = false;
  calls.end.unsubscribe(onResult);
  calls.asyncEnd.unsubscribe(onResult);
}

function subscribeToResults(): void {
  if (subscribed) return;
  subscribed = true;
  calls.end.subscribe(onResult);
  calls.asyncEnd.subscribe(onResult);
}

function onStart(message: unknown): void {
  const { req, res, handler } = message as HandlerCall;
  markTraced(req);
  const context = res.sse;
  if (!(context instanceof RequestContext)) return;
  context.handler = handler;
  // With a single `sse()` there is no scope to resolve.
  if (middlewareCount > 1) trackRouter(req, context);
}

/** A handler has thrown, or has passed an error to `next`. */
function onError(message: unknown): void {
  const { req, res, handler, layer = handler } = message as HandlerCall;
  const context = res.sse;
  if (context instanceof RequestContext && context.handler === handler) {
    warnOfNextInGenerator({ req, route: layer }, context);
  }
}

/** Must never throw: Node turns the error of a subscriber into an `uncaughtException`. `stream` never throws. */
function onResult(message: unknown): void {
  const call = message as HandlerCall;
  const { res, result } = call;
  if ((result === undefined && middlewareCount === 0) || Object.hasOwn(call, 'param')) return;
  const context = res.sse;
  if (!(context instanceof RequestContext)) {
    // Another copy of the package sets a context of its own.
    if (result !== undefined && !isObject(context)) warnOfCall(call);
  } else if (result === undefined) onNothing(call, context);
  else onValue(call, context);
}

/** A handler that reads `res.sse.lastEventId`, or subscribes with `res.sse`, has something to return. */
function onNothing(call: HandlerCall, context: RequestContext): void {
  const { req, res, handler, layer = handler } = call;
  // A handler that has returned a promise has no result yet.
  if (!context.wasRead || res.headersSent || !('result' in call)) return;
  const scope = scopeOf(req, context);
  if (scope !== undefined)
    warnIfNotAnswered({ req, res, handler, route: layer, context, options: scope.options });
}

function onValue(call: HandlerCall, context: RequestContext): void {
  const { req, res, handler, layer = handler, result } = call;
  const scope = scopeOf(req, context);
  if (scope === undefined) {
    warnOfCall(call);
    return;
  }
  const { options, registry } = scope;
  if (isStreamable(result)) {
    stream(result, { req, res, next: req.next, context, options, registry, handler, route: layer });
  } else if (!res.headersSent)
    warnIfUnstreamable(handledRequest(call), result, options.cleanupWarnMs, context);
}

/** No `sse()` applies to the request. */
function warnOfCall(call: HandlerCall): void {
  if (!call.res.headersSent) warnIfUnstreamed(handledRequest(call), call.result);
}

function handledRequest({ req, res, handler, layer = handler }: HandlerCall): HandledRequest {
  return { req, res, handler, route: layer };
}

/** Whether a handler can only mean to have `result` streamed. */
export function isStreamable(result: unknown): boolean {
  try {
    return isMeantAsSource(result) || isSubscribable(result);
  } catch {
    // A foreign Proxy may throw on property access; treat it as not streamable.
    return false;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/**
 * Identifies the apps whose router publishes route results. Express sets the same prototype on all requests of an app, so the
 * prototype is the key; a request with Node's own prototype is its own key. A WeakMap of all requests would cost other routes
 * more than all other code here (measured: 7 % of a small route's time for garbage collection).
 */
const traced = new WeakSet<object>();
let lastTraced: object | undefined;

function markTraced(req: HttpRequest): void {
  const key = tracedKey(req);
  if (key === lastTraced) return;
  traced.add(key);
  lastTraced = key === req ? undefined : key;
}

/** Whether the router of this request publishes route results. */
export function publishesResults(req: HttpRequest): boolean {
  return traced.has(tracedKey(req));
}

function tracedKey(req: HttpRequest): object {
  const prototype: object | null = Object.getPrototypeOf(req);
  return prototype === null || prototype === IncomingMessage.prototype ? req : prototype;
}
