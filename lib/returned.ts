import { tracingChannel } from 'node:diagnostics_channel';
import type { ServerReply, ServerRequest } from './connection/http';
import { isAsyncGenerator } from './source';
import { type Exchange, isChannel, type Next, stream } from './stream';

/** What router 2.3 publishes of each handler it calls (its README, "Tracing"). */
interface Call {
  readonly req: RoutedRequest;
  readonly res: ServerReply;
  readonly handler: object;
  /** What the handler returned, or its promise's value. */
  readonly result?: unknown;
  /** Only for `router.param()` callbacks. */
  readonly param?: string;
}

/** Express keeps the `next` of the router in charge on the request. */
export type RoutedRequest = ServerRequest & { next?: Next };

/** That what later handlers of this response return is to be streamed, and how. */
interface Mark {
  readonly exchange: Omit<Exchange, 'handler' | 'next'>;
  /** Stands for the router in which the middleware was called. */
  readonly router: Next | undefined;
  /** That of an `sse()` further out. */
  readonly outer: Mark | undefined;
}

const marks = new WeakMap<object, Mark>();

/** The router that last called a handler of each request, by its `next`. */
const routers = new WeakMap<object, Next | undefined>();

/** The router around each router, by their `next`. */
const around = new WeakMap<Next, Next | undefined>();

// Node holds a channel weakly, so whoever subscribes must hold it.
const calls = tracingChannel<string, object>('express.router.request');
let listening = false;

/** Begins to hear what routes return. Nothing is subscribed before the first middleware is made. */
export function listen(): void {
  if (listening) return;
  listening = true;
  calls.start.subscribe(onStart);
  calls.end.subscribe(onResult);
  calls.asyncEnd.subscribe(onResult);
}

/** Whether this request comes through an Express that publishes. */
export function isHeard(req: ServerRequest): boolean {
  return routers.has(req);
}

/** Has what later handlers of this request return streamed. */
export function mark(exchange: Mark['exchange']): void {
  const { req, res } = exchange;
  marks.set(res, { exchange, router: (req as RoutedRequest).next, outer: marks.get(res) });
}

function onStart(message: unknown): void {
  const { req } = message as Call;
  const last = routers.get(req);
  if (last === req.next && last !== undefined) return;
  // A router that was not seen before stands in the one that called last.
  if (req.next !== undefined && !around.has(req.next)) around.set(req.next, last);
  routers.set(req, req.next);
}

/** A subscriber must never throw, as Node makes that an `uncaughtException`; `stream` does not. */
function onResult(message: unknown): void {
  const { req, res, handler, result, param } = message as Call;
  if (result === undefined || param !== undefined || res.headersSent) return;
  const mark = markOf(req, res);
  if (mark === undefined || !isStreamed(result)) return;
  stream(result, { ...mark.exchange, handler, next: req.next });
}

function isStreamed(result: unknown): boolean {
  try {
    return isAsyncGenerator(result) || isChannel(result);
  } catch {
    // A proxy that throws when it is looked at is somebody else's.
    return false;
  }
}

/** The nearest `sse()` above the route, from its own router outwards; else the last that was passed. */
function markOf(req: RoutedRequest, res: ServerReply): Mark | undefined {
  const last = marks.get(res);
  if (last?.outer === undefined) return last;
  for (let router = req.next; router !== undefined; router = around.get(router)) {
    for (let mark: Mark | undefined = last; mark !== undefined; mark = mark.outer) {
      if (mark.router === router) return mark;
    }
  }
  return last;
}
