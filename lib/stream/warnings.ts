import { type HttpRequest, type HttpResponse, isGone } from '../connection/http';
import { offClosed, onClosed } from '../connection/pipeline';
import { emitWarning, type WarningCode } from '../errors';
import { LazyTimeout } from '../lazy-timeout';
import type { RequestContext } from './context';
import { routeOf } from './diagnostics';
import type { StreamRequest } from './stream-request';

/** A request whose handler was called. */
export interface HandledRequest {
  readonly req: HttpRequest;
  readonly res: HttpResponse;
  readonly handler: object;
  /** Identifies the route, which may share its handler with others. */
  readonly route: object;
}

/** The routes with a warning of one code. */
interface Warned {
  readonly routes: WeakSet<object>;
  readonly count: number;
}

/** The limit of warnings with one code: an app that makes new routes for each request has no end of them. */
const MAX_WARNINGS = 100;

const MAX_NAME_LENGTH = 200;

const warned = new Map<WarningCode, Warned>();

/** Emits a warning that names the route of a request; once per route. */
export function warnOfRoute(
  code: WarningCode,
  { req, route }: Pick<HandledRequest, 'req' | 'route'>,
  message: (name: string) => string,
  detail?: string,
): void {
  if (isWarnedOf(code, route)) return;
  const { routes, count } = warnedOf(code);
  routes.add(route);
  warned.set(code, { routes, count: count + 1 });
  emitWarning(code, message(nameOf(req)), detail);
}

/** Whether the route needs no further warning with this code. */
function isWarnedOf(code: WarningCode, route: object): boolean {
  const { routes, count } = warnedOf(code);
  return count >= MAX_WARNINGS || routes.has(route);
}

function warnedOf(code: WarningCode): Warned {
  return warned.get(code) ?? { routes: new WeakSet(), count: 0 };
}

/**
 * Calls `onUnanswered` if a response has no head after `ms`. Keeps nothing of the response after that, or after it has closed.
 *
 * @param onLeft called if the response closes before, without a head
 */
export function watchResponse(
  res: HttpResponse,
  ms: number,
  onUnanswered: () => void,
  onLeft?: () => void,
): void {
  const onClose = () => {
    timeout.clear();
    offClosed(res, onClose);
    if (!res.headersSent) onLeft?.();
  };
  const timeout = new LazyTimeout(ms, () => {
    offClosed(res, onClose);
    if (res.headersSent) return;
    if (isGone(res)) onLeft?.();
    else onUnanswered();
  });
  onClosed(res, onClose);
}

/** Warns if a handler that has returned nothing leaves its request unanswered for `cleanupWarnMs`. */
export function warnIfNotAnswered(request: Omit<StreamRequest, 'next' | 'registry'>): void {
  const { req, res, context, handler, route, options } = request;
  const { cleanupWarnMs } = options;
  if (cleanupWarnMs === false || res.headersSent || isGone(res)) return;
  if (!isResponsible(handler, context) || isWarnedOf('SSE_NOT_ANSWERED', route)) return;
  watchResponse(res, cleanupWarnMs, () => {
    if (!isResponsible(handler, context)) return;
    warnOfRoute(
      'SSE_NOT_ANSWERED',
      { req, route },
      (name) =>
        `${name} has had no response for ${cleanupWarnMs} ms after its handler returned nothing. ` +
        'Return the generator, channel or subscription, respond through res, or call next().',
    );
  });
}

/** Warns if a generator whose stream is open passes an error to `next`: the stream would end as if nothing had failed. */
export function warnOfNextInGenerator(
  request: Pick<HandledRequest, 'req' | 'route'>,
  { streaming }: RequestContext,
): void {
  if (!streaming) return;
  warnOfRoute(
    'SSE_NEXT_CALLED',
    request,
    (name) =>
      `The generator of ${name} called next() with an error, which does not end its stream. Throw the error instead.`,
  );
}

/** Whether a handler has to answer a request: it has not passed it on, and no stream answers. */
export function isResponsible(handler: object, { handler: last, streaming }: RequestContext): boolean {
  return last === handler && !streaming;
}

/** Such as `GET /prices/:symbol`, and where its router is mounted. */
function nameOf(req: HttpRequest & { readonly baseUrl?: string }): string {
  const { method, baseUrl = '' } = req;
  const mounted = baseUrl === '' ? '' : ` (in a router at ${baseUrl})`;
  const name = `${method} ${routeOf(req)}${mounted}`;
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name;
}
