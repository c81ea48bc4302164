import { Frames } from '../format/frames';
import type { Entry } from '../log/entry';

/** The frames that one write sends to a subscriber, and the entries by which it advances the cursor. */
export interface Batch {
  /** `undefined` if the subscriber receives none of the entries. */
  readonly frames: Frames | undefined;
  /** The number of entries covered. */
  readonly length: number;
  /** The id of the last entry covered. */
  readonly lastId: string;
  /** The last id among the frames; `''` if there is none. */
  readonly sentId: string;
  /** The entry that ends the log; it is not among the frames. */
  readonly closing: Entry | undefined;
  /** What the view threw at the entry after these. */
  readonly failure: { readonly error: unknown } | undefined;
}

/** From this size on a chunk is worth a weak reference. Node allocates it by itself, and not in a pool. */
export const LARGE_BYTES = 16 * 1024;

/**
 * The chunk of frames, for as long as a client has it queued. Clients that read at different speeds share it, so that a
 * replay takes the memory of the log once and not once for each client.
 */
class QueuedChunk {
  readonly #events: number;
  /** Not of the chunk itself: a connection may have queued parts of it only. */
  readonly #memory: WeakRef<ArrayBufferLike>;
  readonly #offset: number;
  readonly #length: number;

  /** @returns `undefined` if the frames are small, or no client needed a chunk of them */
  static of({ chunk, events }: Frames): QueuedChunk | undefined {
    if (chunk === undefined || chunk.length < LARGE_BYTES) return undefined;
    return new QueuedChunk(chunk, events);
  }

  private constructor(chunk: Buffer, events: number) {
    this.#events = events;
    this.#memory = new WeakRef(chunk.buffer);
    this.#offset = chunk.byteOffset;
    this.#length = chunk.length;
  }

  /** @returns `undefined` if no client has it queued any more */
  frames(): Frames | undefined {
    const memory = this.#memory.deref() as ArrayBuffer | undefined;
    if (memory === undefined) return undefined;
    return Frames.ofChunk(Buffer.from(memory, this.#offset, this.#length), this.#events);
  }
}

/** A cache whose content is released at the end of each turn of the event loop. */
export interface TurnCache {
  endTurn(): void;
}

/** Is called with a cache that is not empty any more, so that its turn can be ended. */
export type OnUsed = (cache: TurnCache) => void;

interface CachedBatch {
  /** The position that the batch must not exceed. */
  readonly end: number;
  readonly batch: Batch;
}

interface QueuedBatch {
  readonly end: number;
  /** Without its frames. */
  readonly batch: Batch;
  readonly chunk: QueuedChunk;
}

/** The batches that cursors at one position share. */
export class BatchCache implements TurnCache {
  readonly #onUsed: OnUsed;
  readonly #ofTurn = new Map<number, CachedBatch>();
  #queued: Map<number, QueuedBatch> | undefined;
  #sweepSize = 64;

  constructor(onUsed: OnUsed) {
    this.#onUsed = onUsed;
  }

  /** @param end the position that the batch must not exceed; another end is another batch */
  get(position: number, end: number): Batch | undefined {
    const known = this.#ofTurn.get(position);
    if (known?.end === end) return known.batch;
    const queued = this.#queued?.get(position);
    return queued?.end === end ? this.#revived(position, queued) : undefined;
  }

  add(position: number, end: number, batch: Batch): Batch {
    if (this.#ofTurn.size === 0) this.#onUsed(this);
    this.#ofTurn.set(position, { end, batch });
    return batch;
  }

  endTurn(): void {
    for (const [position, { end, batch }] of this.#ofTurn) {
      const chunk = batch.frames && !batch.failure ? QueuedChunk.of(batch.frames) : undefined;
      if (chunk !== undefined) this.#keep(position, { end, batch: { ...batch, frames: undefined }, chunk });
    }
    this.#ofTurn.clear();
  }

  #revived(position: number, { end, batch, chunk }: QueuedBatch): Batch | undefined {
    const frames = chunk.frames();
    return frames && this.add(position, end, { ...batch, frames });
  }

  #keep(position: number, queued: QueuedBatch): void {
    this.#queued ??= new Map();
    this.#queued.set(position, queued);
    if (this.#queued.size < this.#sweepSize) return;
    for (const [each, { chunk }] of this.#queued) {
      if (chunk.frames() === undefined) this.#queued.delete(each);
    }
    this.#sweepSize = Math.max(64, 2 * this.#queued.size);
  }
}

/** The frames of single entries, which many subscribers share that receive nothing else. */
export class SingleCache implements TurnCache {
  readonly #onUsed: OnUsed;
  readonly #ofTurn = new Map<Entry, Frames>();
  /** Only of large entries, because weak maps cost time during garbage collection. */
  #queued: WeakMap<Entry, QueuedChunk> | undefined;

  constructor(onUsed: OnUsed) {
    this.#onUsed = onUsed;
  }

  framesOf(entry: Entry): Frames {
    const known = this.#ofTurn.get(entry);
    if (known !== undefined) return known;
    const frames = this.#queuedFrames(entry) ?? new Frames(entry.frame, 1, entry.bytes);
    if (this.#ofTurn.size === 0) this.#onUsed(this);
    this.#ofTurn.set(entry, frames);
    return frames;
  }

  endTurn(): void {
    for (const [entry, frames] of this.#ofTurn) {
      const chunk = QueuedChunk.of(frames);
      if (chunk !== undefined) this.#keep(entry, chunk);
    }
    this.#ofTurn.clear();
  }

  #queuedFrames(entry: Entry): Frames | undefined {
    return entry.bytes < LARGE_BYTES ? undefined : this.#queued?.get(entry)?.frames();
  }

  #keep(entry: Entry, chunk: QueuedChunk): void {
    this.#queued ??= new WeakMap();
    this.#queued.set(entry, chunk);
  }
}
