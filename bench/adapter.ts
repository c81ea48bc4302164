import type { RequestListener } from 'node:http';
import type { Broadcasts } from './broadcast';
import type { Source } from './sources';

/** What `compression()` has to do with a route: not there, there but told to leave the stream alone, or compressing it. */
export type Compression = 'absent' | 'idle' | 'used';

/** One path that serves one source. */
export interface Route {
  readonly path: string;
  readonly source: Source;
  /** Whether each request has a run of the source to itself, or one run is published to all subscribers. */
  readonly run: 'own' | 'shared';
  readonly compression: Compression;
  /** Milliseconds without other bytes after which a stream gets a comment; `false` where none is due during the row. */
  readonly keepAliveMs: number | false;
}

/** One way to send a source as Server-Sent Events. All adapters send the same bytes; the run begins with a check of that. */
export interface Adapter {
  readonly name: string;
  /**
   * What answers the requests for these routes. `?events=` says how many events a request wants, `?symbol=` that it
   * wants no others.
   *
   * @param broadcasts runs the shared sources
   */
  listener(routes: readonly Route[], broadcasts: Broadcasts): RequestListener;
}
