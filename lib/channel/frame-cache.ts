import { Frames } from '../format/frames';
import type { Entry } from '../log/entry';
import type { Batch } from './batch';

/** From this size on a chunk is worth a weak reference. Node allocates it by itself, and not in a pool. */
export const LARGE_BYTES = 16 * 1024;

/**
 * The chunk of frames, for as long as a client has it queued. Clients that read at different speeds share it, so that a
 * replay takes the memory of the log once and not once for each client.
 */
class QueuedChunk {
  /** Not of the chunk itself: a connection may have queued parts of it only. */
  readonly #memory: WeakRef<ArrayBufferLike>;
  readonly #offset: number;
  readonly #length: number;

  /** @returns `undefined` if the frames are small, or no client needed a chunk of them */
  static of({ chunk }: Frames): QueuedChunk | undefined {
    return chunk === undefined || chunk.length < LARGE_BYTES ? undefined : new QueuedChunk(chunk);
  }

  private constructor(chunk: Buffer) {
    this.#memory = new WeakRef(chunk.buffer);
    this.#offset = chunk.byteOffset;
    this.#length = chunk.length;
  }

  get queued(): boolean {
    return this.#memory.deref() !== undefined;
  }

  /** Sets the chunk of frames with the same text, if a client has it queued. */
  restore(frames: Frames): void {
    const memory = this.#memory.deref();
    if (memory !== undefined) frames.chunk = Buffer.from(memory as ArrayBuffer, this.#offset, this.#length);
  }
}

/** A cache whose content is released at the end of each turn of the event loop. */
export interface TurnCache {
  endTurn(): void;
}

/** Is called with a cache that is not empty any more, so that its turn can be ended. */
export type OnUsed = (cache: TurnCache) => void;

interface CachedBatch {
  readonly end: number;
  readonly batch: Batch;
}

interface CachedChunk {
  /** The number of entries. */
  readonly length: number;
  readonly chunk: QueuedChunk;
}

/** The batches that cursors at one position share. */
export class BatchCache implements TurnCache {
  readonly #onUsed: OnUsed;
  readonly #ofTurn = new Map<number, CachedBatch>();
  #chunks: Map<number, CachedChunk> | undefined;
  #sweepSize = 64;

  constructor(onUsed: OnUsed) {
    this.#onUsed = onUsed;
  }

  /** @param end the position at which the batch ends at the latest; another end is another batch */
  get(position: number, end: number): Batch | undefined {
    const known = this.#ofTurn.get(position);
    return known?.end === end ? known.batch : undefined;
  }

  add(position: number, end: number, batch: Batch): Batch {
    const cached = this.#chunks?.get(position);
    if (batch.frames !== undefined && cached?.length === batch.length) cached.chunk.restore(batch.frames);
    if (this.#ofTurn.size === 0) this.#onUsed(this);
    this.#ofTurn.set(position, { end, batch });
    return batch;
  }

  endTurn(): void {
    for (const [position, { batch }] of this.#ofTurn) {
      const chunk = batch.frames && QueuedChunk.of(batch.frames);
      if (chunk !== undefined) this.#keep(position, { length: batch.length, chunk });
    }
    this.#ofTurn.clear();
  }

  #keep(position: number, cached: CachedChunk): void {
    this.#chunks ??= new Map();
    this.#chunks.set(position, cached);
    if (this.#chunks.size < this.#sweepSize) return;
    for (const [each, { chunk }] of this.#chunks) if (!chunk.queued) this.#chunks.delete(each);
    this.#sweepSize = Math.max(64, 2 * this.#chunks.size);
  }
}

/** The frames of single entries, which many subscribers share that receive nothing else. */
export class SingleCache implements TurnCache {
  readonly #onUsed: OnUsed;
  readonly #ofTurn = new Map<Entry, Frames>();
  /** Only of large entries, because weak maps cost time during garbage collection. */
  readonly #chunks = new WeakMap<Entry, QueuedChunk>();

  constructor(onUsed: OnUsed) {
    this.#onUsed = onUsed;
  }

  framesOf(entry: Entry): Frames {
    const known = this.#ofTurn.get(entry);
    if (known !== undefined) return known;
    const frames = new Frames(entry.frame, 1);
    if (entry.bytes >= LARGE_BYTES) this.#chunks.get(entry)?.restore(frames);
    if (this.#ofTurn.size === 0) this.#onUsed(this);
    this.#ofTurn.set(entry, frames);
    return frames;
  }

  endTurn(): void {
    for (const [entry, frames] of this.#ofTurn) {
      const chunk = QueuedChunk.of(frames);
      if (chunk !== undefined) this.#chunks.set(entry, chunk);
    }
    this.#ofTurn.clear();
  }
}
