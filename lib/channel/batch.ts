import { Frames } from '../format/frames';
import type { Entry } from '../log/entry';

/** Decides whether a subscriber receives an entry. */
export type EntryFilter = (entry: Entry) => boolean;

/** The frames that one write sends to a subscriber, and the entries by which it advances the cursor. */
export interface Batch {
  /** `undefined` if the filter passes none of the entries. */
  readonly frames: Frames | undefined;
  /** The number of entries covered. */
  readonly length: number;
  /** The id of the last entry covered. */
  readonly lastId: string;
  /** The last id among the frames; `''` if there is none. */
  readonly sentId: string;
  /** The entry that ends the log; it is not among the frames. */
  readonly closing: Entry | undefined;
  /** The error that the filter threw for the entry after these. */
  readonly failure: { readonly error: unknown } | undefined;
}

/** The approximate size of one write to a subscriber, after which other subscribers are served. */
const MAX_BYTES = 64 * 1024;

/** The number of entries that a filter scans before other subscribers are served. */
export const MAX_SCANNED = 1_000;

/**
 * Collects entries up to the closing entry, the size of one write, or the head of the log.
 *
 * @param at returns the entry at an offset from the cursor; `undefined` after the last entry
 * @param single returns the frame of one entry, which all filtered subscribers share
 */
export function collect(
  at: (offset: number) => Entry | undefined,
  filter: EntryFilter | undefined,
  single?: (offset: number) => Frames,
): Batch {
  const builder = new BatchBuilder(filter);
  for (let entry = at(0); entry !== undefined && builder.add(entry); entry = at(builder.length));
  return builder.batch(single);
}

class BatchBuilder {
  readonly #filter: EntryFilter | undefined;
  #length = 0;
  #text = '';
  #bytes = 0;
  #accepted = 0;
  /** The offset of the last accepted entry. */
  #acceptedOffset = 0;
  #lastId = '';
  #sentId = '';
  #closing: Entry | undefined;
  #failure: Batch['failure'];

  constructor(filter: EntryFilter | undefined) {
    this.#filter = filter;
  }

  get length(): number {
    return this.#length;
  }

  /** @returns whether the next entry may be added */
  add(entry: Entry): boolean {
    if (entry.isLast) this.#closing = entry;
    else if (this.#passesFilter(entry)) this.#append(entry);
    if (this.#failure !== undefined) return false;
    this.#lastId = entry.id;
    this.#length++;
    const hasScannedEnough = this.#filter !== undefined && this.#length >= MAX_SCANNED;
    return this.#closing === undefined && this.#bytes < MAX_BYTES && !hasScannedEnough;
  }

  batch(single: ((offset: number) => Frames) | undefined): Batch {
    return {
      frames: this.#frames(single),
      length: this.#length,
      lastId: this.#lastId,
      sentId: this.#sentId,
      closing: this.#closing,
      failure: this.#failure,
    };
  }

  #passesFilter(entry: Entry): boolean {
    if (this.#filter === undefined || entry.kind === 'gap') return true;
    try {
      return this.#filter(entry);
    } catch (error) {
      this.#failure = { error };
      return false;
    }
  }

  #append(entry: Entry): void {
    this.#text += entry.frame;
    this.#bytes += entry.bytes;
    this.#accepted++;
    this.#acceptedOffset = this.#length;
    if (entry.kind !== 'gap') this.#sentId = entry.id;
  }

  #frames(single: ((offset: number) => Frames) | undefined): Frames | undefined {
    if (this.#accepted === 0) return undefined;
    return this.#accepted === 1 && single !== undefined
      ? single(this.#acceptedOffset)
      : new Frames(this.#text, this.#accepted);
  }
}
