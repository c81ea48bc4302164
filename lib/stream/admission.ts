import { acceptsEventStream } from '../connection/head';
import { type HttpRequest, isGone } from '../connection/http';
import { answerClosing, answerFinished, answerHead, answerLater } from '../connection/short-responses';
import { SseError } from '../errors';
import { END_ID } from '../format/event';
import { report } from './error-report';
import type { StreamRequest } from './stream-request';

/** Decides whether a request gets a stream. If not, the request is answered, and its generator must not start. */
export function admit(request: StreamRequest): boolean {
  const refuse = refusalOf(request);
  refuse?.(request);
  return refuse === undefined;
}

type Refusal = (request: StreamRequest) => void;

function refusalOf({ req, res, context, options, registry }: StreamRequest): Refusal | undefined {
  if (isGone(res)) return refuseGone;
  if (options.end === 'stop' && context.lastEventId === END_ID) return refuseFinished;
  if (!acceptsEventStream(req)) return refuseNotAcceptable;
  if (req.method === 'HEAD') return refuseHead;
  if (registry.closed) return refuseClosing;
  return registry.size >= options.maxStreams ? refuseFull : undefined;
}

/** The client has already left, or the handler has ended the response. */
function refuseGone(): void {}

function refuseFinished({ res }: StreamRequest): void {
  answerFinished(res);
}

function refuseNotAcceptable(request: StreamRequest): void {
  report(notAcceptableError(request.req), request);
}

function refuseHead({ res, options }: StreamRequest): void {
  answerHead(res, options);
}

function refuseClosing({ res, options }: StreamRequest): void {
  answerClosing(res, options);
}

function refuseFull(request: StreamRequest): void {
  const { res, options, registry } = request;
  // Random, so that clients that were refused together do not reconnect together.
  const retryMs = 5_000 + Math.floor(Math.random() * 10_000);
  if (options.whenFull === 'retry') {
    answerLater(res, options, retryMs);
    return;
  }
  const headers = { 'Retry-After': String(Math.ceil(retryMs / 1_000)) };
  // Express's own error handler reads the headers of the error, other error handlers leave those of the response.
  res.setHeader('Retry-After', headers['Retry-After']);
  const message = `Cannot open a stream: ${registry.size} are open, and maxStreams is ${options.maxStreams}.`;
  report(new SseError('ERR_SSE_FULL', message, { status: 503, headers }), request);
}

function notAcceptableError({ headers }: HttpRequest): SseError {
  const message = `Expected Accept to allow text/event-stream, got '${headers.accept}'. Send Accept: text/event-stream.`;
  return new SseError('ERR_SSE_NOT_ACCEPTABLE', message, { status: 406 });
}
