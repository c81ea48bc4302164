import { qualityOf } from '../connection/accept';
import { FORMATS, type Format } from '../format/wire-format';
import type { StreamRequest } from './stream-request';

/** The media types of each format. The first is sent to a client that accepts any. */
const MEDIA_TYPES: Readonly<Record<Format, readonly [string, ...string[]]>> = {
  'event-stream': ['text/event-stream'],
  'json-lines': ['application/jsonl', 'application/x-ndjson'],
  json: ['application/json'],
};

/** A media type, and its format. */
type Offer = readonly [type: string, format: Format];

/**
 * Chooses the format of a route that has several. A client of another format than an event stream reads one response, so it is
 * a fetch client.
 */
export function negotiated(request: StreamRequest): StreamRequest {
  const { req, res, options } = request;
  // A head that was sent by hand has decided.
  if (options.formats === undefined || res.headersSent) return request;
  const [contentType, format = null] = bestOffer(offersOf(options.formats), req.headers.accept) ?? [];
  if (format === 'event-stream') return request;
  return { ...request, format, options: { ...options, client: 'fetch', retryMs: false, contentType } };
}

/** The media types of formats, for a message. */
export function mediaTypesOf(formats: readonly Format[] = FORMATS.slice(0, 1)): string {
  return offersOf(formats)
    .map(([type]) => type)
    .join(', ');
}

function offersOf(formats: readonly Format[]): Offer[] {
  return formats.flatMap((format) => MEDIA_TYPES[format].map((type) => [type, format] as const));
}

/** Of offers that the client accepts equally, the first. */
function bestOffer(offers: readonly Offer[], accept: string | undefined): Offer | undefined {
  let best: Offer | undefined;
  let bestQuality = 0;
  for (const offer of offers) {
    const quality = qualityOf(accept, offer[0]);
    if (quality <= bestQuality) continue;
    best = offer;
    bestQuality = quality;
  }
  return best;
}
