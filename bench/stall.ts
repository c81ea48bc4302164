import { queryOf, type Reading } from './read-stream';
import { StalledReader } from './stalled-reader';
import { subscribeAll } from './subscribe-all';

/** What the parent says once those who read have everything. */
export type StallOrder = 'resume';

/** How it went for those who had stopped reading. */
export interface Resumed {
  /** They have learnt that they missed something. */
  readonly told: number;
  /** They got everything after all: it had waited for them. */
  readonly complete: number;
}

/** Of all readers of a broadcast, some stop reading after their first event. */
export class Stall {
  /** The number of events of each who reads on, when all of those are closed. */
  readonly counts: Promise<number[]>;
  readonly #stalled: readonly StalledReader[];

  /** @param onReceived those who read on have all events */
  constructor(each: Reading, streams: number, stalled: number, onReceived: () => void) {
    const path = `${each.path}?${queryOf(each.events, { streams, symbol: undefined })}`;
    const asked = { port: each.port, path };
    this.#stalled = Array.from({ length: stalled }, () => new StalledReader(asked, each.events));
    const reading = streams - stalled;
    this.counts = subscribeAll({ each, streams: reading, expected: streams, filtered: false, onReceived });
  }

  async resume(): Promise<Resumed> {
    const told = await Promise.all(this.#stalled.map((reader) => reader.resume()));
    const complete = told.filter((missed) => !missed).length;
    return { told: told.length - complete, complete };
  }
}
