import type { Quote } from '../sources';

export type Accepts = (quote: Quote) => boolean;

/** What a subscriber accepts, by the `symbol` of its query; `undefined` where that is everything. */
export function acceptsOf(wanted: unknown): Accepts | undefined {
  return wanted === undefined || wanted === null ? undefined : ({ symbol }) => symbol === wanted;
}
