import { type HttpRequest, type HttpResponse, isGone, offClosed, onClosed } from '../connection/http';
import { emitWarning, type WarningCode } from '../errors';
import { LazyTimeout } from '../lazy-timeout';
import { routeOf } from './diagnostics';
import type { StreamRequest } from './stream-request';

/** A request and the handler that was called for it. */
export interface HandledRequest {
  readonly req: HttpRequest;
  readonly res: HttpResponse;
  readonly handler: object;
}

/** The routes with a warning of one code, by their handlers. */
interface Warned {
  readonly handlers: WeakSet<object>;
  readonly count: number;
}

/** The limit of warnings with one code: an app that makes new handlers for each request has no end of them. */
const MAX_WARNINGS = 100;

const MAX_NAME_LENGTH = 200;

const warned = new Map<WarningCode, Warned>();

/** Emits a warning that names the route of a request; once per route. */
export function warnOfRoute(
  code: WarningCode,
  { req, handler }: Pick<HandledRequest, 'req' | 'handler'>,
  message: (route: string) => string,
  detail?: string,
): void {
  if (isWarnedOf(code, handler)) return;
  const { handlers, count } = warnedOf(code);
  handlers.add(handler);
  warned.set(code, { handlers, count: count + 1 });
  emitWarning(code, message(routeName(req)), detail);
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
    if (!res.headersSent && !isGone(res)) onUnanswered();
  });
  onClosed(res, onClose);
}

/** Warns if a handler that has returned nothing leaves its request unanswered for `cleanupWarnMs`. */
export function warnIfNotAnswered(request: Omit<StreamRequest, 'next' | 'registry'>): void {
  const { res, context, options, handler } = request;
  const { cleanupWarnMs } = options;
  if (cleanupWarnMs === false || res.headersSent || isGone(res)) return;
  const isResponsible = () => context.handler === handler && !context.streaming;
  if (!isResponsible() || isWarnedOf('SSE_NOT_ANSWERED', handler)) return;
  watchResponse(res, cleanupWarnMs, () => {
    if (isResponsible())
      warnOfRoute('SSE_NOT_ANSWERED', request, (route) => notAnswered(route, cleanupWarnMs));
  });
}

function notAnswered(route: string, ms: number): string {
  return (
    `${route} has had no response for ${ms} ms after its handler returned nothing. ` +
    'Return the generator, channel or subscription, respond through res, or call next().'
  );
}

function isWarnedOf(code: WarningCode, handler: object): boolean {
  const { handlers, count } = warnedOf(code);
  return count >= MAX_WARNINGS || handlers.has(handler);
}

function warnedOf(code: WarningCode): Warned {
  return warned.get(code) ?? { handlers: new WeakSet(), count: 0 };
}

/** Such as `GET /prices/:symbol`, and where its router is mounted. */
function routeName(req: HttpRequest & { readonly baseUrl?: string }): string {
  const { method, baseUrl = '' } = req;
  const mounted = baseUrl === '' ? '' : ` (in a router at ${baseUrl})`;
  const name = `${method} ${routeOf(req)}${mounted}`;
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name;
}
