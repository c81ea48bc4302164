import type { Measure } from './rows';

/**
 * Whom a measure is compared with: what a careful engineer writes, the cheapest of the packages in this row, nchan in
 * nginx, or the cheapest of packages and nchan.
 */
export type Against = 'by-hand' | 'best package' | 'nchan' | 'best other';

/** What the package's own median is held to. */
export interface Target {
  readonly measure: Measure;
  /** The most it may be: a multiple of the other's, or, without `of`, in the measure's own unit. */
  readonly most: number;
  readonly of?: Against;
}
