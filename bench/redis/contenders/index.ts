import type { Contender } from '../contender';
import { byHand } from './by-hand';
import { expressYield } from './express-yield';
import { transmit } from './transmit';

/** The contender that the others are compared with. */
export const BASELINE: Contender = byHand;

/** In the order in which they alternate. */
export const CONTENDERS: readonly Contender[] = [expressYield, transmit, BASELINE];

export function contenderNamed(name: string | undefined): Contender {
  const contender = CONTENDERS.find((known) => known.name === name);
  if (contender === undefined) throw new RangeError(`Expected the name of a contender, got '${name}'.`);
  return contender;
}
