import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpRequest, HttpResponse } from './connection/http';
import { describe, SseError, wrongType } from './errors';
import { isHeard, listen, mark } from './express/route-results';
import { RequestContext, type SseContext } from './stream/context';
import {
  type CloseOptions,
  type ResolvedSseOptions,
  resolveCloseOptions,
  resolveSseOptions,
  type SseOptions,
} from './stream/options';
import { Registry } from './stream/registry';
import { type Next, report, type StreamRequest, stream } from './stream/stream';

declare global {
  namespace Express {
    interface Response {
      /** The signal and the last event ID of this request's stream; there after `sse()`. */
      readonly sse: SseContext;
    }
  }
}

/**
 * Any request handler, whatever its server hands to it.
 *
 * @example
 * function guarded<Handler extends AnyHandler>(handler: Handler): Handler {
 *   return handler;
 * }
 * app.get('/report', guarded((req, res) => res.json([])));
 */
export type AnyHandler = (req: never, res: never, next: never) => unknown;

interface WithSse {
  readonly sse: SseContext;
}

type Or<Type, Fallback> = [Type] extends [never] ? Fallback : Type;

/**
 * A handler whose returned async generator, iterable or stream, or a promise of one, is streamed. It returns
 * `undefined` if it has answered by itself or called `next`.
 *
 * `Expected` is the kind of handler that the place asks for, so that a route's own `Request` and `Response`, with
 * its parameters, are known in it; by itself it is one for `node:http`.
 *
 * @example
 * const report: SseHandler<RequestHandler> = async function* (req, res) {
 *   yield { path: req.path, lastEventId: res.sse.lastEventId };
 * };
 * app.get('/report', sse(report));
 */
export type SseHandler<Expected> = Expected extends (req: infer Req, res: infer Res, next: infer N) => unknown
  ? (req: Or<Req, IncomingMessage>, res: Or<Res, ServerResponse> & WithSse, next: Or<N, Next>) => unknown
  : Expected;

/**
 * What `sse(handler)` returns: a request handler for Express, connect, `node:http` and `node:http2`.
 *
 * @example
 * const report: StreamingHandler<RequestListener> = sse(async function* () {
 *   yield 'one line';
 * });
 * http.createServer(report).listen(0);
 */
export type StreamingHandler<Expected> = Expected extends (
  req: infer Req,
  res: infer Res & WithSse,
  next: never,
) => unknown
  ? (req: Req, res: Res, next?: Next) => void
  : Exclude<Expected, undefined>;

/**
 * What `sse()` returns: a middleware for `app.use` and `router.use`.
 *
 * @example
 * const streaming: SseMiddleware = sse({ keepAliveMs: 10_000 });
 * app.use((req, res, next) => (req.path === '/health' ? next() : streaming(req, res, next)));
 */
export type SseMiddleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

/**
 * What `sse` and each `createSse()` are: a function with two doors, `close()` and `size`.
 *
 * @example
 * app.use(sse()); // what later handlers return is streamed
 * app.get('/report', sse(async function* () { // what this one returns is streamed
 *   yield 'one line';
 * }));
 */
export interface Sse {
  /**
   * A middleware: what later handlers of an Express app or router return is streamed if it is an async generator.
   * Everything else is left alone. The nearest `sse()` above a route wins.
   *
   * Needs router 2.3, which Express 5.3 brings; on an older one each request fails with `ERR_SSE_EXPRESS_VERSION`.
   *
   * @param options on top of the instance's own
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` at once
   * @example
   * app.use(sse());
   * app.get('/clock', async function* () {
   *   yield new Date();
   * });
   */
  (options?: SseOptions): SseMiddleware;

  /**
   * Streams what a handler returns: every value becomes one event. Works on Express 4 and 5, connect, `node:http`
   * and `node:http2`.
   *
   * The first value is awaited before the head goes out, so that a throw before it becomes a real status through
   * `next`. When the client leaves, `res.sse.signal` aborts and the generator's `return()` is called at once.
   *
   * @param handler returns an async generator, any async or sync iterable, a Node Readable, a web ReadableStream,
   *   a promise of one, or `undefined` if it has answered by itself
   * @param options on top of the instance's own
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` at once
   * @example
   * app.get('/report', sse(async function* (req, res) {
   *   for await (const row of rows({ signal: res.sse.signal })) yield row;
   *   return 'done'; // the data of the closing `end` event
   * }));
   */
  <Expected extends AnyHandler | undefined>(
    handler: SseHandler<Expected>,
    options?: SseOptions,
  ): StreamingHandler<Expected>;

  /**
   * Ends every open stream of this instance so that its client reconnects, and every later one at once.
   *
   * Each is told at a random moment within `spreadMs`: its signal aborts, and it may go on yielding for `graceMs`;
   * then its response and its socket end.
   *
   * @returns a promise that resolves when the last stream is gone; called again, the same promise
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION`
   * @default `{ spreadMs: 1_000, graceMs: 5_000 }`
   * @example
   * process.once('SIGTERM', async () => {
   *   server.close();
   *   await sse.close();
   *   // Other requests have so long; and browsers open connections ahead of need, for which Node would wait a minute.
   *   setTimeout(() => server.closeAllConnections(), 5_000).unref();
   * });
   */
  close(options?: CloseOptions): Promise<void>;

