import { AsyncResource } from 'node:async_hooks';
import type { AbortCode } from '../abort';
import { Connection, type ConnectionOwner, Ending } from '../connection/connection';
import { queueSocketOf } from '../connection/http';
import { destroy, offClosed, offTurn, onClosed, onTurn } from '../connection/pipeline';
import { isSseError, type SseError, type SseErrorCode, sseError, warn } from '../errors';
import { isServerSentEvent } from '../format/event';
import { encodeEnd } from '../format/event-stream';
import type { Frames } from '../format/frames';
import { type WireFormat, wireFormatOf } from '../format/wire-format';
import { LazyTimeout } from '../lazy-timeout';
import { type Admission, admit } from './admission';
import { type OpenStream, recordClose, recordOpen, routeOf, type StreamEnd } from './diagnostics';
import { errorText, report, reportRefusal } from './error-report';
import { negotiated } from './negotiation';
import { CLOSE_DEFAULTS } from './options';
import { type Consumer, openProducer, type Producer } from './producer';
import type { Closable } from './registry';
import { type ClientKind, clientKindOf, type StreamRequest } from './stream-request';

/** The errors of a channel that end a stream without a failure: the client should reconnect. */
const CHANNEL_ENDS: ReadonlySet<SseErrorCode> = new Set([
  'ERR_SSE_CHANNEL_CLOSED',
  'ERR_SSE_LOG_UNAVAILABLE',
  'ERR_SSE_OVERFLOW',
]);

/** Milliseconds for the last bytes of a stream that is shut down, before its socket is destroyed. */
const LAST_BYTES_MS = 1_000;

/** Streams what a handler returned, to the end of the response. Never throws, never rejects. */
export function stream(value: unknown, given: StreamRequest): void {
  const request = given.options.formats === undefined ? given : negotiated(given);
  let producer: Producer | undefined;
  try {
    producer = openProducer(value, request);
  } catch (error) {
    reportRefusal(error, request);
    return;
  }
  if (queueSocketOf(request.res) === undefined) begin(producer, request);
  else beginInTurn(producer, request);
}

function begin(producer: Producer, request: StreamRequest): void {
  try {
    const client = clientKindOf(request);
    const admission = admit(request, client);
    if (admission !== undefined) {
      new Stream(producer, request, client, admission).start();
      return;
    }
  } catch (error) {
    reportRefusal(error, request);
  }
  // The request is answered; the source still has to be closed.
  producer.cancel(warn);
}

/**
 * A response that waits in a pipeline takes no slot, and its source does not start, before the previous responses have
 * ended: one of them may be endless.
 */
function beginInTurn(producer: Producer, request: StreamRequest): void {
  const { res } = request;
  const onReady = AsyncResource.bind(() => {
    stopWaiting();
    begin(producer, request);
  });
  const onGone = AsyncResource.bind(() => {
    stopWaiting();
    // By the handler and not by the client: the connection follows.
    if (res.destroyed === true) destroy(res);
    producer.cancel(warn);
  });
  const stopWaiting = () => {
    offTurn(res, onReady);
    offClosed(res, onGone);
  };
  onTurn(res, onReady);
  onClosed(res, onGone);
}

/**
 * States only advance.
 *
 * | state | event | action | next |
 * | --- | --- | --- | --- |
 * | RUNNING | a value or frames | write them | RUNNING |
 * | RUNNING | the source returns, the channel ends | write the closing event or the value, end the response | ENDING |
 * | RUNNING | the channel disconnects, or its log is unavailable | break off the response | ENDING |
 * | RUNNING | the source throws before the head | `next(error)` | CLOSED |
 * | RUNNING | the source throws after the head | write the value of `onError`, break off the response | ENDING |
 * | RUNNING | `shutdown()` | abort the signal, cancel the source after the grace period, break off the response | ENDING |
 * | RUNNING | the response closes | abort the signal, cancel the source | CLOSED |
 * | ENDING | `shutdown()` | destroy the socket after the grace period | ENDING |
 * | ENDING | the response closes | `next(error)` if the source threw | CLOSED |
 *
 * To break off is to end the response for an EventSource, which reconnects, and to cut it for a fetch client, which would
 * otherwise take it for complete.
 */
