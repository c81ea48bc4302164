import { outsideRequests } from '../async-context';
import { endedError } from '../errors';
import type { EventRecord } from '../format/record';
import { refusedError } from './redis-connection';
import type { AppendResult, KnownIds, RedisStream, StreamAppend, StreamBounds } from './redis-stream';

/** The largest number of entries that are appended in one call, because Redis serves no other client meanwhile. */
const MAX_ENTRIES = 100;

/** The approximate size of one call, in characters. */
const MAX_SIZE = 256 * 1024;

/** The options of an {@link AppendQueue}. */
export interface AppendQueueOptions {
  readonly stream: Pick<RedisStream, 'append'>;
  readonly bounds: StreamBounds;
  readonly known: () => KnownIds;
  /** Called with each id, before the append resolves, and with what was known when it was sent. */
  readonly onAppended: (id: string, known: KnownIds) => void;
  /** Called with the error of Redis if an entry was appended, but a later step was refused. */
  readonly onRefused: (error: string) => void;
}

interface PendingAppend extends StreamAppend {
  readonly size: number;
  resolve(id: string): void;
  reject(error: unknown): void;
}

/**
 * The appends of one process to one log, in the order of the calls: one call of Redis is in flight, and the appends that arrive
 * meanwhile, or in the same turn of the event loop, are sent together.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions;
  #waiting: PendingAppend[] = [];
  #isSending = false;

  constructor(options: AppendQueueOptions) {
    this.#options = options;
  }

  /** @returns the id, with a known idempotency key that of the first entry */
  append(record: EventRecord, idempotencyKey = ''): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, idempotencyKey, size: record.data.length, resolve, reject });
      if (this.#isSending) return;
      this.#isSending = true;
      // It serves several requests, so it must not belong to the first of them.
      outsideRequests(() => queueMicrotask(() => void this.#sendAll()));
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#send(this.#takeBatch());
    this.#isSending = false;
  }

  #takeBatch(): PendingAppend[] {
    let [count, size] = [0, 0];
    for (const append of this.#waiting) {
      size += append.size;
      if (count === MAX_ENTRIES || (count > 0 && size > MAX_SIZE)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #send(batch: readonly PendingAppend[]): Promise<void> {
    const { stream, bounds } = this.#options;
    const known = this.#options.known();
    try {
      const results = await stream.append(batch, bounds, known);
      for (const [index, append] of batch.entries()) this.#settle(append, results[index], known);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #settle({ resolve, reject }: PendingAppend, result: AppendResult | undefined, known: KnownIds): void {
    const { id, refused } = result ?? { id: undefined, refused: 'ERR no result' };
    if (id === undefined) {
      reject(refusedError(new Error(refused)));
      return;
    }
    if (id === '') {
      reject(endedError());
      return;
    }
    if (refused !== undefined) this.#options.onRefused(refused);
    this.#options.onAppended(id, known);
    resolve(id);
  }
}
