import type { IncomingMessage } from 'node:http';
import { inspect, types } from 'node:util';
import { Subscribable } from '../channel/channel';
import { type SinkReader, Subscription } from '../channel/subscription';
import { Connection, type ConnectionOwner } from '../connection/connection';
import { accepts } from '../connection/head';
import { type HttpRequest, type HttpResponse, isGone } from '../connection/http';
import {
  answerClosing,
  answerFailure,
  answerFinished,
  answerHead,
  answerLater,
} from '../connection/short-responses';
import { SseError, type SseErrorCode, warn } from '../errors';
import { END_ID, ServerSentEvent } from '../format/event';
import { encode, encodeEnd } from '../format/event-stream';
import type { FrameSink, Frames } from '../format/frames';
import { LazyTimeout } from '../lazy-timeout';
import { closeSource, type OpenSource, openSource } from '../source';
import type { RequestContext } from './context';
import { recordClose, recordOpen, type StreamEnd } from './diagnostics';
import { CLOSE_DEFAULTS, type ResolvedSseOptions } from './options';
import type { Registry, Retirable } from './registry';

/**
 * What Express and connect hand to a handler as its third argument.
 *
 * @example
 * const live = (req: Request, _res: Response, next: Next) => (req.query.at === undefined ? prices : next());
 * app.get('/prices', sse(live), (req, res) => res.json({ at: req.query.at }));
 */
export type Next = (error?: unknown) => void;

/** One request and all that its stream needs to know about it. */
export interface StreamRequest {
  readonly req: HttpRequest;
  readonly res: HttpResponse;
  /** Missing on plain `node:http`, where nobody else will answer. */
  readonly next: Next | undefined;
  readonly context: RequestContext;
  readonly settings: ResolvedSseOptions;
  readonly registry: Registry;
  /** Stands for the route: the handler that returned the source. */
  readonly handler: object;
}

const CHANNEL_ENDS: ReadonlySet<SseErrorCode> = new Set([
  'ERR_SSE_CHANNEL_CLOSED',
  'ERR_SSE_LOG_UNAVAILABLE',
  'ERR_SSE_OVERFLOW',
]);

/** How long the last bytes of a retired stream may take before its socket is destroyed. */
const LINGER_MS = 1_000;

/** The corridor: from what a handler returned to the end of the response. Never throws, never rejects. */
export function stream(value: unknown, exchange: StreamRequest): void {
  let source: OpenSource | undefined;
  try {
    source = open(value, exchange);
    if (!isTurnedAway(exchange)) return new Stream(source, exchange).start();
  } catch (error) {
    report(error, exchange);
  }
  // Whatever the request was told, this is another matter.
  if (source !== undefined) void discard(source, exchange, warn);
}

/** Whether `value` is a channel, a part of one, or a subscription to it. */
export function isChannel(value: unknown): value is Subscribable<unknown> | Subscription {
  return value instanceof Subscribable || value instanceof Subscription;
}

function open(value: unknown, { context }: StreamRequest): OpenSource {
  if (value instanceof Subscription) {
    Subscription.check(value);
    return value;
  }
  // Not the whole context, whose signal is made only when asked for.
  if (value instanceof Subscribable) return value.subscribe({ lastEventId: context.lastEventId });
  return openSource(value);
}

/** Requests that get another answer than a stream; their generators never start. */
function isTurnedAway(exchange: StreamRequest): boolean {
  const { req, res, context, settings, registry } = exchange;
  if (isGone(res)) return true;
  if (settings.end === 'stop' && context.lastEventId === END_ID) {
    answerFinished(res);
    return true;
  }
  if (!accepts(req)) {
    report(notAcceptable(req), exchange);
    return true;
  }
  if (req.method === 'HEAD') {
    answerHead(res, settings);
    return true;
  }
  if (registry.closed) {
    answerClosing(res, settings);
    return true;
  }
  if (registry.size >= settings.maxStreams) {
    answerFull(exchange);
    return true;
  }
  return false;
}

