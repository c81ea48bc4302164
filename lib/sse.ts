import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpRequest, HttpResponse, Next } from './connection/http';
import { describe, type SseError, sseError, wrongType } from './errors';
import {
  isStreamable,
  publishesResults,
  subscribeToRouteResults,
  unsubscribeWithoutMiddleware,
} from './express/route-results';
import type { DefaultRequest, DefaultResponse, Settled } from './express/route-types';
import { enterScope } from './express/scope';
import { noteStreamingFunction } from './express/unstreamed';
import { RequestContext, type SseContext } from './stream/context';
import type { OpenStream } from './stream/diagnostics';
import { report } from './stream/error-report';
import {
  type CloseOptions,
  type ResolvedSseOptions,
  resolveCloseOptions,
  resolveSseOptions,
  type SseOptions,
} from './stream/options';
import { Registry } from './stream/registry';
import { stream } from './stream/stream';
import type { StreamRequest } from './stream/stream-request';
import { warnIfNotAnswered, warnOfNextInGenerator } from './stream/warnings';

declare global {
  namespace Express {
    interface Response {
      /** The signal and the last event ID of this request's stream; set by `sse()`. */
      readonly sse: SseContext;
    }
  }
}

/**
 * Any request handler, of any server or framework.
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

// Each parameter has a type of its own: compilers before TypeScript 5.9 cannot evaluate one for all three of them.
type RequestOf<Handler> = Handler extends (req: infer Req, ...rest: never) => unknown
  ? Settled<Req, Req, DefaultRequest<GivenResponseOf<Handler>>>
  : never;
type ResponseOf<Handler> = Handler extends (req: infer Req, res: infer Res, ...rest: never) => unknown
  ? Settled<Req, Res, DefaultResponse<Res>>
  : never;
type GivenResponseOf<Handler> = Handler extends (req: never, res: infer Res, ...rest: never) => unknown
  ? Res
  : never;
type NextOf<Handler> = Handler extends (req: never, res: never, next: infer N) => unknown
  ? Or<N, Next>
  : never;

type NodeHandler = (req: IncomingMessage, res: ServerResponse & WithSse, next: Next) => unknown;

/**
 * A handler that returns a value to stream: an async generator, an iterable, a stream, or a promise of one. It returns
 * `undefined` if it has sent a response itself or called `next`.
 *
 * `Expected` is the type of handler that the caller expects, so that the handler knows the route's own `Request` and
 * `Response` with their parameters. Without it the handler is one for `node:http`.
 *
 * @example
 * const report: SseHandler<RequestHandler> = async function* (req, res) {
 *   yield { path: req.path, lastEventId: res.sse.lastEventId };
 * };
 * app.get('/report', sse(report));
 */
export type SseHandler<Expected> = Expected extends AnyHandler
  ? // Nothing is expected. Before TypeScript 5.9 the parameters of a handler for `node:http` are known nevertheless.
    [AnyHandler] extends [Expected]
    ? NodeHandler | CallableFunction
    : (req: RequestOf<Expected>, res: ResponseOf<Expected> & WithSse, next: NextOf<Expected>) => unknown
  : Expected;

/**
 * The return value of `sse(handler)`: a request handler for Express, connect, `node:http` and `node:http2`.
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
  ? (req: Or<Req, IncomingMessage>, res: Or<Res, ServerResponse>, next?: Next) => void
  : Exclude<Expected, undefined>;

/**
 * The return value of `sse()`: a middleware for `app.use` and `router.use`.
 *
 * @example
 * const streaming: SseMiddleware = sse({ keepAliveMs: 10_000 });
 * app.use((req, res, next) => (req.path === '/health' ? next() : streaming(req, res, next)));
 */
export type SseMiddleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

/**
 * The type of `sse` and of the result of `createSse()`: a function with `close()` and `size`.
 *
 * @example
 * app.use(sse()); // streams the generators that later handlers return
 * app.get('/report', sse(async function* () { // streams the generator that this handler returns
 *   yield 'one line';
 * }));
 */
