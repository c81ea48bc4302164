import type { Measure } from './rows';

/**
 * What a measure is compared with: code written by hand, the cheapest package in this row, nchan in nginx, or the cheapest
 * of packages and nchan.
 */
export type Against = 'by-hand' | 'best package' | 'nchan' | 'best other';

/** An upper bound for the package's median. */
export interface Target {
  readonly measure: Measure;
  /** The bound: a multiple of the other's median, or, without `of`, a value in the measure's unit. */
  readonly most: number;
  readonly of?: Against;
}
