import type { HttpRequest, Next } from '../connection/http';
import type { RequestContext, SseScope } from '../stream/context';

/** Express keeps the `next` of the active router on the request. It identifies the router here. */
export type RoutedRequest = HttpRequest & { next?: Next };

/** The router that has called each router. Both are identified by their `next`; only routers after an `sse()` are included. */
const parents = new WeakMap<Next, Next | undefined>();

/** Called when a request passes an `app.use(sse())`: later handlers are in the scope of this `sse()`. */
export function enterScope(
  req: HttpRequest,
  context: RequestContext,
  { options, registry }: Pick<SseScope, 'options' | 'registry'>,
): void {
  const router = (req as RoutedRequest).next;
  context.scope = { options, registry, router, outer: context.scope };
  context.router = router;
}

/** Remembers which router calls a handler, for {@link scopeOf}. */
export function trackRouter({ next }: RoutedRequest, context: RequestContext): void {
  const last = context.router;
  if (next === undefined || next === last) return;
  context.router = next;
  // A router seen for the first time is inside the one that called the last handler.
  if (last !== undefined && !isAncestor(next, last)) parents.set(next, last);
}

/** The scope of a route: that of the nearest `sse()` above it, searched from its own router outwards. */
export function scopeOf(req: RoutedRequest, { scope }: RequestContext): SseScope | undefined {
  if (scope?.outer === undefined) return scope;
  for (let router = req.next; router !== undefined; router = parents.get(router)) {
    for (let candidate: SseScope | undefined = scope; candidate !== undefined; candidate = candidate.outer) {
      if (candidate.router === router) return candidate;
    }
  }
  return scope;
}

/** Whether one router has called another, directly or through others. */
function isAncestor(outer: Next, inner: Next): boolean {
  let router: Next | undefined = inner;
  while (router !== undefined && router !== outer) router = parents.get(router);
  return router === outer;
}
