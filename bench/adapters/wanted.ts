import type { Quote } from '../sources';

export type Accepts = (quote: Quote) => boolean;

/** A subscriber's filter, from the `symbol` of its query; `undefined` for all events. */
export function acceptsOf(wanted: unknown): Accepts | undefined {
  return wanted === undefined || wanted === null ? undefined : ({ symbol }) => symbol === wanted;
}
