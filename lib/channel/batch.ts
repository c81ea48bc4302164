import { Frames } from '../format/frames';
import type { Entry } from '../log/entry';

/** Decides which entries a subscriber gets. */
export type Accepts = (entry: Entry) => boolean;

/** What a subscriber is sent in one write, and where that takes it. */
export interface Batch {
  /** `undefined` if nothing of it is for this subscriber. */
  readonly frames: Frames | undefined;
  /** How many entries it covers. */
  readonly length: number;
  /** The id of the last of them. */
  readonly lastId: string;
  /** The last id among the frames; `''` if there is none. */
  readonly sentId: string;
  /** The entry after which none follows; it is not among the frames. */
  readonly over: Entry | undefined;
  /** What the filter has thrown at the entry behind these. */
  readonly failure: { readonly error: unknown } | undefined;
}

/** About how much is written to one subscriber before others have their turn. */
const MAX_BYTES = 64 * 1024;

/** How many entries a filter looks at before others have their turn. */
export const MAX_LOOKS = 1_000;

/**
 * Gathers entries up to the end, to what one write should carry, or to the last entry of the log.
 *
 * @param at the entries from the first on, `undefined` behind the last
 * @param single the frames of one entry alone, which many subscribers with filters have in common
 */
export function gather(
  at: (offset: number) => Entry | undefined,
  accepts: Accepts | undefined,
  single?: (offset: number) => Frames,
): Batch {
  const gathering = new Gathering(accepts);
  for (let entry = at(0); entry !== undefined && gathering.take(entry); entry = at(gathering.length));
  return gathering.batch(single);
}

/** A batch in the making. */
class Gathering {
  readonly #accepts: Accepts | undefined;
  #length = 0;
  #text = '';
  #bytes = 0;
  #taken = 0;
  /** Where the last taken entry stands. */
  #takenAt = 0;
  #lastId = '';
  #sentId = '';
  #over: Entry | undefined;
  #failure: Batch['failure'];

  constructor(accepts: Accepts | undefined) {
    this.#accepts = accepts;
  }

  get length(): number {
    return this.#length;
  }

  /** @returns whether the next entry may follow */
  take(entry: Entry): boolean {
    if (isOver(entry)) this.#over = entry;
    else if (this.#isWanted(entry)) this.#append(entry);
    if (this.#failure !== undefined) return false;
    this.#lastId = entry.id;
    this.#length++;
    const isLooked = this.#accepts !== undefined && this.#length >= MAX_LOOKS;
    return this.#over === undefined && this.#bytes < MAX_BYTES && !isLooked;
  }

  batch(single: ((offset: number) => Frames) | undefined): Batch {
    return {
      frames: this.#frames(single),
      length: this.#length,
      lastId: this.#lastId,
      sentId: this.#sentId,
      over: this.#over,
      failure: this.#failure,
    };
  }

  #isWanted(entry: Entry): boolean {
    if (this.#accepts === undefined || entry.kind === 'gap') return true;
    try {
      return this.#accepts(entry);
    } catch (error) {
      this.#failure = { error };
      return false;
    }
  }

  #append(entry: Entry): void {
    this.#text += entry.frame;
    this.#bytes += entry.bytes;
    this.#taken++;
    this.#takenAt = this.#length;
    if (entry.kind !== 'gap') this.#sentId = entry.id;
  }

  #frames(single: ((offset: number) => Frames) | undefined): Frames | undefined {
    if (this.#taken === 0) return undefined;
    return this.#taken === 1 && single !== undefined
      ? single(this.#takenAt)
      : new Frames(this.#text, this.#taken);
  }
}

/** Whether an entry is the last that its log will have. */
export function isOver({ kind }: Entry): boolean {
  return kind === 'end' || kind === 'error';
}
