import { type IncomingMessage, ServerResponse } from 'node:http';
import { type Http2ServerRequest, type Http2ServerResponse, constants as http2Constants } from 'node:http2';
import type { Socket } from 'node:net';

/** A request of Node's servers, Express and connect. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/**
 * The members of both kinds of response that are used here. Their own types cannot be called through a union, because the
 * overloads differ.
 */
export interface HttpResponse {
  statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly destroyed?: boolean;
  readonly closed?: boolean;
  readonly socket: Socket | null;
  readonly req: HttpRequest;
  getHeader(name: string): unknown;
  setHeader(name: string, value: number | string | readonly string[]): unknown;
  appendHeader(name: string, value: number | string | readonly string[]): unknown;
  removeHeader(name: string): void;
  writeHead(statusCode: number): unknown;
  write(data: string | Buffer, onWritten?: () => void): boolean;
  end(text?: string): unknown;
  destroy(error?: Error): unknown;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
  /** Added by `compression()`. */
  flush?(): void;
}

/**
 * The third argument of an Express or connect handler.
 *
 * @example
 * const live = (req: Request, _res: Response, next: Next) => (req.query.at === undefined ? prices : next());
 * app.get('/prices', sse(live), (req, res) => res.json({ at: req.query.at }));
 */
export type Next = (error?: unknown) => void;

/** The HTTP/2 stream of a response, or `undefined` on HTTP/1. */
export function http2StreamOf(res: HttpResponse): Http2ServerResponse['stream'] | undefined {
  if (res instanceof ServerResponse || !('stream' in res)) return undefined;
  return (res as Http2ServerResponse).stream;
}

/** Whether a write would be lost (client gone, or response already ended). */
export function isGone(res: HttpResponse): boolean {
  if (res.writableEnded || res.destroyed === true || res.closed === true) return true;
  // `destroyed` and `closed` are not documented for a response; what its client has caused shows on the socket, too.
  if (res instanceof ServerResponse) return (res.socket ?? queueSocketOf(res))?.destroyed === true;
  return 'stream' in res && http2StreamOf(res)?.destroyed !== false;
}

/** Whether the client, or this server, has ended the direction in which a response is sent. */
export function isUnwritable(res: HttpResponse): boolean {
  return res instanceof ServerResponse && res.socket !== null && !res.socket.writable;
}

/**
 * Ends a response without its last chunk, after everything written before has been sent, so that the client does not take it
 * for complete. A response of HTTP/1.0 ends with its connection: only a reset makes it incomplete.
 */
export function cut(res: HttpResponse): void {
  const http2 = http2StreamOf(res);
  if (http2 !== undefined) {
    res.write('', () => http2.close(http2Constants.NGHTTP2_INTERNAL_ERROR));
    return;
  }
  // From 24.22 and 26.9 on, Node passes what a handler has written to the socket only at the end of the turn.
  if (res instanceof ServerResponse) while (res.writableCorked > 0) res.uncork();
  const { socket } = res;
  if (socket === null) res.destroy();
  else if (isChunked(res)) socket.destroySoon();
  // Without `end()`: a FIN before the reset would end the response regularly.
  else socket.write('', () => socket.resetAndDestroy());
}

/** Whether a response has a last chunk; by its request, where `chunkedEncoding`, which is not documented, is missing. */
function isChunked(res: HttpResponse): boolean {
  const { chunkedEncoding = res.req.httpVersion !== '1.0' } = res as Partial<ServerResponse>;
  return chunkedEncoding;
}

/**
 * Discards the body of a request that the handler does not read. Node stops reading from a connection whose request has more
 * than a buffer of unread body, and then does not notice that the client has left. A smaller body may still be read later.
 */
export function discardUnreadBody(req: HttpRequest): void {
  if (req.method === 'GET' || req.readableFlowing !== null || req.readableEnded) return;
  if (req.listenerCount('readable') > 0 || !exceedsBuffer(req)) return;
  req.resume();
}

function exceedsBuffer({ headers, readableHighWaterMark }: HttpRequest): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) >= readableHighWaterMark;
}

/** The connection in whose pipeline a response waits; such a response has no socket of its own yet. */
export function queueSocketOf(res: HttpResponse): Socket | undefined {
  if (!(res instanceof ServerResponse) || res.socket !== null || res.writableFinished) return undefined;
  return res.req?.socket;
}
