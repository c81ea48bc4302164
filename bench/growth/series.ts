import { linearRegression } from 'simple-statistics';

/** One size of one thing that grows, measured once. */
export interface Point {
  /** How much there is to do: subscribers, channels, replayed events. */
  readonly work: number;
  /** CPU milliseconds of the server. */
  readonly cost: number;
}

/** What is done more and more of. */
export interface Series {
  readonly name: string;
  /** What is counted as work. */
  readonly work: string;
  /** What the cost is that of. */
  readonly cost: string;
  readonly points: readonly Point[];
  /** What else was measured, a line each. */
  readonly notes: readonly string[];
}

/**
 * The exponent of the power law that fits best: the slope of the least-squares line through the points' logarithms.
 * 1 means that twice the work costs twice as much.
 */
export function exponentOf(points: readonly Point[]): number {
  return linearRegression(points.map(({ work, cost }) => [Math.log(work), Math.log(cost)])).m;
}
