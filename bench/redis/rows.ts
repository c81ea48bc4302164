import type { Pace } from './server';

/** A measure of one sample of a row. */
export type Measure =
  | 'latency p50 µs'
  | 'latency p99 µs'
  | 'deliveries/s'
  | 'CPU µs/delivery'
  | 'Redis CPU µs/event';

export interface Row {
  readonly name: string;
  readonly about: string;
  readonly processes: number;
  /** Subscribers of all processes together. */
  readonly streams: number;
  /** How many of the processes publish. */
  readonly publishers: number;
  /** Events of each publisher. */
  readonly events: number;
  /** The same for the preceding unmeasured run, which publishes as fast as it can. */
  readonly warmUp: number;
  readonly pace: Pace;
  /** Whether Redis closes all subscriber connections several times during the run. */
  readonly cut?: boolean;
  readonly measures: readonly Measure[];
}

const PACED = {
  publishers: 1,
  events: 300,
  warmUp: 1_000,
  pace: { everyMs: 10 },
  measures: ['latency p50 µs', 'latency p99 µs', 'CPU µs/delivery'],
} as const;

const FLOOD = {
  publishers: 1,
  pace: { window: 64 },
  measures: ['deliveries/s', 'CPU µs/delivery', 'Redis CPU µs/event'],
} as const;

/** The pace of the unmeasured run. */
export const WARM_UP_PACE: Pace = { window: 16 };

export const ROWS: readonly Row[] = [
  {
    ...PACED,
    name: 'lone',
    about: '2 processes, one subscriber to each; single events 10 ms apart',
    processes: 2,
    streams: 2,
    warmUp: 5_000,
  },
  {
    ...PACED,
    name: 'paced-2',
    about: '2 processes, 200 subscribers; 100 events/s',
    processes: 2,
    streams: 200,
  },
  {
    ...PACED,
    name: 'paced-4',
    about: '4 processes, 200 subscribers; 100 events/s',
    processes: 4,
    streams: 200,
  },
  {
    ...FLOOD,
    name: 'events',
    about: '2 processes, one subscriber to each; as fast as 64 awaited publishes at a time allow',
    processes: 2,
    streams: 2,
    events: 20_000,
    warmUp: 10_000,
  },
  {
    ...FLOOD,
    name: 'flood-2',
    about: '2 processes, 200 subscribers; as fast as 64 at a time allow',
    processes: 2,
    streams: 200,
    events: 4_000,
    warmUp: 1_000,
  },
  {
    ...FLOOD,
    name: 'flood-4',
    about: '4 processes, 200 subscribers; as fast as 64 at a time allow',
    processes: 4,
    streams: 200,
    events: 4_000,
    warmUp: 1_000,
  },
  {
    ...FLOOD,
    name: 'flood-1000',
    about: '2 processes, 1,000 subscribers; as fast as 64 at a time allow',
    processes: 2,
    streams: 1_000,
    events: 1_000,
    warmUp: 200,
  },
  {
    ...FLOOD,
    name: 'everywhere',
    about: '4 processes, 200 subscribers; all 4 publish, 16 at a time each',
    processes: 4,
    streams: 200,
    publishers: 4,
    events: 1_000,
    warmUp: 250,
    pace: { window: 16 },
  },
  {
    ...PACED,
    name: 'cut',
    about:
      '2 processes, 200 subscribers; 100 events/s, and Redis closes every subscriber connection three times',
    processes: 2,
    streams: 200,
    cut: true,
    measures: ['latency p50 µs', 'latency p99 µs'],
  },
];

/** The rows whose names start with one of these words; all rows without words. */
export function rowsNamed(words: readonly string[]): readonly Row[] {
  const unknown = words.find((word) => !ROWS.some(({ name }) => name.startsWith(word)));
  if (unknown !== undefined) {
    const known = ROWS.map(({ name }) => name).join(', ');
    throw new RangeError(`Expected a row's name or its start, got '${unknown}'. Rows: ${known}.`);
  }
  return ROWS.filter(({ name }) => words.length === 0 || words.some((word) => name.startsWith(word)));
}
