import { isUtf8 } from 'node:buffer';
import { ServerResponse } from 'node:http';
import { fitsHeader, MAX_ID_BYTES } from '../format/event';
import { given } from '../given';
import { qualityOf } from './accept';
import type { HttpRequest, HttpResponse } from './http';

/** What the response head depends on. */
export interface HeadOptions {
  readonly headers: ReadonlyArray<readonly [name: string, value: string | number | readonly string[]]>;
  readonly compress: boolean;
  /** Of another format than an event stream; it overrides one in `headers`. */
  readonly contentType?: string | undefined;
}

const STORE_NOTHING = 'private, no-cache, no-store';

/** Headers with a list of values: an earlier middleware may have set some. */
const APPENDED = new Set(['set-cookie', 'vary']);

const EVENT_STREAM_TYPE = /^text\/event-stream\s*(;|$)/i;

const EVENT_STREAM_HEADER = /^content-type:\s*text\/event-stream\s*(;|\r?$)/im;

/** Whether the value of a `Content-Type` is that of an event stream. */
export function isEventStreamType(type: unknown): boolean {
  return typeof type === 'string' && EVENT_STREAM_TYPE.test(type);
}

/** Whether the response head that the handler has already sent is that of an event stream. */
export function hasEventStreamHead(res: HttpResponse & { readonly _header?: unknown }): boolean {
  const type = res.getHeader('Content-Type');
  if (type !== undefined) return isEventStreamType(type);
  // Headers that were passed to `writeHead()` alone are in the head only, which Node keeps as text. That is not documented:
  // without it, the handler is trusted.
  if (typeof res._header === 'string') return EVENT_STREAM_HEADER.test(res._header);
  return res instanceof ServerResponse;
}

/** Whether a request is that of an EventSource: a GET whose `Accept` names event streams. */
export function isEventSource({ method, headers: { accept } }: HttpRequest): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return accept === 'text/event-stream' || (accept?.toLowerCase().includes('text/event-stream') ?? false);
}

/** Whether the client accepts an event stream, by its `Accept` header (RFC 9110 12.5.1). */
export function acceptsEventStream(req: HttpRequest): boolean {
  const { accept } = req.headers;
  // Sent by an EventSource, and by most other clients.
  if (accept === undefined || accept === 'text/event-stream' || accept === '*/*') return true;
  return qualityOf(accept, 'text/event-stream') > 0;
}

const QUERY_FIELD = 'lastEventId=';

/**
 * The id of the last event that the client has received, as it claims: from `Last-Event-ID`, else from `lastEventId` in the
 * query, where polyfills and htmx send it; `''` without one. It is client input: its length is limited here, and it may be
 * any string.
 */
export function lastEventIdOf(req: HttpRequest): string {
  const header = given(req.headers, 'last-event-id');
  const bytes = (Array.isArray(header) ? header[0] : header) || idInQuery(req.url);
  if (bytes === '') return '';
  // Node reads header bytes as latin1. Browsers send UTF-8 (spec 9.2.3); Node's fetch, and so npm eventsource, latin1.
  const id = Buffer.from(bytes.slice(0, MAX_ID_BYTES), 'latin1');
  return id.toString(isUtf8(id) ? 'utf8' : 'latin1');
}

/** The first `lastEventId` of a query as bytes, like a header. The URL is not parsed: few have one, and it may be invalid. */
function idInQuery(url: string | undefined): string {
  if (url === undefined || !url.includes(QUERY_FIELD)) return '';
  const [, query = ''] = /\?(.*)$/s.exec(url) ?? [];
  const field = query.split('&').find((candidate) => candidate.startsWith(QUERY_FIELD));
  return field === undefined ? '' : percentDecoded(field.slice(QUERY_FIELD.length));
}

/** Decodes as `URLSearchParams` does, to bytes: a malformed escape stays, and so does text that no event has as its id. */
function percentDecoded(text: string): string {
  const decoded = text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-f]{2})/gi, (_escape, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return fitsHeader(decoded) ? decoded : text;
}

/** Sets and fixes the response head of an event stream. Node sends it with the first bytes of the body. */
export function writeHead(res: HttpResponse, options: HeadOptions): void {
  // Without the charset, clients such as Python's requests read a text type as ISO-8859-1.
  if (!isEventStreamType(res.getHeader('Content-Type'))) {
    res.setHeader('Content-Type', 'text/event-stream; charset=utf-8');
  }
  // Chromium writes a fetched stream to its disk cache, and holds back a second request for it, unless `no-store` is set.
  res.setHeader('Cache-Control', options.compress ? STORE_NOTHING : `${STORE_NOTHING}, no-transform`);
  res.setHeader('X-Accel-Buffering', 'no');
  for (const [name, value] of options.headers) {
    if (APPENDED.has(name.toLowerCase())) res.appendHeader(name, value);
    else res.setHeader(name, value);
  }
  if (options.contentType !== undefined) res.setHeader('Content-Type', options.contentType);
  // A length set by an earlier middleware would truncate the stream.
  res.removeHeader('Content-Length');
  // An EventSource accepts only 200 (spec 9.2.3).
  res.writeHead(200);
}
