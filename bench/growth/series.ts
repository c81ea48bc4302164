import { linearRegression } from 'simple-statistics';

/** One measurement at one size. */
export interface Point {
  /** The amount of work: subscribers, channels or replayed events. */
  readonly work: number;
  /** CPU milliseconds of the server. */
  readonly cost: number;
}

/** Measurements at growing sizes. */
export interface Series {
  readonly name: string;
  /** The unit of work. */
  readonly work: string;
  /** What the cost is measured for. */
  readonly cost: string;
  readonly points: readonly Point[];
  /** Further measurements, a line each. */
  readonly notes: readonly string[];
}

/**
 * The exponent of the power law that fits best: the slope of the least-squares line through the points' logarithms.
 * 1 means that twice the work costs twice as much.
 */
export function exponentOf(points: readonly Point[]): number {
  return linearRegression(points.map(({ work, cost }) => [Math.log(work), Math.log(cost)])).m;
}
