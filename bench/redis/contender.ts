import type { RequestListener } from 'node:http';
import type { Quote } from './quote';

/** One way to deliver what any process publishes to the subscribers of all processes. */
export interface Contender {
  readonly name: string;
  /** Whether it guarantees every event once and in order; then a violation fails the run. */
  readonly exact: boolean;
  /**
   * Connects to the other processes over Redis.
   *
   * @returns a promise that resolves when all later events will arrive here
   */
  join(redisPort: number): Promise<Member>;
}

/** A contender in one process. */
export interface Member {
  /** Answers `GET /quotes` with all events that are published from then on. */
  readonly listener: RequestListener;
  /** The number of subscribers to this process. */
  size(): number;
  /** Resolves when Redis has acknowledged the event. */
  publish(quote: Quote): Promise<unknown>;
}