function answerFull(exchange: StreamRequest): void {
  const { res, settings, registry } = exchange;
  // Random, so that those who are turned away together do not come back together.
  const retryMs = 5_000 + Math.floor(Math.random() * 10_000);
  if (settings.whenFull === 'retry') return answerLater(res, settings, retryMs);
  const headers = { 'Retry-After': String(Math.ceil(retryMs / 1_000)) };
  // Express's own error handler takes the error's headers, others the response's.
  res.setHeader('Retry-After', headers['Retry-After']);
  const message = `Cannot open a stream: ${registry.size} are open, and maxStreams is ${settings.maxStreams}.`;
  report(new SseError('ERR_SSE_FULL', message, { status: 503, headers }), exchange);
}

function notAcceptable({ headers }: HttpRequest): SseError {
  const message = `Expected Accept to allow text/event-stream, got '${headers.accept}'. Send Accept: text/event-stream.`;
  return new SseError('ERR_SSE_NOT_ACCEPTABLE', message, { status: 406 });
}

/** Each state only ever gives way to a later one. */
enum State {
  /** The source is pulled; its values go to the client. */
  RUNNING,
  /** Nothing more is pulled; the response has been ended. */
  ENDING,
  /** The response is closed, or back in the hands of the error handler. */
  OVER,
}

/** One source on its way to one client. */
class Stream implements ConnectionOwner, Retirable, FrameSink {
  readonly #source: OpenSource;
  readonly #exchange: StreamRequest;
  readonly #connection: Connection;
  /** Set if the source is a channel's, whose frames come without an iterator between. */
  #reader: SinkReader | undefined;
  #state = State.RUNNING;
  #commitTimer: LazyTimeout | undefined;
  /** Counts down to the next step of an end in order: told, ended, destroyed. */
  #retireTimer: NodeJS.Timeout | undefined;
  /** When the source is stopped, on the clock of `performance.now()`. */
  #stopAt = Number.POSITIVE_INFINITY;
  /** What the app's error handlers are to hear once the response is over. */
  #failure: { readonly error: unknown } | undefined;
  /** Why it ends, as soon as that is certain. */
  #reason: StreamEnd | undefined;
  /** Kept only if somebody listens. */
  readonly #diagnosed: ReturnType<typeof recordOpen>;
  /** Whether they have heard of one: a second `next()` would cut their answer off. */
  #reported = false;

  constructor(source: OpenSource, exchange: StreamRequest) {
    this.#source = source;
    this.#exchange = exchange;
    this.#connection = new Connection(exchange.res, exchange.settings, this);
    exchange.context.adopt();
    this.#diagnosed = recordOpen(exchange.req, exchange.res);
  }

  get counts(): boolean {
    return this.#diagnosed !== undefined;
  }

