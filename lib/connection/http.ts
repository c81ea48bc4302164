import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';

/** A request, as Node's servers, Express and connect hand it over. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/**
 * What the two kinds of response have in common here. Their own types cannot be called through a union, because
 * the overloads differ.
 */
export interface HttpResponse {
  statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly destroyed?: boolean;
  readonly closed?: boolean;
  readonly socket: Socket | null;
  setHeader(name: string, value: number | string | readonly string[]): unknown;
  appendHeader(name: string, value: number | string | readonly string[]): unknown;
  removeHeader(name: string): void;
  writeHead(statusCode: number): unknown;
  write(text: string): boolean;
  end(text?: string): unknown;
  destroy(error?: Error): unknown;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
  /** Added by `compression()`. */
  flush?(): void;
}

/** The HTTP/2 stream of a response, or `undefined` on HTTP/1. */
export function http2StreamOf(res: HttpResponse): Http2ServerResponse['stream'] | undefined {
  if (res instanceof ServerResponse || !('stream' in res)) return undefined;
  return (res as Http2ServerResponse).stream;
}

/** Whether nobody will receive what is written: the client has left, or the response was ended by somebody else. */
export function isGone(res: HttpResponse): boolean {
  if (res.writableEnded || res.destroyed === true || res.closed === true) return true;
  if (res instanceof ServerResponse) return queueOf(res)?.destroyed === true;
  return 'stream' in res && http2StreamOf(res)?.destroyed !== false;
}

/** The connection on which a pipelined response waits for its turn; it has no socket before that. */
export function queueOf(res: HttpResponse): Socket | undefined {
  if (!(res instanceof ServerResponse) || res.socket !== null || res.writableFinished) return undefined;
  return res.req?.socket;
}

/** The responses in the queue of one connection, which hear through one listener of its end. */
class PipelinedResponses {
  static readonly #of = new WeakMap<Socket, PipelinedResponses>();

  static of(socket: Socket): PipelinedResponses {
    const known = PipelinedResponses.known(socket);
    if (known !== undefined) return known;
    const made = new PipelinedResponses(socket);
    PipelinedResponses.#of.set(socket, made);
    return made;
  }

  static known(socket: Socket): PipelinedResponses | undefined {
    return PipelinedResponses.#of.get(socket);
  }

  readonly #socket: Socket;
  readonly #queued = new Map<() => void, HttpResponse>();
  readonly #onClose = () => {
    for (const [listener, res] of this.#queued) {
      if (queueOf(res) !== undefined) listener();
    }
  };

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  add(res: HttpResponse, listener: () => void): void {
    if (this.#queued.size === 0) this.#socket.on('close', this.#onClose);
    this.#queued.set(listener, res);
  }

  delete(listener: () => void): void {
    if (this.#queued.delete(listener) && this.#queued.size === 0) this.#socket.off('close', this.#onClose);
  }
}

/**
 * Calls `listener` once the response is over, also if it never had its turn: to a pipelined response that is still
 * without a socket Node tells nothing when the connection closes (measured).
 */
export function onClosed(res: HttpResponse, listener: () => void): void {
  res.on('close', listener);
  const socket = queueOf(res);
  if (socket !== undefined) PipelinedResponses.of(socket).add(res, listener);
}

/** Takes a listener of {@link onClosed} back. A closure that does it would cost each idle stream 110 bytes. */
export function offClosed(res: HttpResponse, listener: () => void): void {
  res.off('close', listener);
  if (res instanceof ServerResponse && res.req !== undefined)
    PipelinedResponses.known(res.req.socket)?.delete(listener);
}
