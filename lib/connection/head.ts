import { isUtf8 } from 'node:buffer';
import { MAX_ID_BYTES } from '../format/event';
import type { HttpRequest, HttpResponse } from './http';

// From the widest to the narrowest; RFC 9110 12.5.1: the most specific range that matches decides.
const MATCHING_RANGES = ['*/*', 'text/*', 'text/event-stream'];

/** What the response head depends on. */
export interface HeadOptions {
  readonly headers: ReadonlyArray<readonly [name: string, value: string | number | readonly string[]]>;
  readonly compress: boolean;
}

/** Lists, to which a middleware in front may have added its own part. */
const ADDED = new Set(['set-cookie', 'vary']);

/** Whether the client takes an event stream, by its `Accept` header (RFC 9110 12.5.1). */
export function accepts(req: HttpRequest): boolean {
  const header = req.headers.accept;
  // What an EventSource sends, and most others.
  if (header === undefined || header === 'text/event-stream' || header === '*/*') return true;
  const ranges = header
    .toLowerCase()
    .split(',')
    .filter((range) => range.trim() !== '');
  let narrowest = -1;
  let wanted = ranges.length === 0;
  for (const range of ranges) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const width = MATCHING_RANGES.indexOf(type);
    if (width === -1 || width < narrowest) continue;
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    // Of two as narrow, which then differ in their parameters, one that allows it is enough.
    wanted = !refused || (wanted && width === narrowest);
    narrowest = width;
  }
  return wanted;
}

/**
 * The id of the last event that the client says it has seen; `''` if it says none. A client's word: bounded, and
 * never trusted to be an id of ours.
 */
export function lastEventIdOf(req: HttpRequest): string {
  const header = req.headers['last-event-id'];
  const bytes = Array.isArray(header) ? header[0] : header;
  if (bytes === undefined) return '';
  // Node reads header bytes as latin1. Browsers send UTF-8 (spec 9.2.3); Node's fetch, and so npm eventsource, latin1.
  const id = Buffer.from(bytes.slice(0, MAX_ID_BYTES), 'latin1');
  return id.toString(isUtf8(id) ? 'utf8' : 'latin1');
}

/** Sets the head of an event stream on the response and fixes it; Node sends it with the first bytes of the body. */
export function writeHead(res: HttpResponse, options: HeadOptions): void {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', options.compress ? 'no-cache' : 'no-cache, no-transform');
  res.setHeader('X-Accel-Buffering', 'no');
  for (const [name, value] of options.headers) {
    if (ADDED.has(name.toLowerCase())) res.appendHeader(name, value);
    else res.setHeader(name, value);
  }
  // A length that an earlier middleware has set would cut the stream off.
  res.removeHeader('Content-Length');
  // An EventSource takes nothing but 200 (spec 9.2.3).
  res.writeHead(200);
}
