import type { Route } from './adapter';
import { OTHER_PATH } from './other';
import {
  beats,
  flood,
  heavy,
  lone,
  market,
  paced,
  quiet,
  quietWithSignal,
  ticks,
  turns,
  visit,
} from './sources';
import type { Target } from './targets';

/** A measure of one sample of a row. */
export type Measure =
  | 'CPU µs/event'
  | 'CPU µs/visit'
  | 'CPU µs/delivery'
  | 'CPU µs/keep-alive'
  | 'CPU µs/request'
  | 'first event ms'
  | 'memory growth MB'
  | 'RSS growth MB'
  | 'heap bytes/stream'
  | 'RSS bytes/stream'
  | 'latency p50 µs'
  | 'latency p99 µs';

/** One scenario: what the client requests, and what is measured during that. */
export interface Row {
  readonly name: string;
  readonly about: string;
  readonly route: Route;
  /** Connections: all in parallel, or visits one after the other. */
  readonly streams: number;
  /** Events for each connection. */
  readonly events: number;
  /** The same for the preceding unmeasured run. */
  readonly warmUp: Pick<Row, 'streams' | 'events' | 'holdMs'>;
  /**
   * Whether the client reads each stream to its end, disconnects after the first event, or stays connected after it.
   * `'answers'` does not stream: each connection sends one request after the other.
   */
  readonly reads: 'all' | 'first' | 'held' | 'answers';
  /** Whether additional connections measure the time to their first event; the median counts. */
  readonly probed?: boolean;
  /** HTTP/1.1 by default. */
  readonly protocol?: 'http2';
  /** The adapters for which the row is relevant; all by default. */
  readonly adapters?: readonly string[];
  /** How long streams are held after all have received their events. */
  readonly holdMs?: number;
  /** How many of the streams stop reading after their first event, until all others have received everything. */
  readonly stalled?: number;
  /** Whether each connection requests one symbol only. */
  readonly filtered: boolean;
  readonly measures: readonly Measure[];
  readonly targets: readonly Target[];
  /** The row whose first measure the package should not exceed here. */
  readonly noMoreThan?: string;
}

/** For rows in which other adapters show nothing new and take minutes. */
const PAIR: readonly string[] = ['express-yield-app', 'by-hand'];

const STREAM = { reads: 'all', filtered: false, measures: ['CPU µs/event'], targets: [] } as const;
const BROADCAST = { ...STREAM, measures: ['CPU µs/delivery'] } as const;
const OWN = { run: 'own', compression: 'absent', keepAliveMs: false } as const;
const SHARED = { run: 'shared', compression: 'absent', keepAliveMs: false } as const;
const IDLE = {
  streams: 10_000,
  events: 1,
  warmUp: { streams: 200, events: 1 },
  reads: 'held',
  holdMs: 0,
  filtered: false,
  measures: ['heap bytes/stream', 'RSS bytes/stream'],
} as const;
/** Besides its cost: a new connection is served soon, and memory does not grow. */
const FLOODED = {
  probed: true,
  measures: ['CPU µs/event', 'first event ms', 'memory growth MB', 'RSS growth MB'],
  targets: [
    { measure: 'CPU µs/event', most: 0.4, of: 'best package' },
    { measure: 'CPU µs/event', most: 0.45, of: 'by-hand' },
    { measure: 'first event ms', most: 5 },
    { measure: 'memory growth MB', most: 10 },
  ],
} as const;
const FLOOD = { ...OWN, path: '/flood', source: flood } as const;
const TURNS = { ...SHARED, path: '/turns', source: turns } as const;

