import { isEventSource } from '../connection/head';
import type { HttpRequest, HttpResponse, Next } from '../connection/http';
import type { Format } from '../format/wire-format';
import type { RequestContext } from './context';
import type { ResolvedSseOptions } from './options';
import type { Registry } from './registry';

/** What a client does at the end of a response: an EventSource reconnects, a fetch client takes it for complete. */
export type ClientKind = 'eventsource' | 'fetch';

/** The kind of a request's client, unless the `client` option decides it. */
export function clientKindOf({ req, options }: StreamRequest): ClientKind {
  if (options.client !== 'auto') return options.client;
  return isEventSource(req) ? 'eventsource' : 'fetch';
}

/** One request, and everything that its stream depends on. */
export interface StreamRequest {
  readonly req: HttpRequest;
  readonly res: HttpResponse;
  /** Missing on plain `node:http`, where no error handler can answer. */
  readonly next: Next | undefined;
  readonly context: RequestContext;
  readonly options: ResolvedSseOptions;
  readonly registry: Registry;
  /** The negotiated format; `undefined` for an event stream, `null` if the client accepts none of the route's formats. */
  readonly format?: Exclude<Format, 'event-stream'> | null;
  /** The handler that returned the source. */
  readonly handler: object;
  /** Identifies the route, which may share its handler with others. */
  readonly route: object;
}
