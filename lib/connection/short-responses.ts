import { encodeRetry } from '../format/event-stream';
import { type HeadOptions, writeHead } from './head';
import { type HttpResponse, http2StreamOf } from './http';

// The handler may have sent the head of an event stream before. Then a response only ends, and an EventSource reconnects.

/** 204, after which every `EventSource` stops for good (spec 9.2.3). */
export function answerFinished(res: HttpResponse): void {
  if (!res.headersSent) {
    // RFC 9110 15.3.5: a 204 may be cached by default, and would then stop the next stream, too.
    res.setHeader('Cache-Control', 'no-store');
    res.statusCode = 204;
  }
  res.end();
}

/** The head of a GET without a body (RFC 9110 9.3.2). */
export function answerHead(res: HttpResponse, options: HeadOptions): void {
  if (!res.headersSent) writeHead(res, options);
  res.end();
}

/** A stream that ends immediately, so that an `EventSource` reconnects; after `retryMs`, if given. */
export function answerLater(res: HttpResponse, options: HeadOptions, retryMs?: number): void {
  if (!res.headersSent) writeHead(res, options);
  res.end(retryMs === undefined ? undefined : encodeRetry(retryMs));
}

/** The same from a closing server: the socket ends, too, or `server.close()` would wait for it. */
export function answerClosing(res: HttpResponse, options: HeadOptions): void {
  const http2 = http2StreamOf(res);
  if (http2 === undefined && !res.headersSent) res.setHeader('Connection', 'close');
  answerLater(res, options);
  http2?.session?.close();
}

/** A failure without its message, where no error handler can answer. */
export function answerFailure(res: HttpResponse, statusCode: number): void {
  res.statusCode = statusCode;
  res.end();
}