export const ROWS: readonly Row[] = [
  {
    ...STREAM,
    ...FLOODED,
    name: 'flood',
    about: 'one connection, a generator that yields as fast as it is read',
    route: FLOOD,
    streams: 1,
    events: 800_000,
    warmUp: { streams: 1, events: 300_000 },
  },
  {
    ...STREAM,
    ...FLOODED,
    name: 'flood-50',
    about: 'the same on 50 connections at a time',
    route: FLOOD,
    streams: 50,
    events: 16_000,
    warmUp: { streams: 50, events: 6_000 },
  },
  {
    ...STREAM,
    name: 'ticks',
    about: '500 connections, an event each 20 ms, each from its own interval',
    route: { ...OWN, path: '/ticks', source: ticks },
    streams: 500,
    events: 100,
    warmUp: { streams: 500, events: 25 },
    targets: [
      { measure: 'CPU µs/event', most: 0.8, of: 'best package' },
      { measure: 'CPU µs/event', most: 1.1, of: 'by-hand' },
    ],
  },
  {
    ...STREAM,
    name: 'ticks-shared',
    adapters: PAIR,
    about: 'the same from one timer that all connections share',
    route: { ...OWN, path: '/ticks-shared', source: beats },
    streams: 500,
    events: 100,
    warmUp: { streams: 500, events: 25 },
    targets: [{ measure: 'CPU µs/event', most: 1.1, of: 'by-hand' }],
  },
  {
    ...STREAM,
    name: 'lone',
    about: 'one connection, single events 5 ms apart; from yield to the client',
    route: { ...OWN, path: '/lone', source: lone },
    streams: 1,
    events: 200,
    warmUp: { streams: 1, events: 100 },
    measures: ['latency p50 µs', 'latency p99 µs', 'CPU µs/event'],
    targets: [{ measure: 'latency p50 µs', most: 1.1, of: 'by-hand' }],
  },
  {
    ...STREAM,
    name: 'http2',
    about: 'flood on ten streams of one HTTP/2 connection, where every byte goes through the response',
    route: { ...OWN, path: '/http2', source: flood },
    protocol: 'http2',
    streams: 10,
    events: 30_000,
    warmUp: { streams: 10, events: 10_000 },
  },
  {
    ...STREAM,
    name: 'compression-idle',
    about: 'flood through a res.write that compression() has wrapped, uncompressed (no-transform)',
    route: { ...OWN, path: '/compression-idle', source: flood, compression: 'idle' },
    streams: 1,
    events: 400_000,
    warmUp: { streams: 1, events: 100_000 },
  },
  {
    ...STREAM,
    name: 'compression-used',
    about: 'flood compressed by compression(), flushed so that no event is delayed',
    route: { ...OWN, path: '/compression-used', source: flood, compression: 'used' },
    streams: 1,
    events: 20_000,
    warmUp: { streams: 1, events: 5_000 },
  },
  {
    name: 'visits',
    about: 'connect, read the first event, disconnect; one after the other',
    route: { ...OWN, path: '/visits', source: visit },
    streams: 2_000,
    events: 1,
    // With fewer, half the cost is compiling.
    warmUp: { streams: 3_000, events: 1 },
    reads: 'first',
    filtered: false,
    measures: ['CPU µs/visit'],
    targets: [{ measure: 'CPU µs/visit', most: 0.9, of: 'by-hand' }],
  },
  {
    ...IDLE,
    name: 'idle',
    about: '10,000 streams that wait after their first event; the server memory of each',
    route: { ...OWN, path: '/idle', source: quiet },
    targets: [{ measure: 'heap bytes/stream', most: 0.9, of: 'by-hand' }],
  },
  {
    ...IDLE,
    name: 'idle-signal',
    adapters: PAIR,
    about: 'the same, and each waits for its signal to abort',
    route: { ...OWN, path: '/idle-signal', source: quietWithSignal },
    targets: [{ measure: 'heap bytes/stream', most: 0.9, of: 'by-hand' }],
  },
  {
    ...BROADCAST,
    name: 'stalled',
    adapters: [...PAIR, 'better-sse', '@fastify/sse'],
    about:
      'one publisher, 2,000 events/s of 2 KB; 50 subscribers read, 20 stop after their first event and resume at the end',
    route: { ...SHARED, path: '/stalled', source: heavy, retained: 1_000 },
    streams: 70,
    stalled: 20,
    events: 16_000,
    warmUp: { streams: 70, events: 2_000 },
    measures: ['memory growth MB', 'RSS growth MB', 'CPU µs/delivery'],
    targets: [{ measure: 'memory growth MB', most: 15 }],
  },
  {
    name: 'keep-alive',
    adapters: [...PAIR, 'better-sse', '@fastify/sse'],
    about: '10,000 idle streams, each kept alive by a comment a second, for five seconds',
    route: { ...OWN, path: '/keep-alive', source: quiet, keepAliveMs: 1_000 },
    streams: 10_000,
    events: 1,
    warmUp: { streams: 2_000, events: 1, holdMs: 2_500 },
    reads: 'held',
    holdMs: 5_000,
    filtered: false,
    measures: ['CPU µs/keep-alive'],
    targets: [{ measure: 'CPU µs/keep-alive', most: 0.45, of: 'by-hand' }],
  },
  {
    name: 'other-route',
    about:
      'a route that answers with JSON, in an app with and without the package; 50 connections, one request at a time',
    route: { ...OWN, path: OTHER_PATH, source: quiet },
    adapters: PAIR,
    streams: 50,
    events: 1_200,
    warmUp: { streams: 50, events: 300 },
    reads: 'answers',
    filtered: false,
    measures: ['CPU µs/request'],
    targets: [{ measure: 'CPU µs/request', most: 1.05, of: 'by-hand' }],
  },
  {
    ...BROADCAST,
    name: 'broadcast',
    about: 'one publisher, as fast as the event loop turns, to 1,000 subscribers',
    route: TURNS,
    streams: 1_000,
    events: 400,
    warmUp: { streams: 1_000, events: 100 },
    targets: [{ measure: 'CPU µs/delivery', most: 0.12, of: 'best other' }],
  },
  {
    ...BROADCAST,
    name: 'broadcast-10000',
    about: 'the same to 10,000 subscribers',
    route: TURNS,
    streams: 10_000,
    events: 50,
    warmUp: { streams: 1_000, events: 100 },
    targets: [{ measure: 'CPU µs/delivery', most: 0.12, of: 'best other' }],
    noMoreThan: 'broadcast',
  },
  {
    ...BROADCAST,
    name: 'broadcast-paced',
    about: 'one publisher, 50 events/s, to 1,000 subscribers',
    route: { ...SHARED, path: '/paced', source: paced },
    streams: 1_000,
    events: 120,
    warmUp: { streams: 1_000, events: 25 },
    targets: [
      { measure: 'CPU µs/delivery', most: 0.75, of: 'best package' },
      { measure: 'CPU µs/delivery', most: 1, of: 'nchan' },
    ],
  },
  {
    ...BROADCAST,
    name: 'broadcast-filter',
    about: 'as broadcast, with 100 symbols in turn; each of 1,000 subscribers wants one of them',
    route: { ...SHARED, path: '/market', source: market },
    streams: 1_000,
    events: 100,
    warmUp: { streams: 1_000, events: 20 },
    filtered: true,
  },
  {
    ...BROADCAST,
    name: 'broadcast-lone',
    adapters: [...PAIR, 'nchan', 'better-sse'],
    about: 'one publisher, single events 5 ms apart, to one subscriber; from publish to the client',
    route: { ...SHARED, path: '/broadcast-lone', source: lone },
    streams: 1,
    events: 300,
    warmUp: { streams: 1, events: 100 },
    measures: ['latency p50 µs'],
  },
];

/** Every path at which an adapter streams. */
export const ROUTES: readonly Route[] = [
  ...new Map(ROWS.filter(isStreamed).map(({ route }) => [route.path, route])).values(),
];

function isStreamed({ reads }: Row): boolean {
  return reads !== 'answers';
}

/** The rows whose names start with one of these words; all rows without words. */
export function rowsNamed(words: readonly string[]): readonly Row[] {
  const unknown = words.find((word) => !ROWS.some(({ name }) => name.startsWith(word)));
  if (unknown !== undefined) {
    const known = ROWS.map(({ name }) => name).join(', ');
    throw new RangeError(`Expected a row's name or its start, got '${unknown}'. Rows: ${known}.`);
  }
  return ROWS.filter(({ name }) => words.length === 0 || words.some((word) => name.startsWith(word)));
}