export interface Sse {
  // The signature of sse(options) is the last one: TypeScript 7 shows only its errors, such as those of a misspelt option.
  /**
   * Streams the return value of a handler: every value that it yields becomes one event. Works on Express 4.18 and later,
   * connect, `node:http` and `node:http2`.
   *
   * The response head waits for the first value, up to `commitAfterMs`, so that an error thrown before it becomes a real
   * status through `next`. When the client disconnects, `res.sse.signal` is aborted and the generator's `return()` is called
   * immediately.
   *
   * @param handler returns an async generator, any async or sync iterable, a Node Readable, a web ReadableStream, a promise
   *   of one, or `undefined` if it has sent a response itself
   * @param options override those of the instance
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
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
   * Creates a middleware that streams the async generators, channels and subscriptions that later handlers of an Express app
   * or router return. It ignores all other return values. If several `sse()` precede a route, the nearest one applies.
   *
   * It needs router 2.3, which a fresh install of Express 5 includes. With an older router each request fails with
   * `ERR_SSE_EXPRESS_VERSION`.
   *
   * @param options override those of the instance
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
   * @example
   * app.use(sse());
   * app.get('/clock', async function* () {
   *   yield new Date();
   * });
   */
  (options?: SseOptions): SseMiddleware;

  /**
   * Closes every open stream of this instance, so that its client reconnects. A stream that is requested afterwards ends
   * immediately.
   *
   * The signal of each stream is aborted at a random moment within `spreadMs`. Its generator may keep yielding for
   * `graceMs`; then its response and its socket end. The streams of fetch clients may continue for `drainMs` before
   * that, so that a response that is almost complete can end.
   *
   * @returns a promise that resolves when the last stream has closed; later calls return the same promise, and their options
   *   have no effect
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION`
   * @default `{ spreadMs: 1_000, graceMs: 5_000, drainMs: 10_000 }`
   * @example
   * process.once('SIGTERM', async () => {
   *   server.close();
   *   await sse.close();
   *   // Give other requests up to 5 s. Unused connections that browsers opened in advance would last a minute.
   *   setTimeout(() => server.closeAllConnections(), 5_000).unref();
   * });
   */
  close(options?: CloseOptions): Promise<void>;

  /**
   * Iterates over the open streams of this instance in this process, to find and close those of a user.
   *
   * @example
   * function logOut(user: string) {
   *   for (const stream of sse.streams()) {
   *     if (userOf(stream.req) === user) stream.close();
   *   }
   * }
   */
  streams(): IterableIterator<OpenStream>;

  /**
   * The number of open streams of this instance in this process.
   *
   * @example
   * app.get('/health', (req, res) => res.json({ streams: sse.size }));
   */
  readonly size: number;
}

/**
 * Creates an independent `sse` with its own defaults, open streams and limits.
 *
 * @param defaults the options of all its streams; options of a single `sse()` call override them
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` immediately
 * @example
 * const feeds = createSse({ maxStreams: 5_000, maxDurationMs: 15 * 60_000 });
 * app.use('/feeds', feeds());
 */
export function createSse(defaults?: SseOptions): Sse {
  resolveSseOptions(defaults);
  const registry = new Registry();
  const instance = (first?: unknown, options?: SseOptions): unknown => {
    if (typeof first === 'function') {
      return noteStreamingFunction(
        wrapHandler(first as Handler, resolveSseOptions(defaults, options), registry),
      );
    }
    checkNotHandler(first, options);
    return noteStreamingFunction(
      createMiddleware(resolveSseOptions(defaults, first as SseOptions | undefined), registry),
    );
  };
  return Object.defineProperties(instance, {
    close: descriptor({ value: (options?: CloseOptions) => registry.close(resolveCloseOptions(options)) }),
    size: descriptor({ get: () => registry.size }),
    streams: descriptor({ value: () => registry.streams() }),
  }) as Sse;
}

/**
 * Streams the async generators that Express routes return, as Server-Sent Events: `app.use(sse())` for all routes below it,
 * `app.get(path, sse(handler))` for one route. It is a `createSse()` with all defaults.
 *
 * @see {@link SseOptions} for the options
 * @example
 * import { setInterval } from 'node:timers/promises';
 *
 * app.use(sse());
 * app.get('/clock', async function* (req, res) {
 *   for await (const _ of setInterval(1000, null, { signal: res.sse.signal })) yield new Date();
 * });
 */
export const sse: Sse = createSse();

