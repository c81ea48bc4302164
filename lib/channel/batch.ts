import { Frames } from '../format/frames';
import type { Entry } from '../log/entry';
import { BLOCK_BYTES } from '../log/window';
import { type Batch, LARGE_BYTES, type SingleCache } from './frame-cache';
import type { MapLane } from './lane';
import { scanClock } from './scan-clock';
import type { View } from './view';

/** Entries by their positions: a window, or a page of the log. */
export interface Entries {
  at(position: number): Entry;
}

/**
 * The approximate size of one write to a subscriber with a view. Only that subscriber can use it, so it is smaller than a
 * block: 1,000 clients that read nothing hold 1,000 of them.
 */
const MAX_VIEW_BYTES = 16 * 1024;

/** The number of entries that a view scans before other subscribers have their turn. */
export const MAX_SCANNED = 1_000;

/**
 * Collects entries for all subscribers of a channel that have no view.
 *
 * @param end the position after the last entry; the batch may end before it, at the size of one write
 */
export function collect(entries: Entries, position: number, end: number, singles: SingleCache): Batch {
  const builder = new BatchBuilder();
  for (let next = position; next < end && builder.hasRoom(BLOCK_BYTES); next++) {
    const entry = entries.at(next);
    if (!entry.isLast) builder.append(entry);
    builder.advance(entry);
  }
  return builder.build(singles);
}

/** Collects what all subscribers with one map function receive. */
export function collectMapped(
  entries: Entries,
  position: number,
  end: number,
  singles: SingleCache,
  lane: MapLane,
): Batch {
  const builder = new BatchBuilder();
  scanClock.startScan(lane);
  try {
    for (let next = position; next < end && builder.hasRoom(BLOCK_BYTES); next++) {
      const entry = entries.at(next);
      if (!entry.isLast) builder.append(lane.shownFromLog(entry));
      builder.advance(entry);
      if (scanClock.count(entry.bytes)) break;
    }
  } catch (error) {
    builder.failure = { error };
  }
  scanClock.endScan();
  return builder.build(singles);
}

/** Collects what one subscriber with a view receives, in the context of its request. */
export function collectView(
  entries: Entries,
  position: number,
  end: number,
  singles: SingleCache,
  view: View,
): Batch {
  const builder = new BatchBuilder();
  scanClock.startScan(view);
  try {
    view.context.runInAsyncScope(scan, undefined, builder, entries, position, end, view);
  } catch (error) {
    builder.failure = { error };
  }
  scanClock.endScan();
  return builder.build(singles);
}

function scan(builder: BatchBuilder, entries: Entries, position: number, end: number, view: View): void {
  const last = Math.min(end, position + MAX_SCANNED);
  for (let next = position; next < last && builder.hasRoom(MAX_VIEW_BYTES); next++) {
    const entry = entries.at(next);
    const shown = view.apply(entry);
    if (shown !== undefined && !entry.isLast) {
      if (builder.mustSendBefore(shown)) {
        view.hold(entry, shown);
        return;
      }
      builder.append(shown);
    }
    builder.advance(entry);
    if (scanClock.count(entry.bytes)) return;
  }
}

class BatchBuilder implements Batch {
  frames: Frames | undefined;
  length = 0;
  lastId = '';
  sentId = '';
  closing: Entry | undefined;
  failure: Batch['failure'];
  #text = '';
  #bytes = 0;
  #appended = 0;
  #lastAppended: Entry | undefined;

  /** Whether another entry may follow. */
  hasRoom(maxBytes: number): boolean {
    return this.#bytes < maxBytes && this.closing === undefined;
  }

  /** A large entry is sent alone, so that all subscribers that receive it share its bytes. */
  mustSendBefore({ bytes }: Entry): boolean {
    return this.#appended > 0 && bytes >= LARGE_BYTES;
  }

  append(entry: Entry): void {
    this.#text += entry.frame;
    this.#bytes += entry.bytes;
    this.#appended++;
    this.#lastAppended = entry;
    if (entry.kind !== 'gap') this.sentId = entry.id;
  }

  /** The entry is covered, whether it was appended or not. */
  advance(entry: Entry): void {
    this.lastId = entry.id;
    this.length++;
    if (entry.isLast) this.closing = entry;
  }

  build(singles: SingleCache): Batch {
    if (this.#lastAppended === undefined) return this;
    this.frames =
      this.#appended === 1
        ? singles.framesOf(this.#lastAppended)
        : new Frames(this.#text, this.#appended, this.#bytes);
    return this;
  }
}
