import type { Entry } from '../log/entry';
import type { OnUsed, TurnCache } from './frame-cache';

/** How many entries keep what was made from them after the turn of the event loop. */
const MAX_ENTRIES = 256;

/** The bytes of the frames of these entries. What is made from JSON may take ten times as many. */
const MAX_BYTES = 2 ** 20;

/**
 * Bounds what is made from entries for many subscribers and kept with them, such as parsed data. Events that are being
 * delivered keep it, because subscribers receive them in different turns. Events that are replayed keep it until the end of
 * the turn.
 */
export class RecentEntries implements TurnCache {
  readonly #release: (entry: Entry) => void;
  readonly #onUsed: OnUsed;
  readonly #kept = new Set<Entry>();
  #bytes = 0;
  #ofTurn: Entry[] = [];

  /** @param release drops what was made from the entry */
  constructor(release: (entry: Entry) => void, onUsed: OnUsed) {
    this.#release = release;
    this.#onUsed = onUsed;
  }

  /** @param isRecent whether the entry is near the head of the log */
  add(entry: Entry, isRecent: boolean): void {
    if (!isRecent) {
      this.#keepForTurn(entry);
      return;
    }
    this.#kept.add(entry);
    this.#bytes += entry.bytes;
    if (this.#isFull) this.#dropOldest();
  }

  endTurn(): void {
    for (const entry of this.#ofTurn) this.#release(entry);
    this.#ofTurn = [];
  }

  clear(): void {
    this.endTurn();
    for (const entry of this.#kept) this.#release(entry);
    this.#kept.clear();
    this.#bytes = 0;
  }

  get #isFull(): boolean {
    return this.#kept.size > MAX_ENTRIES || this.#bytes > MAX_BYTES;
  }

  /** The newest is kept whatever its size. The others of this turn may still be needed in it. */
  #dropOldest(): void {
    for (const entry of this.#kept) {
      if (!this.#isFull || this.#kept.size === 1) return;
      this.#kept.delete(entry);
      this.#bytes -= entry.bytes;
      this.#keepForTurn(entry);
    }
  }

  #keepForTurn(entry: Entry): void {
    if (this.#ofTurn.length === 0) this.#onUsed(this);
    this.#ofTurn.push(entry);
  }
}
