import { Connection, type ConnectionOwner } from '../connection/connection';
import { isSseError, type SseErrorCode, warn } from '../errors';
import { isServerSentEvent } from '../format/event';
import { EMPTY_COMMENT_FRAME, encode, encodeEnd } from '../format/event-stream';
import type { Frames } from '../format/frames';
import { LazyTimeout } from '../lazy-timeout';
import { admit } from './admission';
import { recordClose, recordOpen, type StreamEnd } from './diagnostics';
import { errorFrame, report } from './error-report';
import { CLOSE_DEFAULTS } from './options';
import { type Consumer, openProducer, type Producer } from './producer';
import type { Closable } from './registry';
import type { StreamRequest } from './stream-request';

/** The errors of a channel that end a stream without a failure: the client should reconnect. */
const CHANNEL_ENDS: ReadonlySet<SseErrorCode> = new Set([
  'ERR_SSE_CHANNEL_CLOSED',
  'ERR_SSE_LOG_UNAVAILABLE',
  'ERR_SSE_OVERFLOW',
]);

/** Milliseconds for the last bytes of a stream that is shut down, before its socket is destroyed. */
const LAST_BYTES_MS = 1_000;

/** Streams what a handler returned, to the end of the response. Never throws, never rejects. */
export function stream(value: unknown, request: StreamRequest): void {
  let producer: Producer | undefined;
  try {
    producer = openProducer(value, request);
    if (admit(request)) {
      new Stream(producer, request).start();
      return;
    }
  } catch (error) {
    report(error, request);
  }
  // The request is answered; the source still has to be closed.
  producer?.cancel(warn);
}

/**
 * States only advance.
 *
 * | state | event | action | next |
 * | --- | --- | --- | --- |
 * | RUNNING | a value or frames | write them | RUNNING |
 * | RUNNING | the source returns, the channel ends | write the closing event, end the response | ENDING |
 * | RUNNING | the channel disconnects, or its log is unavailable | end the response, so that the client reconnects | ENDING |
 * | RUNNING | the source throws before the head | `next(error)` | CLOSED |
 * | RUNNING | the source throws after the head | write the value of `onError`, end the response | ENDING |
 * | RUNNING | `shutdown()` | abort the signal, cancel the source after the grace period, end the response | ENDING |
 * | RUNNING | the response closes | abort the signal, cancel the source | CLOSED |
 * | ENDING | `shutdown()` | destroy the socket after the grace period | ENDING |
 * | ENDING | the response closes | `next(error)` if the source threw | CLOSED |
 */
enum StreamState {
  /** The producer's values go to the client. */
  RUNNING,
  /** The response has been ended; its last bytes are on their way. */
  ENDING,
  /** The response is closed, or was handed to the error handler. */
  CLOSED,
}

/** One response: from its first value to its end. */
class Stream implements Consumer, ConnectionOwner, Closable {
  readonly #producer: Producer;
  readonly #request: StreamRequest;
  readonly #connection: Connection;
  #state = StreamState.RUNNING;
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
  readonly #diagnosed: ReturnType<typeof recordOpen>;

  constructor(producer: Producer, request: StreamRequest) {
    this.#producer = producer;
    this.#request = request;
    this.#connection = new Connection(request.res, request.options, this);
    request.context.adopt();
    this.#diagnosed = recordOpen(request.req, request.res);
  }

