import { tracingChannel } from 'node:diagnostics_channel';
import { IncomingMessage } from 'node:http';
import type { HttpRequest, HttpResponse } from '../connection/http';
import { isAsyncGenerator } from '../source';
import { RequestContext } from '../stream/context';
import { isSubscribable } from '../stream/producer';
import { stream } from '../stream/stream';
import { type RoutedRequest, scopeOf, trackRouter } from './scope';

/** The message that router 2.3 publishes for each handler it calls (its README, "Tracing"). */
interface HandlerCall {
  readonly req: RoutedRequest;
  readonly res: HttpResponse & { readonly sse?: unknown };
  readonly handler: object;
  /** The return value of the handler, or the value of its promise. */
  readonly result?: unknown;
  /** Only for `router.param()` callbacks. */
  readonly param?: string;
}

// This variable keeps the channel alive: Node references it weakly, and would drop the subscriptions together with it.
const calls = tracingChannel<string, object>('express.router.request');

let middlewareCount = 0;

/** Subscribes to the router's tracing channel, on first use. */
export function subscribeToRouteResults(): void {
  if (++middlewareCount > 1) return;
  calls.start.subscribe(onStart);
  calls.end.subscribe(onResult);
  calls.asyncEnd.subscribe(onResult);
}

function onStart(message: unknown): void {
  const { req, res } = message as HandlerCall;
  markTraced(req);
  // With a single `sse()` there is no scope to resolve.
  if (middlewareCount > 1 && res.sse instanceof RequestContext) trackRouter(req, res.sse);
}

/** Must never throw: Node turns the error of a subscriber into an `uncaughtException`. `stream` never throws. */
function onResult(message: unknown): void {
  const { req, res, handler, result } = message as HandlerCall;
  if (result === undefined || Object.hasOwn(message as HandlerCall, 'param') || res.headersSent) return;
  const context = res.sse;
  if (!(context instanceof RequestContext)) return;
  const scope = scopeOf(req, context);
  if (scope === undefined || !isStreamable(result)) return;
  const { options, registry } = scope;
  stream(result, { req, res, next: req.next, context, options, registry, handler });
}

function isStreamable(result: unknown): boolean {
  try {
    return isAsyncGenerator(result) || isSubscribable(result);
  } catch {
    // A foreign Proxy may throw on property access; treat it as not streamable.
    return false;
  }
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