  /**
   * How many streams of this instance are open, in this process.
   *
   * @example
   * app.get('/health', (req, res) => res.json({ streams: sse.size }));
   */
  readonly size: number;
}

/**
 * Another `sse`, independent of the others: with defaults, open streams and limits of its own.
 *
 * @param defaults for all its streams; the options of a door win over them
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` at once
 * @example
 * const feeds = createSse({ maxStreams: 5_000, maxDurationMs: 15 * 60_000 });
 * app.use('/feeds', feeds());
 */
export function createSse(defaults?: SseOptions): Sse {
  resolveSseOptions(defaults);
  const registry = new Registry();
  const instance = (first?: unknown, options?: SseOptions): unknown => {
    if (typeof first === 'function') {
      return handlerDoor(first as Handler, resolveSseOptions(defaults, options), registry);
    }
    checkNotHandler(first, options);
    return middlewareDoor(resolveSseOptions(defaults, first as SseOptions | undefined), registry);
  };
  return Object.defineProperties(instance, {
    close: { value: (options?: CloseOptions) => registry.close(resolveCloseOptions(options)) },
    size: { get: () => registry.size },
  }) as Sse;
}

/**
 * Streams what Express routes return, as Server-Sent Events: `app.use(sse())` for all routes below it,
 * `app.get(path, sse(handler))` for one. The `sse` of everyday use: `createSse()` with every default.
 *
 * @see {@link SseOptions} for what can be set
 * @example
 * import { setInterval } from 'node:timers/promises';
 *
 * app.use(sse());
 * app.get('/clock', async function* (req, res) {
 *   for await (const _ of setInterval(1000, null, { signal: res.sse.signal })) yield new Date();
 * });
 */
export const sse: Sse = createSse();

type Handler = (req: HttpRequest, res: HttpResponse, next: Next | undefined) => unknown;

function handlerDoor(handler: Handler, settings: ResolvedSseOptions, registry: Registry) {
  return function streamingHandler(req: HttpRequest, res: HttpResponse, next?: Next): void {
    const exchange = { req, res, next, context: contextOf(req, res), settings, registry, handler };
    try {
      const returned = handler(req, res, next);
      if (!isPromiseLike(returned)) return deliver(returned, exchange);
      Promise.resolve(returned).then(
        (value) => deliver(value, exchange),
        (error: unknown) => refuse(error, exchange),
      );
    } catch (error) {
      refuse(error, exchange);
    }
  };
}

function deliver(returned: unknown, exchange: StreamRequest): void {
  const { res } = exchange;
  // Answered by itself: with nothing to return, or as in `return res.status(401).json(…)` and `return file.pipe(res)`.
  if (returned === undefined || returned === res || res.headersSent) return;
  stream(returned, exchange);
}

/** What the handler itself has thrown; that its client has left, and it heard of it, is no error. */
function refuse(error: unknown, exchange: StreamRequest): void {
  if (!exchange.context.isAbort(error)) report(error, exchange);
}

function middlewareDoor(settings: ResolvedSseOptions, registry: Registry) {
  listen();
  const door = { settings, registry };
  return function sse(req: HttpRequest, res: HttpResponse, next?: Next): void {
    const context = contextOf(req, res);
    if (next === undefined || !isHeard(req)) {
      return report(notPublished(), { req, res, next, context, settings, registry, handler: sse });
    }
    mark(req, context, door);
    next();
  };
}

/** One for each response, whichever doors it passes. */
function contextOf(req: HttpRequest, res: HttpResponse & { sse?: unknown }): RequestContext {
  if (res.sse instanceof RequestContext) return res.sse;
  const context = new RequestContext(req, res);
  res.sse = context;
  return context;
}

function notPublished(): SseError {
  return new SseError(
    'ERR_SSE_EXPRESS_VERSION',
    'This Express does not publish what its handlers return, so app.use(sse()) cannot stream it. ' +
      'Update to Express 5.3 or router 2.3 (npm install express@latest), or wrap the route: app.get(path, sse(handler)).',
  );
}

function checkNotHandler(first: unknown, options: unknown): void {
  const isOptions = first === undefined || (typeof first === 'object' && first !== null);
  const isSource =
    isOptions && first !== undefined && (Symbol.asyncIterator in first || Symbol.iterator in first);
  if (isOptions && !isSource && options === undefined) return;
  const remedy = isSource
    ? 'Pass the function that makes it, not what it returns.'
    : 'Use sse(handler, options) or sse(options).';
  throw wrongType(
    'ERR_SSE_INVALID_HANDLER',
    `Expected sse() to get a handler function, or options alone, got ${describe(first)}. ${remedy}`,
  );
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
