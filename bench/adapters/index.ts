import type { Adapter } from '../adapter';
import { byHand } from './by-hand';
import { expressYieldApp } from './express-yield-app';
import { expressYieldHandler } from './express-yield-handler';

/** What all others are compared with. */
export const BASELINE: Adapter = byHand;

/** In the order in which they take turns. */
export const ADAPTERS: readonly Adapter[] = [expressYieldApp, expressYieldHandler, BASELINE];

export function adapterNamed(name: string | undefined): Adapter {
  const adapter = ADAPTERS.find((known) => known.name === name);
  if (adapter === undefined) throw new RangeError(`Expected the name of an adapter, got '${name}'.`);
  return adapter;
}
