import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';

/** A request as any of Node's servers, Express or connect hand it over. */
export type ServerRequest = IncomingMessage | Http2ServerRequest;

/**
 * What the two kinds of response have in common here. Their own types cannot be called through a union, because
 * the overloads differ.
 */
export interface ServerReply {
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
export function http2StreamOf(res: ServerReply): Http2ServerResponse['stream'] | undefined {
  return 'stream' in res ? (res as Http2ServerResponse).stream : undefined;
}

/** Whether nobody will receive what is written: the client has left, or the response was ended by somebody else. */
export function isGone(res: ServerReply): boolean {
  if (res.writableEnded || res.destroyed === true || res.closed === true) return true;
  return 'stream' in res && http2StreamOf(res)?.destroyed !== false;
}
