import { channel } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Why a stream is over. `'finished'`: its source was through · `'left'`: the client went away · `'failed'`: its source
 * threw, or yielded what cannot be sent · `'stalled'`: the client did not read for `stallTimeoutMs` · `'expired'`:
 * `maxDurationMs` · `'closed'`: `sse.close()` · `'channel'`: its channel was closed, or has gone past it.
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
 * What is published of each stream on the channels `express-yield:open` and `express-yield:close` of
 * `node:diagnostics_channel`: the same object on both, complete when the stream is over.
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
  /** Under Express its `Request`, with what your middleware has put on it. */
  readonly req: IncomingMessage;
  /** Under Express its `Response`. */
  readonly res: ServerResponse;
  /** The route's pattern, such as `/prices/:symbol`; without a router the request's path. */
  readonly route: string;
  /** How many events were written, the closing one included. */
  events: number;
  /** Of the frames in UTF-8, before compression and HTTP's own framing. */
  bytes: number;
  /** Since the source was opened, in milliseconds; 0 while it is open. */
  durationMs: number;
  /** `undefined` while it is open. */
  reason: StreamEnd | undefined;
  /** What the source threw, if the reason is `'failed'`. */
  error: unknown;
}

// Node holds a channel weakly; what is subscribed to one that nobody holds may be lost.
const opened = channel('express-yield:open');
const closed = channel('express-yield:close');

/** Publishes that a stream has begun. @returns its record; `undefined`, and at no further cost, if nobody listens */
export function recordOpen(
  req: object,
  res: object,
): { readonly record: StreamRecord; readonly since: number } | undefined {
  if (!opened.hasSubscribers && !closed.hasSubscribers) return undefined;
  const record = {
    req: req as IncomingMessage,
    res: res as ServerResponse,
    route: routeOf(req),
    events: 0,
    bytes: 0,
    durationMs: 0,
    reason: undefined,
    error: undefined,
  };
  opened.publish(record);
  return { record, since: performance.now() };
}

/** Publishes that it is over. */
export function recordClose(record: StreamRecord, since: number, reason: StreamEnd, error: unknown): void {
  record.durationMs = performance.now() - since;
  record.reason = reason;
  record.error = error;
  closed.publish(record);
}

interface RoutedRequest {
  readonly baseUrl?: string;
  readonly originalUrl?: string;
  readonly url?: string;
  readonly route?: { readonly path?: unknown };
}

function routeOf({ baseUrl = '', originalUrl, url = '', route }: RoutedRequest): string {
  if (route?.path !== undefined) return baseUrl + String(route.path);
  return (originalUrl ?? url).split('?', 1)[0] ?? '';
}
