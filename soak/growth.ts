import { linearRegression, median } from 'simple-statistics';

/** A heap after a garbage collection, with so many streams open. */
export interface HeapPoint {
  readonly atMinute: number;
  readonly heapBytes: number;
  readonly streams: number;
}

export interface Growth {
  /** Medians. */
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly bytesPerMinute: number;
  readonly boundBytes: number;
  readonly isTooMuch: boolean;
}

/** Code warms up, logs fill, and all kinds of clients come: what happens until then is no growth. */
const WARM_UP_SHARE = 0.3;

/**
 * What is no leak wanders by a megabyte or two: the number of streams by a few percent, each of some 8 kB, the fat logs'
 * waiting frames, and what V8 compiles. In an hour 200,000 streams come and go between the two quarters, so that 20 bytes
 * left by each are seen; in a minute 2,000, so that a whole stream left by one in four is. (`leaks.test.ts` sees less.)
 */
const BOUND_BYTES = 4_000_000;

/** Compares the first and the last quarter after the warm-up. @returns `undefined` if there are too few points */
export function growthOf(points: readonly HeapPoint[]): Growth | undefined {
  const warm = points.slice(Math.ceil(points.length * WARM_UP_SHARE));
  const quarter = Math.floor(warm.length / 4);
  if (quarter === 0) return undefined;
  const firstBytes = median(warm.slice(0, quarter).map(({ heapBytes }) => heapBytes));
  const lastBytes = median(warm.slice(-quarter).map(({ heapBytes }) => heapBytes));
  const { m: bytesPerMinute } = linearRegression(
    warm.map(({ atMinute, heapBytes }) => [atMinute, heapBytes]),
  );
  const isTooMuch = lastBytes - firstBytes > BOUND_BYTES;
  return { firstBytes, lastBytes, bytesPerMinute, boundBytes: BOUND_BYTES, isTooMuch };
}