  onBytes(bytes: number): void {
    if (this.#diagnosed !== undefined) this.#diagnosed.record.bytes += bytes;
  }

  start(): void {
    const { registry, settings } = this.#exchange;
    registry.add(this);
    if (settings.maxDurationMs !== false) {
      const ms = settings.maxDurationMs * (0.8 + Math.random() * 0.2);
      this.#retireTimer = after(ms, () => this.retire(CLOSE_DEFAULTS.graceMs));
    }
    if (settings.commitAfterMs === 0) this.#commit();
    else if (settings.commitAfterMs !== false) {
      this.#commitTimer = new LazyTimeout(settings.commitAfterMs, () => this.#commit());
    }
    if (this.#state !== State.RUNNING) return;
    if (this.#source instanceof Subscription) this.#subscribe(this.#source);
    else void this.#run();
  }

  #subscribe(subscription: Subscription): void {
    this.#reader = Subscription.deliver(subscription, this);
    if (this.#reader === undefined) return this.#state === State.RUNNING ? void this.#run() : undefined;
    this.#reader.open();
    // A place that is found cannot fail any more, so there is nothing to wait for.
    if (this.#reader.joined && this.#commitTimer !== undefined) this.#commit();
  }

  send(frames: Frames): boolean {
    if (this.#commitTimer !== undefined) this.#stopCommitTimer();
    if (this.#diagnosed !== undefined) this.#diagnosed.record.events += frames.events;
    try {
      if (this.#connection.send(frames)) return true;
    } catch (error) {
      // Whoever has hooked into the head has thrown; others are served in the same turn.
      this.#fail(error);
      return true;
    }
    void this.#connection.ready().then(() => this.#reader?.resume());
    return false;
  }

  finish(frame: string): void {
    if (this.#state !== State.RUNNING) return;
    this.#endFinished(() => frame);
  }

  leave(): void {
    if (this.#state !== State.RUNNING) return;
    this.#reason ??= 'channel';
    this.#end('', true);
  }

  fail(error: unknown): void {
    if (this.#state === State.RUNNING) this.#onThrow(error);
  }

  idLine(): string {
    return this.#reader?.takeIdLine() ?? '';
  }

  /** An `await` for each value and nothing else: a promise chain or `for await` would cost one more promise each. */
  async #run(): Promise<void> {
    const connection = this.#connection;
    const { serialize } = this.#exchange.settings;
    try {
      for (;;) {
        const step = await this.#source.next();
        if (this.#state !== State.RUNNING) return;
        if (this.#commitTimer !== undefined) this.#stopCommitTimer();
        if (step.done) return this.#endFinished(() => encodeEnd(step.value, serialize));
        if (this.#diagnosed !== undefined && isEvent(step.value)) this.#diagnosed.record.events++;
        if (connection.write(encode(step.value, serialize))) continue;
        await connection.ready();
        if (this.#state !== State.RUNNING) return;
      }
    } catch (error) {
      this.#onThrow(error);
    }
  }

  /** The source has taken too long for its first value: the client learns that the stream is open. */
  #commit(): void {
    this.#stopCommitTimer();
    if (this.#state !== State.RUNNING) return;
    try {
      this.#connection.write(': \n\n');
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The source is through. After its signal has aborted, that is no finish, and the client comes again. */
  #endFinished(closingFrame: () => string): void {
    const { context, settings } = this.#exchange;
    const frame = settings.end === 'stop' && !context.aborted ? closingFrame() : '';
    if (!context.aborted) this.#reason ??= 'finished';
    if (this.#diagnosed !== undefined && frame !== '') this.#diagnosed.record.events++;
    this.#end(frame);
  }

  #onThrow(error: unknown): void {
    const aborted = this.#exchange.context.isAbort(error) || isEndOfChannel(error);
    if (this.#state !== State.RUNNING) return aborted ? undefined : this.#tell(error);
    if (!aborted) return this.#fail(error);
    if (isEndOfChannel(error)) this.#reason ??= 'channel';
    this.#discard();
    this.#end('');
  }

  /** The source threw, or yielded what cannot be sent. */
  #fail(error: unknown): void {
    this.#reason = 'failed';
    this.#discard();
    if (!this.#connection.opened) {
      this.#leave(error);
      this.#connection.release();
      this.#exchange.context.release();
      return this.#report(error);
    }
    this.#failure = { error };
    this.#end(lastWords(error, this.#exchange));
  }

  /** Ends the response. Advances state to ENDING. */
  #end(frame: string, soon = this.#exchange.context.aborted): void {
    this.#state = State.ENDING;
    this.#stopTimers();
    if (soon) this.#linger(LINGER_MS);
    this.#connection.end(frame);
  }

  /** Tells the source by its signal to end; it may go on for `graceMs`. Told again, the sooner end counts. */
  retire(graceMs: number): void {
    if (this.#state === State.OVER) return;
    if (this.#state === State.ENDING) return this.#linger(graceMs + LINGER_MS);
    const stopAt = performance.now() + graceMs;
    if (stopAt >= this.#stopAt) return;
    this.#stopAt = stopAt;
    this.#reason = this.#exchange.registry.closed ? 'closed' : 'expired';
    clearTimeout(this.#retireTimer);
    // A channel has no farewell to say.
    if (this.#reader === undefined) this.#retireTimer = after(graceMs, () => this.#stop());
    this.#exchange.context.abort();
    if (this.#reader !== undefined) this.#stop();
  }

  #stop(): void {
    if (this.#state !== State.RUNNING) return;
    this.#discard();
    this.#end('');
  }

  /** The last bytes have so much time; then the socket ends with the response, or is destroyed. */
  #linger(ms: number): void {
    clearTimeout(this.#retireTimer);
    this.#connection.endSocket(this.#exchange.registry.closed);
    this.#retireTimer = after(ms, () => this.#connection.destroy());
  }

  onWriteError(error: unknown): void {
    this.#tell(error);
  }

  /** The response is over: finished, destroyed, or the client has left. Advances state to OVER. */
  onClose(): void {
    const left = this.#state === State.RUNNING;
    if (this.#connection.stalled) this.#reason = 'stalled';
    this.#leave(this.#failure?.error);
    if (left) {
      this.#exchange.context.abort();
      this.#discard();
    }
    if (this.#failure !== undefined) this.#report(this.#failure.error, true);
  }

  #leave(error: unknown): void {
    this.#state = State.OVER;
    this.#stopTimers();
    this.#exchange.registry.delete(this);
    if (this.#diagnosed === undefined) return;
    const { record, since } = this.#diagnosed;
    recordClose(record, since, this.#reason ?? 'left', error);
  }

  #discard(): void {
    if (this.#reader !== undefined) return this.#reader.stop();
    void discard(this.#source, this.#exchange, (error) => this.#tell(error));
  }

  /** To the error handlers, but not before the response is over: Express's own destroys the socket. */
  #tell(error: unknown): void {
    if (this.#state === State.OVER) this.#report(error);
    else this.#failure ??= { error };
  }

  #report(error: unknown, onErrorKnows = false): void {
    if (this.#reported) return warn(error);
    this.#reported = true;
    report(error, this.#exchange, onErrorKnows);
  }

  #stopCommitTimer(): void {
    this.#commitTimer?.clear();
    this.#commitTimer = undefined;
  }

  #stopTimers(): void {
    this.#stopCommitTimer();
    clearTimeout(this.#retireTimer);
  }
}

/** Whether a value dispatches anything at the client. */
function isEvent(value: unknown): boolean {
  return !(value instanceof ServerSentEvent) || value.type !== undefined || value.data !== undefined;
}

/** Whether a channel was closed, or has gone past its reader: the client is to come again, and nobody did wrong. */
function isEndOfChannel(error: unknown): boolean {
  return error instanceof SseError && CHANNEL_ENDS.has(error.code);
}

/** Ends a source that nobody reads any more, and warns if it does not let go. Never rejects. */
async function discard(
  source: OpenSource,
  exchange: StreamRequest,
  onError: (error: unknown) => void,
): Promise<void> {
  const { cleanupWarnMs } = exchange.settings;
  const timer =
    cleanupWarnMs === false ? undefined : new LazyTimeout(cleanupWarnMs, () => warnOfStuck(exchange));
  try {
    await closeSource(source);
  } catch (error) {
    if (!exchange.context.isAbort(error)) onError(error);
  } finally {
    timer?.clear();
  }
}

/** What `onError` has for the client before the end. */
function lastWords(error: unknown, { req, settings }: StreamRequest): string {
  if (settings.onError === undefined) return '';
  try {
    const value = settings.onError(error, req as IncomingMessage);
    // There is no time to wait for it; `encode` refuses it.
    if (types.isPromise(value)) value.catch(warn);
    return value === undefined ? '' : encode(value, settings.serialize);
  } catch (thrown) {
    warn(thrown);
    return '';
  }
}

/** Hands an error to the app; without a `next`, answers and tells by itself. Never throws. */
export function report(error: unknown, exchange: StreamRequest, onErrorKnows = false): void {
  const { req, res, next, settings } = exchange;
  try {
    // Next reads nothing thrown as nothing wrong.
    if (next !== undefined) return next(error || new Error(`The handler threw ${inspect(error)}.`));
    if (!res.headersSent && !isGone(res)) answerFailure(res, statusOf(error));
    if (settings.onError === undefined) warn(error);
    else if (!onErrorKnows) Promise.resolve(settings.onError(error, req as IncomingMessage)).catch(warn);
  } catch (thrown) {
    warn(thrown);
  }
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('status' in error)) return 500;
  const { status } = error;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

const warnedOf = new WeakSet<object>();

function warnOfStuck({ req, handler }: StreamRequest): void {
  if (warnedOf.has(handler)) return;
  warnedOf.add(handler);
  const path = ('originalUrl' in req ? String(req.originalUrl) : req.url)?.split('?', 1)[0];
  process.emitWarning(
    `The generator of ${req.method} ${path} goes on although its client has left. Pass res.sse.signal to what it awaits.`,
    { type: 'SseWarning', code: 'SSE_GENERATOR_OUTLIVES_CLIENT' },
  );
}

function after(ms: number, callback: () => void): NodeJS.Timeout {
  return setTimeout(callback, ms).unref();
}
