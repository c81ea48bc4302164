import { acceptsEventStream, hasEventStreamHead } from '../connection/head';
import { isGone } from '../connection/http';
import { answerClosing, answerFinished, answerHead, answerLater } from '../connection/short-responses';
import { describe, type SseError, sseError, wrongType } from '../errors';
import { END_ID } from '../format/event';
import { refusePromise } from '../synchronous';
import { reportRefusal } from './error-report';
import { mediaTypesOf } from './negotiation';
import type { ClientKind, StreamRequest } from './stream-request';

/** The permission to open a stream. */
export interface Admission {
  /** The key under which the stream counts for `maxStreamsPerKey`; `undefined` without that limit. */
  readonly key: string | undefined;
}

const WITHOUT_KEY: Admission = { key: undefined };

/** Decides whether a request gets a stream. If not, the request is answered, and its generator must not start. */
export function admit(request: StreamRequest, client: ClientKind): Admission | undefined {
  const { options, registry } = request;
  const refuse = refusalOf(request, client);
  if (refuse !== undefined) {
    refuse(request, client);
    return undefined;
  }
  if (options.maxStreamsPerKey === Number.POSITIVE_INFINITY) return WITHOUT_KEY;
  const key = checkedKey(options.keyOf(request.req));
  const open = registry.sizeOf(key);
  if (open < options.maxStreamsPerKey) return { key };
  refuseFull(request, client, `${open} of this key are open, and maxStreamsPerKey`, options.maxStreamsPerKey);
  return undefined;
}

type Refusal = (request: StreamRequest, client: ClientKind) => void;

function refusalOf(
  { req, res, context, options, registry, format }: StreamRequest,
  client: ClientKind,
): Refusal | undefined {
  if (isGone(res)) return refuseGone;
  if (res.headersSent && !hasEventStreamHead(res)) return undefined;
  if (format === undefined && options.end === 'stop' && context.lastEventId === END_ID) return refuseFinished;
  if (format === null || (client === 'eventsource' && !acceptsEventStream(req))) return refuseNotAcceptable;
  if (req.method === 'HEAD') return refuseHead;
  if (registry.closed) return refuseClosing;
  return registry.size >= options.maxStreams ? refuseTooMany : undefined;
}

/** The client has already left, or the handler has ended the response. */
function refuseGone(): void {}

function refuseFinished({ res }: StreamRequest): void {
  answerFinished(res);
}

function refuseNotAcceptable(request: StreamRequest): void {
  reportRefusal(notAcceptableError(request), request);
}

function refuseHead({ res, options }: StreamRequest): void {
  answerHead(res, options);
}

function refuseClosing(request: StreamRequest, client: ClientKind): void {
  const { res, options } = request;
  if (client === 'eventsource') {
    answerClosing(res, options);
    return;
  }
  if (!res.headersSent) res.setHeader('Connection', 'close');
  const message = 'Cannot open a stream: the server is CLOSING. Send the request again.';
  reportUnavailable('ERR_SSE_CLOSING', message, 1 + Math.floor(Math.random() * 5), request);
}

function refuseTooMany(request: StreamRequest, client: ClientKind): void {
  const { options, registry } = request;
  refuseFull(request, client, `${registry.size} are open, and maxStreams`, options.maxStreams);
}

function refuseFull(request: StreamRequest, client: ClientKind, open: string, limit: number): void {
  const { res, options } = request;
  const { whenFull } = client === 'fetch' ? options.fetch : options;
  // Random, so that clients that were refused together do not reconnect together.
  const retryMs = 5_000 + Math.floor(Math.random() * 10_000);
  if (whenFull === 'retry') {
    answerLater(res, options, retryMs);
    return;
  }
  const message = `Cannot open a stream: ${open} is ${limit}.`;
  reportUnavailable('ERR_SSE_FULL', message, Math.ceil(retryMs / 1_000), request);
}

/** 503 with `Retry-After`. */
function reportUnavailable(
  code: 'ERR_SSE_FULL' | 'ERR_SSE_CLOSING',
  message: string,
  retryAfter: number,
  request: StreamRequest,
): void {
  const { res } = request;
  const headers = { 'Retry-After': String(retryAfter) };
  // Express's own error handler reads the headers of the error, other error handlers leave those of the response.
  if (!res.headersSent) res.setHeader('Retry-After', headers['Retry-After']);
  reportRefusal(sseError(code, message, { status: 503, headers }), request);
}

function checkedKey(key: unknown): string {
  if (typeof key === 'string') return key;
  refusePromise(key, 'keyOf', 'ERR_SSE_INVALID_OPTION');
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected keyOf to return a string, got ${describe(key)}. Return '' for requests that share one limit.`,
  );
}

function notAcceptableError({ req: { headers }, options: { formats } }: StreamRequest): SseError {
  const types = mediaTypesOf(formats);
  const message = `Expected Accept to allow ${types}, got ${describe(headers.accept)}. Send Accept: ${types}.`;
  return sseError('ERR_SSE_NOT_ACCEPTABLE', message, { status: 406 });
}
