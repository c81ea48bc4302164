import { type AbortCode, abortController, abortError, isAbortOf } from '../abort';
import { lastEventIdOf } from '../connection/head';
import { type HttpRequest, type HttpResponse, isGone, type Next } from '../connection/http';
import { offClosed, onClosed } from '../connection/pipeline';
import type { ResolvedSseOptions } from './options';
import type { Registry } from './registry';

/**
 * The context of a request's stream, at `res.sse`.
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
   * Aborted when the client disconnects, by `sse.close()`, and by `maxDurationMs`. Pass it to every call that the generator
   * awaits, so that no work continues without a client. Created on first access.
   *
   * Its `reason` is an `AbortError` with a `code`: `'ERR_SSE_CLIENT_LEFT'`, `'ERR_SSE_STALLED'`, `'ERR_SSE_CLOSING'` or
   * `'ERR_SSE_EXPIRED'`.
   */
  readonly signal: AbortSignal;
  /**
   * The id of the last event that the client has received, from `Last-Event-ID`; `''` on the first connection. It is
   * client input: do not trust it.
   */
  readonly lastEventId: string;
}

/** One `app.use(sse())` that a request has passed. */
export interface SseScope {
  readonly options: ResolvedSseOptions;
  readonly registry: Registry;
  /** Identifies the router in which the middleware was called. */
  readonly router: Next | undefined;
  /** The scope of the `sse()` that the request has passed before. */
  readonly outer: SseScope | undefined;
}

/** The {@link SseContext} of one request, from the middleware to the end of the response. */
export class RequestContext implements SseContext {
  /** The scope of the last `sse()` that the request has passed. */
  scope: SseScope | undefined;
  /** Identifies the router that called the last handler; known once there is a scope. */
  router: Next | undefined;
  /** The handler that was called last, where that is known: an earlier one has passed the request on. */
  handler: object | undefined;
  readonly #req: HttpRequest;
  readonly #res: HttpResponse;
  #controller: AbortController | undefined;
  #abortCode: AbortCode | undefined;
  #onClosed: (() => void) | undefined;
  /** Whether a stream calls {@link RequestContext.abort}, so that no listener is needed. */
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
    this.#controller ??= this.#createController();
    return this.#controller.signal;
  }

  /** Whether {@link RequestContext.lastEventId} was read, also by `channel.subscribe(res.sse)`. */
  get wasRead(): boolean {
    return this.#lastEventId !== undefined;
  }

  /** Whether a stream sends the response. */
  get streaming(): boolean {
    return this.#adopted;
  }

  /** Whether {@link RequestContext.abort} was called, or the client has left after the signal was first accessed. */
  get aborted(): boolean {
    return this.#abortCode !== undefined;
  }

  /** Whether `error` is a consequence of the aborted signal, under any of the names that libraries give such errors. */
  isAbort(error: unknown): boolean {
    return isAbortOf(this.#controller?.signal, error);
  }

  /** From now on a stream calls {@link RequestContext.abort}. */
  adopt(): void {
    this.#adopted = true;
    this.#stopListening();
  }

  /** The stream has ended, but the response has not: an error handler answers. */
  release(): void {
    this.#adopted = false;
    if (this.#controller !== undefined && !this.aborted) this.#listen();
  }

  abort(code: AbortCode): void {
    this.#abortCode ??= code;
    this.#stopListening();
    this.#controller?.abort(abortError(this.#abortCode));
  }

  #createController(): AbortController {
    const controller = abortController();
    if (this.aborted || isGone(this.#res)) {
      this.#abortCode ??= 'ERR_SSE_CLIENT_LEFT';
      controller.abort(abortError(this.#abortCode));
    } else if (!this.#adopted) this.#listen();
    return controller;
  }

  #listen(): void {
    this.#onClosed = () => {
      this.#stopListening();
      // A response that was ended has closed regularly: the client has not left early.
      if (!this.#res.writableEnded) this.abort('ERR_SSE_CLIENT_LEFT');
    };
    onClosed(this.#res, this.#onClosed);
  }

  #stopListening(): void {
    if (this.#onClosed === undefined) return;
    offClosed(this.#res, this.#onClosed);
    this.#onClosed = undefined;
  }
}