/** Without a prototype: a `get` or `value` on `Object.prototype` would make it invalid. */
function descriptor(attributes: PropertyDescriptor): PropertyDescriptor {
  return Object.assign(Object.create(null), attributes);
}

type Handler = (req: HttpRequest, res: HttpResponse, next: Next | undefined) => unknown;

function wrapHandler(handler: Handler, options: ResolvedSseOptions, registry: Registry) {
  unsubscribeWithoutMiddleware();
  return function streamingHandler(req: HttpRequest, res: HttpResponse, next?: Next): void {
    const context = contextOf(req, res);
    context.handler = handler;
    const request = { req, res, next, context, options, registry, handler, route: streamingHandler };
    try {
      const returned = handler(req, res, handler.length > 2 ? noteNext(request) : next);
      if (!isPromiseLike(returned)) {
        streamReturned(returned, request);
        return;
      }
      Promise.resolve(returned).then(
        (value) => streamReturned(value, request),
        (error: unknown) => reportThrown(error, request),
      );
    } catch (error) {
      reportThrown(error, request);
    }
  };
}

/** The `next` of a handler that takes one: the handler is not responsible for a request that it has passed on. */
function noteNext({ req, next, context, route }: StreamRequest): Next | undefined {
  if (next === undefined) return undefined;
  return (error) => {
    if (error) warnOfNextInGenerator({ req, route }, context);
    context.handler = undefined;
    next(error);
  };
}

function streamReturned(returned: unknown, request: StreamRequest): void {
  const { res } = request;
  // The handler has sent a response, as in `return res.status(401).json(…)` and `return file.pipe(res)`.
  if (returned === res) return;
  if (returned === undefined) warnIfNotAnswered(request);
  else if (!res.headersSent || isStreamable(returned)) stream(returned, request);
}

/** Reports an error of the handler, except an abort error after the client has disconnected. */
function reportThrown(error: unknown, request: StreamRequest): void {
  if (!request.context.isAbort(error)) report(error, request);
}

function createMiddleware(options: ResolvedSseOptions, registry: Registry) {
  subscribeToRouteResults();
  const scope = { options, registry };
  return function sse(req: HttpRequest, res: HttpResponse, next?: Next): void {
    const context = contextOf(req, res);
    if (next === undefined || !publishesResults(req)) {
      report(expressVersionError(), { req, res, next, context, options, registry, handler: sse, route: sse });
      return;
    }
    enterScope(req, context, scope);
    next();
  };
}

/** The context of a request, shared by every `sse()` that the request passes. */
function contextOf(req: HttpRequest, res: HttpResponse & { sse?: unknown }): RequestContext {
  if (res.sse instanceof RequestContext) return res.sse;
  const context = new RequestContext(req, res);
  if (res.sse === undefined) res.sse = context;
  // Express itself may have a `res.sse()`: an own property shadows it, also where an assignment would throw.
  else Object.defineProperty(res, 'sse', descriptor({ value: context, writable: true, configurable: true }));
  return context;
}

function expressVersionError(): SseError {
  return sseError(
    'ERR_SSE_EXPRESS_VERSION',
    'The router of this Express does not publish what handlers return, so app.use(sse()) cannot stream it. ' +
      'Update to Express 5.3 with router 2.3 (npm install express@latest && npm update router), or wrap the route: app.get(path, sse(handler)).',
  );
}

function checkNotHandler(first: unknown, options: unknown): void {
  const isOptions = first === undefined || (typeof first === 'object' && first !== null);
  const isSource =
    isOptions && first !== undefined && (Symbol.asyncIterator in first || Symbol.iterator in first);
  if (isOptions && !isSource && options === undefined) return;
  throw wrongType(
    'ERR_SSE_INVALID_HANDLER',
    isResponse(options)
      ? 'Expected sse() to be called by your app, got a request and a response. Use app.use(sse()), not app.use(sse).'
      : `Expected sse() to get a handler function, or options alone, got ${describe(first)}. ${remedyFor(isSource)}`,
  );
}

function isResponse(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'writeHead' in value;
}

function remedyFor(isSource: boolean): string {
  return isSource
    ? 'Pass the function that makes it, not what it returns.'
    : 'Use sse(handler, options) or sse(options).';
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
