import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { GCProfiler } from 'node:v8';

/** The memory of a process after garbage collection. */
export interface Memory {
  /** As V8 counts it: objects, and the external memory that they keep. Exact, but without the sockets of libuv. */
  readonly heapBytes: number;
  /** As the system counts it: all memory, in pages, including what the allocators keep for reuse. */
  readonly rssBytes: number;
}

/** Closed sockets are released in later turns of the event loop. */
const SETTLE_MS = 200;

/** Needs `--expose-gc`. */
export async function settledMemory(): Promise<Memory> {
  for (let collection = 0; collection < 2; collection++) {
    await setTimeout(SETTLE_MS);
    collect();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapBytes: heapUsed + external, rssBytes: rss };
}

function collect(): void {
  if (gc === undefined) throw new Error('Expected the server to be started with --expose-gc.');
  gc();
}

/** The growth of a process's memory during a measurement. */
export interface MemoryGrowth {
  /**
   * The retained memory: as V8 counts it after each full collection, the maximum minus the minimum. At other times, most
   * of what V8 counts is garbage. Even after a collection of the young generation it includes the garbage of the old one,
   * which a log of a thousand events produces all the time.
   */
  readonly keptBytes: number;
  /** The system's peak minus its value at the start; includes the 16 MB by which V8 can enlarge its young generation. */
  readonly rssBytes: number;
}

/** Observes each collection. The kernel records the peak, so none can be missed between two samples. */
export class MemoryWatch {
  readonly #collections = new GCProfiler();
  readonly #rssBefore = process.memoryUsage.rss();
  #growth: MemoryGrowth | undefined;

  constructor() {
    // Resets the peak. On other systems, the peak of the warm-up may be included.
    if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5');
    this.#collections.start();
    // The servers whose bodies are compared run without --expose-gc.
    globalThis.gc?.();
  }

  /** Stops observing. Further calls return the same. */
  stop(): MemoryGrowth {
    this.#growth ??= this.#measure();
    return this.#growth;
  }

  #measure(): MemoryGrowth {
    globalThis.gc?.();
    const kept = this.#collections
      .stop()
      .statistics.filter(({ gcType }) => gcType === 'MarkSweepCompact')
      .map(({ afterGC }) => keptOf(afterGC.heapStatistics));
    const keptBytes = Math.max(...kept) - Math.min(...kept);
    const peak = process.resourceUsage().maxRSS * 1_024;
    return { keptBytes, rssBytes: Math.max(0, peak - this.#rssBefore) };
  }
}

function keptOf(heap: { readonly usedHeapSize: number; readonly externalMemory: number }): number {
  return heap.usedHeapSize + heap.externalMemory;
}
