import { queryOf, type Reading } from './read-stream';
import { StalledReader } from './stalled-reader';
import { subscribeAll } from './subscribe-all';

/** The parent's order once the reading clients have received everything. */
export type StallOrder = 'resume';

/** The results of the clients that had stopped reading. */
export interface Resumed {
  /** How many received a `gap`, because events are missing. */
  readonly gaps: number;
  /** How many received every event, because the server had retained them. */
  readonly complete: number;
}

/** Subscribers to a broadcast, some of which stop reading after their first event. */
export class Stall {
  /** The number of events of each client that keeps reading, once all of them are closed. */
  readonly counts: Promise<number[]>;
  readonly #stalled: readonly StalledReader[];

  /** @param onReceived called when the clients that keep reading have received all events */
  constructor(each: Reading, streams: number, stalled: number, onReceived: () => void) {
    const path = `${each.path}?${queryOf(each.events, { streams, symbol: undefined })}`;
    const request = { port: each.port, path };
    this.#stalled = Array.from({ length: stalled }, () => new StalledReader(request, each.events));
    const reading = streams - stalled;
    this.counts = subscribeAll({ each, streams: reading, expected: streams, filtered: false, onReceived });
  }

  async resume(): Promise<Resumed> {
    const gaps = await Promise.all(this.#stalled.map((reader) => reader.resume()));
    const complete = gaps.filter((hasGap) => !hasGap).length;
    return { gaps: gaps.length - complete, complete };
  }
}
