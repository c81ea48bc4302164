import type { Broadcasts } from './broadcast';
import type { Row } from './rows';
import type { Source } from './sources';

/** How a route uses `compression()`: not at all, installed but kept from compressing by a header, or compressing. */
export type Compression = 'absent' | 'idle' | 'used';

/** One path that serves one source. */
export interface Route {
  readonly path: string;
  readonly source: Source;
  /** Whether each request gets its own run of the source, or one run is published to all subscribers. */
  readonly run: 'own' | 'shared';
  /** How many events of a shared run are retained for late or slow subscribers; all by default. */
  readonly retained?: number;
  readonly compression: Compression;
  /** Milliseconds without other bytes after which the server sends a comment; `false` in rows without keep-alives. */
  readonly keepAliveMs: number | false;
}

/**
 * The kind of an adapter: this package; code that a careful engineer writes by hand; another npm package; another server
 * program; or Node without a framework, as a lower bound.
 */
export type Kind = 'ours' | 'by-hand' | 'package' | 'program' | 'floor';

/** A running server. */
export interface Service {
  readonly port: number;
  /** The processes whose CPU time is measured, if it is not this one. */
  readonly processes?: readonly number[];
}

/**
 * Serves these routes on a free port. In a request, `?events=` is the number of events and `?symbol=` selects one
 * symbol.
 *
 * @param broadcasts runs the shared sources
 */
export type Serve = (routes: readonly Route[], broadcasts: Broadcasts) => Promise<Service>;

/** One way to send a source as Server-Sent Events. All adapters deliver the same events; each run checks that first. */
export interface Adapter {
  readonly name: string;
  readonly kind: Kind;
  /** Whether a row shows anything new about this adapter; by default every row does. */
  readonly measures?: (row: Row) => boolean;
  /** Why it cannot run a row; `undefined` if it can. */
  readonly skips?: (row: Row) => string | undefined;
  /** Loads the adapter, in the server process only, so that no adapter's modules use another's memory. */
  load(): Promise<{ readonly serve: Serve }>;
  /** The same over HTTP/2. */
  loadHttp2?(): Promise<{ readonly serve: Serve }>;
}
