import type { Adapter, Route } from '../adapter';
import { byHand } from './by-hand';
import { expressYieldApp } from './express-yield-app';
import { expressYieldHandler } from './express-yield-handler';

/** What all others are compared with. */
export const BASELINE: Adapter = byHand;

/** In the order in which they take turns. */
export const ADAPTERS: readonly Adapter[] = [expressYieldApp, expressYieldHandler, BASELINE];

/**
 * Those that are measured. The package's two doors differ only up to the opening of a stream, and a shared run is
 * measured from there on, so one of them is enough.
 */
export function adaptersFor({ run }: Route): readonly Adapter[] {
  return run === 'own' ? ADAPTERS : ADAPTERS.filter((adapter) => adapter !== expressYieldHandler);
}

export function adapterNamed(name: string | undefined): Adapter {
  const adapter = ADAPTERS.find((known) => known.name === name);
  if (adapter === undefined) throw new RangeError(`Expected the name of an adapter, got '${name}'.`);
  return adapter;
}
