import type { Broadcasts } from './broadcast';
import type { Row } from './rows';
import type { Source } from './sources';

/** What `compression()` has to do with a route: not there, there but told to leave the stream alone, or compressing it. */
export type Compression = 'absent' | 'idle' | 'used';

/** One path that serves one source. */
export interface Route {
  readonly path: string;
  readonly source: Source;
  /** Whether each request has a run of the source to itself, or one run is published to all subscribers. */
  readonly run: 'own' | 'shared';
  /** How many events of a shared run are kept for those who come late or read slowly; without it, all. */
  readonly retained?: number;
  readonly compression: Compression;
  /** Milliseconds without other bytes after which a stream gets a comment; `false` where none is due during the row. */
  readonly keepAliveMs: number | false;
}

/**
 * What an adapter is in a comparison: this package; what a careful engineer writes by hand; another package from npm;
 * another server program; or the least that Node can do.
 */
export type Kind = 'ours' | 'by-hand' | 'package' | 'program' | 'floor';

/** Where an adapter serves. */
export interface Service {
  readonly port: number;
  /** The processes whose CPU time counts, where they are not the one that asked. */
  readonly processes?: readonly number[];
}

/**
 * Serves these routes on a port of its own choice. `?events=` says how many events a request wants, `?symbol=` that it
 * wants no others.
 *
 * @param broadcasts runs the shared sources
 */
export type Serve = (routes: readonly Route[], broadcasts: Broadcasts) => Promise<Service>;

/** One way to send a source as Server-Sent Events. All deliver the same events; the run begins with a check of that. */
export interface Adapter {
  readonly name: string;
  readonly kind: Kind;
  /** Whether a row of this route says anything new of it; where it is absent, every row does. */
  readonly measures?: (row: Row) => boolean;
  /** Why it cannot take part in a row; `undefined` where it can. */
  readonly skips?: (row: Row) => string | undefined;
  /** Loads it where it serves, and nowhere else: no adapter's modules are in another's memory. */
  load(): Promise<{ readonly serve: Serve }>;
  /** The same on HTTP/2. */
  loadHttp2?(): Promise<{ readonly serve: Serve }>;
}
