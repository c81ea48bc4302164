import { lastEventIdOf } from './headers';
import { isGone, offClosed, onClosed, type ServerReply, type ServerRequest } from './http';

/** What a handler finds at `res.sse`. */
export interface SseContext {
  /**
   * Aborts when the client leaves, when the server closes and when the stream's time is up. Pass it to what the
   * generator awaits, so that nothing goes on for nobody. Made only when asked for.
   */
  readonly signal: AbortSignal;
  /** The id of the last event that the client has seen, from `Last-Event-ID`; `''` at the first connection. A client's word. */
  readonly lastEventId: string;
}

/** One request's {@link SseContext}, which lives from the middleware to the end of the response. */
export class RequestContext implements SseContext {
  /** What a middleware has noted for the handlers behind it. */
  mark: object | undefined;
  readonly #req: ServerRequest;
  readonly #res: ServerReply;
  #controller: AbortController | undefined;
  #aborted = false;
  #onClosed: (() => void) | undefined;
  #lastEventId: string | undefined;

  constructor(req: ServerRequest, res: ServerReply) {
    this.#req = req;
    this.#res = res;
  }

  get lastEventId(): string {
    this.#lastEventId ??= lastEventIdOf(this.#req);
    return this.#lastEventId;
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#makeController();
    return this.#controller.signal;
  }

  /** Whether {@link RequestContext.abort} was called, or the client has left while somebody held the signal. */
  get aborted(): boolean {
    return this.#aborted;
  }

  /** Whether `error` is the signal's doing: an `AbortError`, by whichever name libraries give it. */
  isAbort(error: unknown): boolean {
    if (this.#controller === undefined || !this.#aborted) return false;
    try {
      return isCausedBy(error, this.#controller.signal.reason);
    } catch {
      // Whatever was thrown, it throws when it is looked at.
      return false;
    }
  }

  abort(): void {
    this.#aborted = true;
    this.#stopListening();
    this.#controller?.abort();
  }

  #makeController(): AbortController {
    const controller = new AbortController();
    if (this.#aborted || isGone(this.#res)) {
      this.#aborted = true;
      controller.abort();
      return controller;
    }
    this.#onClosed = () => {
      this.#stopListening();
      // A response that was ended is over, but nobody left.
      if (!this.#res.writableEnded) this.abort();
    };
    onClosed(this.#res, this.#onClosed);
    return controller;
  }

  #stopListening(): void {
    if (this.#onClosed !== undefined) offClosed(this.#res, this.#onClosed);
  }
}

function isCausedBy(error: unknown, reason: unknown): boolean {
  // A chain of causes may run in a circle; nobody nests an abort deeper than this.
  for (let cause = error, depth = 0; isObject(cause) && depth < 8; cause = cause.cause, depth++) {
    if (cause === reason || isNamedAbort(cause)) return true;
  }
  return false;
}

// AbortError (DOM, Node, AWS), CanceledError (axios), CancelError (got), APIUserAbortError (OpenAI, Anthropic).
const ABORT_NAME = /abort|cancel/i;

function isNamedAbort(error: Record<'name' | 'cause', unknown>): boolean {
  return ABORT_NAME.test(String(error.name)) || ABORT_NAME.test(error.constructor?.name ?? '');
}

// Not `instanceof Error`: Node's own errors belong to another realm under Jest and node:vm.
function isObject(value: unknown): value is Record<'name' | 'cause', unknown> {
  return typeof value === 'object' && value !== null;
}
