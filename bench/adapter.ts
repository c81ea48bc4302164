import type { RequestListener } from 'node:http';
import type { Source } from './sources';

/** What `compression()` has to do with a route: not there, there but told to leave the stream alone, or compressing it. */
export type Compression = 'absent' | 'idle' | 'used';

/** One path that serves one source. */
export interface Route {
  readonly path: string;
  readonly source: Source;
  readonly compression: Compression;
}

/** One way to send a source as Server-Sent Events. All adapters send the same bytes; the run begins with a check of that. */
export interface Adapter {
  readonly name: string;
  /** What answers the requests for these routes; `?events=` says how many events a request wants. */
  listener(routes: readonly Route[]): RequestListener;
}
