import { type Checks, checked, count, delay } from '../validate';

/**
 * How much `memoryLog()` retains. All limits apply together.
 *
 * @example
 * const news = new Channel({ log: memoryLog({ maxEvents: 100, maxAgeMs: 60 * 60_000 }) });
 */
export interface MemoryLogOptions {
  /**
   * The number of retained events: a positive integer. A client that has missed more receives a `gap`.
   * @default 1_000
   */
  readonly maxEvents?: number | undefined;
  /**
   * The limit of the retained bytes, as the events are encoded: a positive integer. The newest event is retained even if it
   * alone exceeds the limit.
   * @default 16_777_216
   */
  readonly maxBytes?: number | undefined;
  /**
   * Milliseconds for which an event is retained. `false` sets no limit.
   * @default false
   */
  readonly maxAgeMs?: number | false | undefined;
}

// Shared by all logs with default options: 100,000 channels are 100,000 logs.
const DEFAULTS = { maxEvents: 1_000, maxBytes: 16 * 2 ** 20, maxAgeMs: false } as const;

const CHECKS: Checks<MemoryLogOptions> = {
  maxEvents: count,
  maxBytes: count,
  maxAgeMs: delay(1, 'optional'),
};

/** @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` */
export function resolveMemoryLogOptions(options: MemoryLogOptions | undefined): Required<MemoryLogOptions> {
  return options === undefined ? DEFAULTS : { ...DEFAULTS, ...checked(options, CHECKS) };
}
