import type { OutgoingHttpHeaders } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { isUint8Array } from 'node:util/types';
import { describe, wrongType } from '../errors';
import type { DispatchedEvent } from '../format/parse';
import { type Check, type Checks, checked, count, delay, headerObject, ofType } from '../validate';

/**
 * How `openStream()` sends its request.
 *
 * @example
 * const stream = await openStream(app, '/prices', { lastEventId: 'row-7', headers: { Cookie: 'session=1' } });
 */
export interface StreamInit {
  /**
   * The request's method.
   * @default 'GET', or 'POST' if there is a body
   */
  readonly method?: string | undefined;
  /**
   * The request's headers. `Accept: text/event-stream` is sent unless `headers` has an `Accept`.
   * @default {}
   */
  readonly headers?: Readonly<OutgoingHttpHeaders> | undefined;
  /**
   * The request's body, sent unchanged; set its `Content-Type` in `headers`.
   * @default undefined
   */
  readonly body?: string | Uint8Array | undefined;
  /**
   * Sent as `Last-Event-ID`, as by a browser that reconnects; `''` is not sent.
   * @default ''
   */
  readonly lastEventId?: string | undefined;
  /**
   * Milliseconds after which a wait fails, with a message that shows what was received. It cannot be turned off.
   * @default 3_000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * TLS options for an `https:` target, such as `{ ca }`.
   * @default Node's own checks for a URL; no certificate check for a server of this process
   */
  readonly tls?: ConnectionOptions | undefined;
}

/**
 * The events that {@link eventStream} waits for.
 *
 * @example
 * const res = await request(app)
 *   .get('/report')
 *   .buffer()
 *   .parse(eventStream({ until: ({ type }) => type === 'end', timeoutMs: 1_000 }));
 */
export interface EventStreamOptions {
  /**
   * The number of events to read before the request is ended: a positive integer. Not together with `until`.
   * @default all events, until the response ends
   */
  readonly take?: number | undefined;
  /**
   * Milliseconds after which the request fails, with a message that shows what was received. It cannot be turned off.
   * @default 3_000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Reads all events up to and including the first for which this returns true. Not together with `take`.
   * @default all events, until the response ends
   */
  readonly until?: ((event: DispatchedEvent) => boolean) | undefined;
}

/** Options whose `timeoutMs` is resolved. */
export type Timed<Options> = Options & { readonly timeoutMs: number };

/** Below the 5,000 ms after which Jest and Vitest fail a test without showing what was received. */
const DEFAULTS = { timeoutMs: 3_000 } as const;

const STREAM_INIT_CHECKS: Checks<StreamInit> = {
  method: ofType('string', 'a method such as POST'),
  headers: headerObject as Check,
  body: checkBody,
  lastEventId: ofType('string', 'a string'),
  timeoutMs: delay(1, 'required'),
  tls: ofType('object', 'an object such as { ca }'),
};

const EVENT_STREAM_CHECKS: Checks<EventStreamOptions> = {
  take: count,
  until: ofType('function', 'a function of an event'),
  timeoutMs: delay(1, 'required'),
};

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveStreamInit(init: StreamInit | undefined): Timed<StreamInit> {
  return withDefaults(checked(init, STREAM_INIT_CHECKS));
}

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveEventStreamOptions(
  options: EventStreamOptions | undefined,
): Timed<EventStreamOptions> {
  const given = checked(options, EVENT_STREAM_CHECKS);
  if (given.take !== undefined && given.until !== undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_OPTION',
      'Expected either take or until, got both. Count in the predicate of until.',
    );
  }
  return withDefaults(given);
}

/** Without a prototype, as {@link checked} returns them. */
function withDefaults<Options extends { readonly timeoutMs?: number | undefined }>(
  given: Options,
): Timed<Options> {
  return Object.assign(Object.create(null), DEFAULTS, given);
}

function checkBody(name: string, value: unknown): void {
  if (typeof value === 'string' || isUint8Array(value)) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected ${name} to be a string or bytes, got ${describe(value)}. Use JSON.stringify(), and set its Content-Type in headers.`,
  );
}
