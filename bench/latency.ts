import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Latencies in nanoseconds, from 1 ns to one minute, with three significant digits. */
export type Latencies = RecordableHistogram;

export interface Latency {
  readonly count: number;
  /** In nanoseconds. */
  readonly p50: number;
  /** In nanoseconds. */
  readonly p99: number;
}

export function createLatencies(): Latencies {
  return createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
}

/** @returns `undefined` without a measurement: the events carried no time */
export function latencyOf(latencies: Latencies): Latency | undefined {
  const { count } = latencies;
  if (count === 0) return undefined;
  return { count, p50: latencies.percentile(50), p99: latencies.percentile(99) };
}
