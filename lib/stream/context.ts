import { abortError, isAbortOf } from '../abort';
import { lastEventIdOf } from '../connection/head';
import { type HttpRequest, type HttpResponse, isGone, offClosed, onClosed } from '../connection/http';

/**
 * What a handler finds at `res.sse`.
 *
 * @example
 * import { setTimeout } from 'node:timers/promises';
 *
 * async function* count({ lastEventId, signal }: SseContext) {
 *   for (let n = Number(lastEventId) + 1; n <= 60; n++) {
 *     yield event('count', n, { id: n });
 *     await setTimeout(1_000, null, { signal });
 *   }
 * }
 * app.get('/count', (_req, res) => count(res.sse));
 */
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
  /** Stands for the router that called a handler last, once there is a mark. */
  router: unknown;
  readonly #req: HttpRequest;
  readonly #res: HttpResponse;
  #controller: AbortController | undefined;
  #aborted = false;
  #onClosed: (() => void) | undefined;
  /** Whether a stream tells of the end, so that nothing need be listened to. */
  #adopted = false;
  #lastEventId: string | undefined;

  constructor(req: HttpRequest, res: HttpResponse) {
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
    return isAbortOf(this.#controller?.signal, error);
  }

  /** From here on a stream calls {@link RequestContext.abort}. */
  adopt(): void {
    this.#adopted = true;
    this.#stopListening();
  }

  /** The stream is over, but the response is not: an error handler has it. */
  release(): void {
    this.#adopted = false;
    if (this.#controller !== undefined && !this.#aborted) this.#listen();
  }

  abort(): void {
    this.#aborted = true;
    this.#stopListening();
    this.#controller?.abort(abortError());
  }

  #makeController(): AbortController {
    const controller = new AbortController();
    if (this.#aborted || isGone(this.#res)) {
      this.#aborted = true;
      controller.abort(abortError());
    } else if (!this.#adopted) this.#listen();
    return controller;
  }

  #listen(): void {
    this.#onClosed = () => {
      this.#stopListening();
      // A response that was ended is over, but nobody left.
      if (!this.#res.writableEnded) this.abort();
    };
    onClosed(this.#res, this.#onClosed);
  }

  #stopListening(): void {
    if (this.#onClosed === undefined) return;
    offClosed(this.#res, this.#onClosed);
    this.#onClosed = undefined;
  }
}
