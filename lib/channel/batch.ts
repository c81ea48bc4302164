import { Frames } from '../event-stream/frames';
import type { Entry } from './entry';

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
}

/** About how much is written to one subscriber before others have their turn. */
const MAX_BYTES = 64 * 1024;

/** How many entries a filter looks at before others have their turn. */
const MAX_LOOKS = 1_000;

/**
 * Gathers entries up to the end, to what one write should carry, or to the last entry of the log.
 *
 * @param at the entries from the first on, `undefined` behind the last
 * @param accepts may throw; its error is the caller's
 * @param single the frames of one entry alone, which many subscribers with filters have in common
 */
export function gather(
  at: (offset: number) => Entry | undefined,
  accepts: Accepts | undefined,
  single?: (offset: number) => Frames,
): Batch {
  let text = '';
  let bytes = 0;
  let taken = 0;
  let lastTaken = 0;
  let lastId = '';
  let sentId = '';
  let offset = 0;
  let over: Entry | undefined;
  for (let entry = at(0); entry !== undefined; entry = at(++offset)) {
    if (bytes >= MAX_BYTES || (accepts !== undefined && offset >= MAX_LOOKS)) break;
    lastId = entry.id;
    if (isOver(entry)) {
      over = entry;
      offset++;
      break;
    }
    if (entry.kind !== 'gap' && accepts?.(entry) === false) continue;
    text += entry.frame;
    bytes += entry.bytes;
    taken++;
    lastTaken = offset;
    if (entry.kind !== 'gap') sentId = entry.id;
  }
  const frames = taken === 1 && single !== undefined ? single(lastTaken) : new Frames(text);
  return { frames: taken === 0 ? undefined : frames, length: offset, lastId, sentId, over };
}

/** Whether an entry is the last that its log will have. */
export function isOver({ kind }: Entry): boolean {
  return kind === 'end' || kind === 'error';
}
