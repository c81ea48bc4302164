import type { Adapter } from '../adapter';
import type { Row } from '../rows';
import { nchanIsMissing } from './nchan-program';

const NO_COMPRESSION = 'it is not an Express app, so it has no compression() middleware';

/** The adapter that all others are compared with. */
export const BASELINE = 'by-hand';

/** In the order in which they alternate. */
export const ADAPTERS: readonly Adapter[] = [
  { name: 'express-yield-app', kind: 'ours', load: () => import('./express-yield-app.js') },
  {
    name: 'express-yield-handler',
    kind: 'ours',
    // Middleware and route wrapper differ only until a stream is open.
    measures: ({ name }) => name === 'flood' || name === 'visits' || name === 'http2',
    load: () => import('./express-yield-handler.js'),
    loadHttp2: () => import('./express-yield-http2.js'),
  },
  {
    name: BASELINE,
    kind: 'by-hand',
    load: () => import('./by-hand.js'),
    loadHttp2: () => import('./by-hand-http2.js'),
  },
  {
    name: 'node-http',
    kind: 'floor',
    measures: showsTheFloor,
    load: () => import('./node-http.js'),
  },
  {
    name: 'socket',
    kind: 'floor',
    measures: showsTheFloor,
    load: () => import('./socket.js'),
  },
  {
    name: 'better-sse',
    kind: 'package',
    skips: ({ route }) =>
      route.compression === 'used' ? 'it never flushes compression(), which delays its events' : undefined,
    load: () => import('./better-sse.js'),
  },
  {
    name: '@fastify/sse',
    kind: 'package',
    skips: ({ route }) => (route.compression === 'absent' ? undefined : NO_COMPRESSION),
    load: () => import('./fastify-sse.js'),
  },
  { name: 'sse-channel', kind: 'package', load: () => import('./sse-channel.js') },
  {
    name: 'express-sse',
    kind: 'package',
    skips: skippedByExpressSse,
    load: () => import('./express-sse.js'),
  },
  {
    name: 'hono',
    kind: 'package',
    skips: ({ route }) => (route.compression === 'absent' ? undefined : NO_COMPRESSION),
    load: () => import('./hono.js'),
  },
  {
    name: 'nchan',
    kind: 'program',
    measures: ({ route }) => route.run === 'shared',
    skips: skippedByNchan,
    load: () => import('./nchan.js'),
  },
];

/** One row of each kind. */
function showsTheFloor({ name }: Row): boolean {
  return ['flood', 'ticks', 'visits', 'broadcast', 'broadcast-paced'].includes(name);
}

function skippedByExpressSse({ route, filtered }: Row): string | undefined {
  if (route.compression === 'used') return 'it never flushes compression(), which delays its events';
  return filtered ? 'send() sends to all clients of an instance, without a filter' : undefined;
}

function skippedByNchan({ stalled }: Row): string | undefined {
  return (
    nchanIsMissing() ?? (stalled === undefined ? undefined : 'the memory of another program is not measured')
  );
}

/** Those of these adapters that run a row. */
export function adaptersFor(row: Row, adapters: readonly Adapter[] = ADAPTERS): readonly Adapter[] {
  return adapters.filter((adapter) => isRelevant(row, adapter) && adapter.skips?.(row) === undefined);
}

/** Whether a row is meant for an adapter, whether or not it can run it. */
export function isRelevant(row: Row, { name, measures, loadHttp2 }: Adapter): boolean {
  return (
    (row.adapters?.includes(name) ?? true) &&
    (row.protocol === undefined || loadHttp2 !== undefined) &&
    (measures?.(row) ?? true)
  );
}

/** The adapters with these names; all without names. */
export function adaptersNamed(names: readonly string[]): readonly Adapter[] {
  if (names.length === 0) return ADAPTERS;
  const wanted = names.map(adapterNamed);
  return ADAPTERS.filter((adapter) => wanted.includes(adapter));
}

export function adapterNamed(name: string | undefined): Adapter {
  const adapter = ADAPTERS.find((known) => known.name === name);
  if (adapter === undefined) {
    const known = ADAPTERS.map((each) => each.name).join(', ');
    throw new RangeError(`Expected the name of an adapter, got '${name}'. Adapters: ${known}.`);
  }
  return adapter;
}