enum StreamState {
  /** The producer's values go to the client. */
  RUNNING,
  /** The response has been ended; its last bytes are on their way. */
  ENDING,
  /** The response is closed, or was handed to the error handler. */
  CLOSED,
}

/**
 * One response: from its first value to its end.
 *
 * It is the AsyncResource of its request: whatever ends the stream, the user's code runs in the AsyncLocalStorage context in
 * which its handler returned.
 */
class Stream extends AsyncResource implements Consumer, ConnectionOwner, Closable {
  readonly key: string | undefined;
  readonly #producer: Producer;
  readonly #request: StreamRequest;
  readonly #client: ClientKind;
  readonly #format: WireFormat;
  readonly #connection: Connection;
  readonly #openedAt = performance.now();
  #state = StreamState.RUNNING;
  #events = 0;
  #commitTimeout: LazyTimeout | undefined;
  /** Timer for the next shutdown step: abort the signal, end the response, destroy the socket. */
  #shutdownTimer: NodeJS.Timeout | undefined;
  /** When the source is cancelled, on the clock of `performance.now()`. */
  #cancelAt = Number.POSITIVE_INFINITY;
  /** Error to pass to `next()` after the response has closed. */
  #failure: { readonly error: unknown } | undefined;
  /** Whether `next(err)` was called; a second call would truncate the error handler's response. */
  #reported = false;
  /** Why the stream ends, as soon as that is certain. */
  #reason: StreamEnd | undefined;
  /** `undefined` without subscribers to the diagnostics channels. */
  readonly #record: ReturnType<typeof recordOpen>;

  constructor(producer: Producer, request: StreamRequest, client: ClientKind, { key }: Admission) {
    super('SseStream', RESOURCE_OPTIONS);
    this.key = key;
    this.#producer = producer;
    this.#request = request;
    this.#client = client;
    this.#format = wireFormatOf(request.format ?? 'event-stream');
    this.#connection = new Connection(request.res, request.options, this);
    request.context.adopt();
    this.#record = recordOpen(request.req, request.res);
  }

  get drains(): boolean {
    return this.#client === 'fetch';
  }