  start(): void {
    const { registry, options } = this.#request;
    registry.add(this);
    if (options.maxDurationMs !== false) {
      const ms = options.maxDurationMs * (0.8 + Math.random() * 0.2);
      this.#shutdownTimer = startTimer(ms, () => this.shutdown(CLOSE_DEFAULTS.graceMs));
    }
    if (options.commitAfterMs === 0) this.#commit();
    else if (options.commitAfterMs !== false) {
      this.#commitTimeout = new LazyTimeout(options.commitAfterMs, () => this.#commit());
    }
    if (this.#state === StreamState.RUNNING) this.#producer.start(this);
  }

  accept(value: unknown): boolean {
    if (this.#state !== StreamState.RUNNING) return false;
    if (this.#commitTimeout !== undefined) this.#clearCommitTimeout();
    if (this.#diagnosed !== undefined && isEvent(value)) this.#diagnosed.record.events++;
    if (this.#connection.write(encode(value, this.#request.options.serialize))) return true;
    this.#resumeWhenReady();
    return false;
  }

  send(frames: Frames): boolean {
    if (this.#commitTimeout !== undefined) this.#clearCommitTimeout();
    if (this.#diagnosed !== undefined) this.#diagnosed.record.events += frames.events;
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
    this.#finish(() => encodeEnd(value, this.#request.options.serialize));
  }

  finish(frame: string): void {
    this.#finish(() => frame);
  }

  disconnect(): void {
    if (this.#state !== StreamState.RUNNING) return;
    this.#reason ??= 'channel';
    this.#end('', true);
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
  shutdown(graceMs: number): void {
    if (this.#state === StreamState.CLOSED) return;
    if (this.#state === StreamState.ENDING) {
      this.#endSocketWithin(graceMs + LAST_BYTES_MS);
      return;
    }
    const cancelAt = performance.now() + graceMs;
    if (cancelAt >= this.#cancelAt) return;
    this.#cancelAt = cancelAt;
    this.#reason = this.#request.registry.closed ? 'closed' : 'expired';
    clearTimeout(this.#shutdownTimer);
    if (this.#producer.hasCleanup) this.#shutdownTimer = startTimer(graceMs, () => this.#cancelAndEnd());
    this.#request.context.abort();
    if (!this.#producer.hasCleanup) this.#cancelAndEnd();
  }

  /** Advances state to CLOSED. */
  onClose(): void {
    const isInterrupted = this.#state === StreamState.RUNNING;
    if (this.#connection.stalled) this.#reason = 'stalled';
    this.#close(this.#failure?.error);
    if (isInterrupted) {
      this.#request.context.abort();
      this.#cancel();
    }
    if (this.#failure !== undefined) this.#report(this.#failure.error, true);
  }

  onWriteError(error: unknown): void {
    this.#reportWhenClosed(error);
  }

  get countsBytes(): boolean {
    return this.#diagnosed !== undefined;
  }

  onBytes(bytes: number): void {
    if (this.#diagnosed !== undefined) this.#diagnosed.record.bytes += bytes;
  }

  takeKeepAlive(): string | undefined {
    return this.#producer.takeKeepAlive();
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
      this.#connection.write(EMPTY_COMMENT_FRAME);
    } catch (error) {
      this.#failWith(error);
    }
  }

  /** A source that returns after its signal was aborted has not finished, so its client should reconnect. */
  #finish(closingFrame: () => string): void {
    if (this.#state !== StreamState.RUNNING) return;
    const { context, options } = this.#request;
    const frame = options.end === 'stop' && !context.aborted ? closingFrame() : '';
    if (!context.aborted) this.#reason ??= 'finished';
    if (this.#diagnosed !== undefined && frame !== '') this.#diagnosed.record.events++;
    this.#end(frame);
  }

  /** The source threw, or yielded a value that cannot be sent. */
  #failWith(error: unknown): void {
    this.#reason = 'failed';
    this.#cancel();
    if (this.#connection.opened) {
      this.#failure = { error };
      this.#end(errorFrame(error, this.#request));
      return;
    }
    this.#close(error);
    this.#connection.release();
    this.#request.context.release();
    this.#report(error);
  }

  #cancelAndEnd(): void {
    if (this.#state !== StreamState.RUNNING) return;
    this.#cancel();
    this.#end('');
  }

  /** Ends the response. Advances state to ENDING. */
  #end(frame: string, isLastOfSocket = this.#request.context.aborted): void {
    this.#state = StreamState.ENDING;
    this.#clearTimers();
    if (isLastOfSocket) this.#endSocketWithin(LAST_BYTES_MS);
    this.#connection.end(frame);
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
    if (this.#diagnosed === undefined) return;
    const { record, since } = this.#diagnosed;
    recordClose(record, since, this.#reason ?? 'left', error);
  }

  #cancel(): void {
    this.#producer.cancel((error) => this.#reportWhenClosed(error));
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
    report(error, this.#request, onErrorCalled);
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

/** Whether a value dispatches an event at the client; a comment does not. */
function isEvent(value: unknown): boolean {
  return !isServerSentEvent(value) || value.type !== undefined || value.data !== undefined;
}

/** Whether a channel was closed or its log was trimmed past the subscriber, which is not a failure of the route. */
function isEndOfChannel(error: unknown): boolean {
  return isSseError(error) && CHANNEL_ENDS.has(error.code);
}

function startTimer(ms: number, callback: () => void): NodeJS.Timeout {
  return setTimeout(callback, ms).unref();
}
