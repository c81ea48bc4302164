import { channel } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

/**
 * Why a stream has ended. `'finished'`: its source returned, or its channel ended · `'left'`: the client disconnected ·
 * `'failed'`: its source threw, or yielded a value that cannot be sent · `'stalled'`: the client read no sent data for
 * `stallTimeoutMs` · `'expired'`: `maxDurationMs` has passed · `'closed'`: `sse.close()` was called · `'channel'`: its channel was
 * closed, the log no longer retains its next event or is unavailable, or the signal of the returned subscription was aborted.
 *
 * @example
 * import { subscribe } from 'node:diagnostics_channel';
 *
 * const ends = new Map<StreamEnd, number>();
 * subscribe('express-yield:close', (stream) => {
 *   const { reason = 'left' } = stream as StreamRecord;
 *   ends.set(reason, (ends.get(reason) ?? 0) + 1);
 * });
 */
export type StreamEnd = 'finished' | 'left' | 'failed' | 'stalled' | 'expired' | 'closed' | 'channel';

/**
 * The message about each stream on the channels `express-yield:open` and `express-yield:close` of
 * `node:diagnostics_channel`. Both receive the same object; it is complete when the stream has ended.
 *
 * @example
 * import { subscribe } from 'node:diagnostics_channel';
 *
 * subscribe('express-yield:close', (stream) => {
 *   const { route, reason, events, bytes, durationMs } = stream as StreamRecord;
 *   console.log(route, reason, events, bytes, durationMs);
 * });
 */
export interface StreamRecord {
  /** Under Express its `Request`, with the properties that your middleware has added. */
  readonly req: IncomingMessage | Http2ServerRequest;
  /** Under Express its `Response`. */
  readonly res: ServerResponse | Http2ServerResponse;
  /** The pattern of the route, such as `/prices/:symbol`; without a router the path of the request. */
  readonly route: string;
  /** The number of events written, including the closing event. */
  events: number;
  /** The bytes of all frames in UTF-8, before compression and without the framing of HTTP. */
  bytes: number;
  /** Milliseconds since the source was opened; 0 while the stream is open. */
  durationMs: number;
  /** `undefined` while the stream is open. */
  reason: StreamEnd | undefined;
  /** The error, if the reason is `'failed'`. For another reason, an error of the source's cleanup or of a write, if there was one. */
  error: unknown;
}

/**
 * An open stream, from `sse.streams()`. Its numbers are those of the moment at which they are read.
 *
 * @example
 * function logOut(user: string) {
 *   for (const stream of sse.streams()) {
 *     if (userOf(stream.req) === user) stream.close();
 *   }
 * }
 */
export interface OpenStream extends Readonly<Omit<StreamRecord, 'reason' | 'error'>> {
  /**
   * Ends the stream, so that its client reconnects: its signal is aborted with `'ERR_SSE_CLOSING'`, and nothing that its
   * generator yields afterwards is sent. May be called more than once.
   */
  close(): void;
}

// Held here: Node holds a channel weakly, and a subscription to a collected channel may be lost.
const opened = channel('express-yield:open');
const closed = channel('express-yield:close');

/** Publishes that a stream has opened. @returns its record; without subscribers `undefined`, at no further cost */
export function recordOpen(req: object, res: object): StreamRecord | undefined {
  if (!opened.hasSubscribers && !closed.hasSubscribers) return undefined;
  const record = {
    req: req as StreamRecord['req'],
    res: res as StreamRecord['res'],
    route: routeOf(req),
    events: 0,
    bytes: 0,
    durationMs: 0,
    reason: undefined,
    error: undefined,
  };
  opened.publish(record);
  return record;
}

/** Publishes that the stream has closed. */
export function recordClose(record: StreamRecord, since: number, reason: StreamEnd, error: unknown): void {
  record.durationMs = performance.now() - since;
  record.reason = reason;
  record.error = error;
  closed.publish(record);
}

interface RequestRoute {
  readonly baseUrl?: string;
  readonly originalUrl?: string;
  readonly url?: string;
  readonly route?: { readonly path?: unknown };
}

/** The pattern of the route of a request; without a router the path of the request. */
export function routeOf({ baseUrl = '', originalUrl, url = '', route }: RequestRoute): string {
  if (route?.path !== undefined) return baseUrl + String(route.path);
  return (originalUrl ?? url).split('?', 1)[0] ?? '';
}
