import { linearRegression, median } from 'simple-statistics';

/** The heap after a garbage collection, and the number of open streams. */
export interface HeapPoint {
  readonly atMinute: number;
  readonly heapBytes: number;
  readonly streams: number;
}

export interface Growth {
  /** The median of the first quarter. */
  readonly firstBytes: number;
  /** The median of the last quarter. */
  readonly lastBytes: number;
  readonly bytesPerMinute: number;
  readonly boundBytes: number;
  readonly isTooMuch: boolean;
}

/** While code is compiled, logs fill and clients of all kinds connect, growth is not a leak. */
const WARM_UP_SHARE = 0.3;

/**
 * Without a leak the heap varies by one or two megabytes: the number of streams by a few percent, at 8 kB each, the
 * pending frames of large logs, and code that V8 compiles. In an hour, 200,000 streams open and close between the two
 * quarters, so a leak of 20 bytes a stream is detected. In a minute it is 2,000, so a leak of one stream in four is
 * detected. (`leaks.test.ts` detects smaller leaks.)
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
