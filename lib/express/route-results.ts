import { tracingChannel } from 'node:diagnostics_channel';
import { IncomingMessage } from 'node:http';
import type { HttpRequest, HttpResponse } from '../connection/http';
import { isAsyncGenerator } from '../source';
import { RequestContext } from '../stream/context';
import { isChannel, type Next, type StreamRequest, stream } from '../stream/stream';

/** What router 2.3 publishes of each handler it calls (its README, "Tracing"). */
interface Call {
  readonly req: RoutedRequest;
  readonly res: HttpResponse & { readonly sse?: unknown };
  readonly handler: object;
  /** What the handler returned, or its promise's value. */
  readonly result?: unknown;
  /** Only for `router.param()` callbacks. */
  readonly param?: string;
}

/** Express keeps the `next` of the router in charge on the request. */
export type RoutedRequest = HttpRequest & { next?: Next };

/** One `app.use(sse())`. */
export type Door = Pick<StreamRequest, 'settings' | 'registry'>;

/** That what later handlers of this response return is to be streamed, and how. */
interface Mark {
  readonly door: Door;
  /** Stands for the router in which the middleware was called. */
  readonly router: Next | undefined;
  /** That of an `sse()` further out. */
  readonly outer: Mark | undefined;
}

// Node holds a channel weakly, so whoever subscribes must hold it.
const calls = tracingChannel<string, object>('express.router.request');
let doors = 0;

/** Begins to hear what routes return. Nothing is subscribed before the first middleware is made. */
export function listen(): void {
  if (++doors > 1) return;
  calls.start.subscribe(onStart);
  calls.end.subscribe(onResult);
  calls.asyncEnd.subscribe(onResult);
}

/** Has what later handlers of this response return streamed. */
export function mark(req: HttpRequest, context: RequestContext, door: Door): void {
  const router = (req as RoutedRequest).next;
  const outer = context.mark as Mark | undefined;
  context.mark = { door, router, outer } satisfies Mark;
  context.router = router;
}

function onStart(message: unknown): void {
  const { req, res } = message as Call;
  hear(req);
  // With one middleware in the process none can be nearer than another.
  if (doors > 1 && res.sse instanceof RequestContext) follow(req, res.sse);
}

/** A subscriber must never throw, as Node makes that an `uncaughtException`; `stream` does not. */
function onResult(message: unknown): void {
  const { req, res, handler, result, param } = message as Call;
  if (result === undefined || param !== undefined || res.headersSent) return;
  const context = res.sse;
  if (!(context instanceof RequestContext)) return;
  const mark = markOf(req, context);
  if (mark === undefined || !isStreamed(result)) return;
  const { settings, registry } = mark.door;
  stream(result, { req, res, next: req.next, context, settings, registry, handler });
}

function isStreamed(result: unknown): boolean {
  try {
    return isAsyncGenerator(result) || isChannel(result);
  } catch {
    // A proxy that throws when it is looked at is somebody else's.
    return false;
  }
}

/**
 * What has been heard: each app by the prototype that it gives its requests, and only where that is Node's own each
 * request. Requests in a WeakMap would cost other routes more than all the rest of this (measured: garbage collection
 * took 7 % of a small route's time more).
 */
const heard = new WeakSet<object>();
let lastHeard: object | undefined;

function hear(req: HttpRequest): void {
  const key = heardBy(req);
  if (key === lastHeard) return;
  heard.add(key);
  lastHeard = key === req ? undefined : key;
}

/** Whether this request comes through an Express that publishes. */
export function isHeard(req: HttpRequest): boolean {
  return heard.has(heardBy(req));
}

function heardBy(req: HttpRequest): object {
  const prototype: object | null = Object.getPrototypeOf(req);
  return prototype === null || prototype === IncomingMessage.prototype ? req : prototype;
}

/** The router around each router in another one, by their `next`; of those that were entered behind a mark. */
const around = new WeakMap<Next, Next | undefined>();

/** Notes which router calls, for {@link markOf}. */
function follow({ next }: RoutedRequest, context: RequestContext): void {
  const last = context.router as Next | undefined;
  if (next === undefined || next === last) return;
  context.router = next;
  // A router that is not known stands in the one that called last.
  if (last !== undefined && !isAround(next, last)) around.set(next, last);
}

/** Whether a router has called the other one, itself or through others between. */
function isAround(outer: Next, inner: Next): boolean {
  let router: Next | undefined = inner;
  while (router !== undefined && router !== outer) router = around.get(router);
  return router === outer;
}

/** The nearest `sse()` above the route, from its own router outwards; else the last that was passed. */
function markOf(req: RoutedRequest, context: RequestContext): Mark | undefined {
  const last = context.mark as Mark | undefined;
  if (last?.outer === undefined) return last;
  for (let router = req.next; router !== undefined; router = around.get(router)) {
    for (let mark: Mark | undefined = last; mark !== undefined; mark = mark.outer) {
      if (mark.router === router) return mark;
    }
  }
  return last;
}
