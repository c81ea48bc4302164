import { encodeRetry } from '../format/event-stream';
import type { Settings } from '../options';
import { writeHead } from './head';
import { http2StreamOf, type ServerReply } from './http';

/** 204, on which every `EventSource` stops for good (spec 9.2.3). */
export function answerFinished(res: ServerReply): void {
  // RFC 9110 15.3.5: a 204 may be stored unless told otherwise, and would then stop the next stream too.
  res.setHeader('Cache-Control', 'no-store');
  res.statusCode = 204;
  res.end();
}

/** The head that a GET would get, and no body (RFC 9110 9.3.2). */
export function answerHead(res: ServerReply, settings: Settings): void {
  writeHead(res, settings);
  res.end();
}

/** A stream that ends at once, so that an `EventSource` comes again; after `retryMs`, if that is given. */
export function answerLater(res: ServerReply, settings: Settings, retryMs?: number): void {
  writeHead(res, settings);
  res.end(retryMs === undefined ? undefined : encodeRetry(retryMs));
}

/** The same from a server that closes: the socket, too, is to end, or `server.close()` would wait for it. */
export function answerClosing(res: ServerReply, settings: Settings): void {
  const http2 = http2StreamOf(res);
  if (http2 === undefined) res.setHeader('Connection', 'close');
  answerLater(res, settings);
  http2?.session?.close();
}

/** A failure without its text, where nobody else will answer. */
export function answerFailure(res: ServerReply, statusCode: number): void {
  res.statusCode = statusCode;
  res.end();
}