  get view(): OpenStream {
    return viewOf(this, this.#request, this.#openedAt);
  }

  get events(): number {
    return this.#events;
  }

  get bytes(): number {
    return this.#connection.bytes;
  }

  start(): void {
    const { registry, options } = this.#request;
    const { commitAfterMs } = this.#client === 'fetch' ? options.fetch : options;
    registry.add(this);
    if (options.maxDurationMs !== false) {
      const ms = options.maxDurationMs * (0.8 + Math.random() * 0.2);
      this.#shutdownTimer = startTimer(ms, () => this.shutdown(CLOSE_DEFAULTS.graceMs, 'ERR_SSE_EXPIRED'));
    }
    if (commitAfterMs === 0) this.#commit();
    else if (commitAfterMs !== false) {
      this.#commitTimeout = new LazyTimeout(commitAfterMs, () => this.#commit());
    }
    if (this.#state === StreamState.RUNNING) this.#producer.start(this);
  }

  accept(value: unknown): boolean {
    if (this.#state !== StreamState.RUNNING) return false;
    if (this.#commitTimeout !== undefined) this.#clearCommitTimeout();
    if (isEvent(value)) this.#events++;
    if (this.#connection.write(this.#format.encode(value, this.#request.options.serialize))) return true;
    this.#resumeWhenReady();
    return false;
  }

  send(frames: Frames): boolean {
    if (this.#commitTimeout !== undefined) this.#clearCommitTimeout();
    this.#events += frames.events;
    try {
      if (this.#connection.send(frames)) return true;
    } catch (error) {
      // A patched `writeHead` may throw; catch it so that the other subscribers of this batch are still served.
      this.#failWith(error);
      return true;
    }
    this.#resumeWhenReady();
    return false;
  }

  /** Once positioned, nothing can fail before the first event: send the head now. */
  onPositioned(): void {
    if (this.#commitTimeout !== undefined) this.#commit();
  }

  finishWith(value: unknown): void {
    const { serialize } = this.#request.options;
    this.#finish(
      () => encodeEnd(value, serialize),
      () => (value === undefined ? '' : this.#format.encode(value, serialize)),
    );
  }

  finish(closingFrame: string, lastFrame: string): void {
    this.#finish(
      () => closingFrame,
      () => lastFrame,
    );
  }

  disconnect(): void {
    if (this.#state !== StreamState.RUNNING) return;
    this.#reason ??= 'channel';
    this.#breakOff('', true);
  }

  fail(error: unknown): void {
    const isExpected = this.#request.context.isAbort(error) || isEndOfChannel(error);
    if (this.#state !== StreamState.RUNNING) {
      if (!isExpected) this.#reportWhenClosed(error);
    } else if (!isExpected) {
      this.#failWith(error);
    } else {
      if (isEndOfChannel(error)) this.#reason ??= 'channel';
      this.#cancelAndEnd();
    }
  }

  /**
   * Aborts the signal; the source may keep yielding for `graceMs`, then the response ends. Called again, the earlier end
   * counts.
   */
  shutdown(graceMs: number, code: AbortCode): void {
    if (this.#state === StreamState.CLOSED) return;
    if (this.#state === StreamState.ENDING) {
      this.#endSocketWithin(graceMs + LAST_BYTES_MS);
      return;
    }
    const cancelAt = performance.now() + graceMs;
    if (cancelAt >= this.#cancelAt) return;
    this.#cancelAt = cancelAt;
    this.#reason = code === 'ERR_SSE_CLOSING' ? 'closed' : 'expired';
    clearTimeout(this.#shutdownTimer);
    if (this.#producer.hasCleanup) this.#shutdownTimer = startTimer(graceMs, () => this.#cancelAndEnd());
    this.#abort(code);
    if (!this.#producer.hasCleanup || graceMs === 0) this.#cancelAndEnd();
  }

  /** Advances state to CLOSED. */
  onClose(): void {
    const isInterrupted = this.#state === StreamState.RUNNING;
    const { stalled } = this.#connection;
    if (stalled) this.#reason = 'stalled';
    this.#close(this.#failure?.error);
    if (isInterrupted) {
      this.#abort(stalled ? 'ERR_SSE_STALLED' : 'ERR_SSE_CLIENT_LEFT');
      this.#cancel();
    }
    if (this.#failure !== undefined) this.#report(this.#failure.error, true);
  }

  onWriteError(error: unknown): void {
    this.#reportWhenClosed(error);
  }

  takeKeepAlive(): string | undefined {
    return this.#producer.takeKeepAlive() ?? this.#format.keepAlive;
  }

  #resumeWhenReady(): void {
    void this.#connection.ready().then(() => {
      if (this.#state === StreamState.RUNNING) this.#producer.resume();
    });
  }

  /** The first value takes too long: send the head, so that the client sees an open stream. */
  #commit(): void {
    this.#clearCommitTimeout();
    if (this.#state !== StreamState.RUNNING) return;
    try {
      this.#connection.write(this.#format.opening);
    } catch (error) {
      this.#failWith(error);
    }
  }

  /** A source that returns after its signal was aborted may not have finished, so its client should send a new request. */
  #finish(closingFrame: () => string, lastFrame: () => string): void {
    if (this.#state !== StreamState.RUNNING) return;
    if (this.#request.context.aborted) {
      this.#breakOff('');
      return;
    }
    this.#reason ??= 'finished';
    const sendsClosingEvent = this.#client === 'eventsource' && this.#request.options.end === 'stop';
    const last = sendsClosingEvent ? closingFrame() : lastFrame();
    if (last !== '') this.#events++;
    this.#end(this.#format.complete(last), Ending.COMPLETE, false);
  }

  /** The source threw, or yielded a value that cannot be sent. */
  #failWith(error: unknown): void {
    this.#reason = 'failed';
    this.#cancel();
    if (this.#connection.opened) {
      this.#failure = { error };
      this.#breakOff(this.runInAsyncScope(errorText, undefined, error, this.#request, this.#format));
      return;
    }
    this.#returnResponse(error);
  }

  /** Nothing was sent: an error handler answers. Advances state to CLOSED. */
  #returnResponse(error: unknown): void {
    this.#close(error);
    this.#connection.release();
    this.#request.context.release();
    this.#report(error);
  }

  #cancelAndEnd(): void {
    if (this.#state !== StreamState.RUNNING) return;
    this.#cancel();
    if (this.#client === 'fetch' && !this.#connection.opened) this.#returnResponse(unavailableError());
    else this.#breakOff('');
  }

  /** Ends the response so that its client does not take it for complete. Advances state to ENDING. */
  #breakOff(frame: string, isLastOfSocket = this.#request.context.aborted): void {
    this.#end(frame, this.#client === 'fetch' ? Ending.CUT : Ending.COMPLETE, isLastOfSocket);
  }

  #end(frame: string, ending: Ending, isLastOfSocket: boolean): void {
    this.#state = StreamState.ENDING;
    this.#clearTimers();
    if (isLastOfSocket) this.#endSocketWithin(LAST_BYTES_MS);
    this.#connection.end(frame, ending);
  }

  /** Ends the socket after the response, and destroys it if the last bytes take longer than this. */
  #endSocketWithin(ms: number): void {
    clearTimeout(this.#shutdownTimer);
    this.#connection.endSocket(this.#request.registry.closed);
    this.#shutdownTimer = startTimer(ms, () => this.#connection.destroy());
  }

  /** Advances state to CLOSED. */
  #close(error: unknown): void {
    this.#state = StreamState.CLOSED;
    this.#clearTimers();
    this.#request.registry.delete(this);
    if (this.#record === undefined) return;
    this.#record.events = this.#events;
    this.#record.bytes = this.bytes;
    recordClose(this.#record, this.#openedAt, this.#reason ?? 'left', error);
  }

  #abort(code: AbortCode): void {
    this.runInAsyncScope(this.#request.context.abort, this.#request.context, code);
  }

  #cancel(): void {
    this.runInAsyncScope(this.#producer.cancel, this.#producer, (error: unknown) =>
      this.#reportWhenClosed(error),
    );
  }

  /** Not before the response has closed, because Express's own error handler destroys the socket. */
  #reportWhenClosed(error: unknown): void {
    if (this.#state === StreamState.CLOSED) this.#report(error);
    else this.#failure ??= { error };
  }

  #report(error: unknown, onErrorCalled = false): void {
    if (this.#reported) {
      warn(error);
      return;
    }
    this.#reported = true;
    this.runInAsyncScope(report, undefined, error, this.#request, onErrorCalled);
  }

  #clearCommitTimeout(): void {
    this.#commitTimeout?.clear();
    this.#commitTimeout = undefined;
  }

  #clearTimers(): void {
    this.#clearCommitTimeout();
    clearTimeout(this.#shutdownTimer);
  }
}

/** No tool needs to know when a stream is collected, and to find out would cost each of them. */
const RESOURCE_OPTIONS = { requireManualDestroy: true } as const;

function viewOf(stream: Stream, { req, res }: StreamRequest, openedAt: number): OpenStream {
  return {
    req: req as OpenStream['req'],
    res: res as unknown as OpenStream['res'],
    route: routeOf(req),
    get events() {
      return stream.events;
    },
    get bytes() {
      return stream.bytes;
    },
    get durationMs() {
      return performance.now() - openedAt;
    },
    close: () => stream.shutdown(0, 'ERR_SSE_CLOSING'),
  };
}

/** Whether a value dispatches an event at the client; a comment does not. */
function isEvent(value: unknown): boolean {
  return !isServerSentEvent(value) || value.type !== undefined || value.data !== undefined;
}

/** Whether a channel was closed or its log was trimmed past the subscriber, which is not a failure of the route. */
function isEndOfChannel(error: unknown): boolean {
  return isSseError(error) && CHANNEL_ENDS.has(error.code);
}

function unavailableError(): SseError {
  const message = 'Cannot finish the stream: it was closed before its first event. Send the request again.';
  return sseError('ERR_SSE_CLOSING', message, { status: 503, headers: { 'Retry-After': '1' } });
}

function startTimer(ms: number, callback: () => void): NodeJS.Timeout {
  return setTimeout(callback, ms).unref();
}
