import type { RequestListener } from 'node:http';
import type { Quote } from './quote';

/** One way to bring what any process publishes to the subscribers of all. */
export interface Contender {
  readonly name: string;
  /** Whether it promises that every event comes once and in order; then anything else fails the run. */
  readonly exact: boolean;
  /**
   * Joins the others over Redis.
   *
   * @returns when everything that is published from now on will be heard here
   */
  join(redisPort: number): Promise<Member>;
}

/** What a contender is in one process. */
export interface Member {
  /** Answers `GET /quotes` with everything that is published from then on. */
  readonly listener: RequestListener;
  /** How many subscribe here. */
  size(): number;
  /** Resolves when Redis has acknowledged it. */
  publish(quote: Quote): Promise<unknown>;
}
