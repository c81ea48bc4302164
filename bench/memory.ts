import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { GCProfiler } from 'node:v8';

/** What a process holds once everything that nobody needs any more is collected. */
export interface Memory {
  /** What V8 counts: objects, and the memory outside its heap that they keep. Exact, but blind to the sockets of libuv. */
  readonly heapBytes: number;
  /** What the system counts: all of it, in pages, with what the allocators keep for later. */
  readonly rssBytes: number;
}

/** Closed sockets are let go of in later turns of the event loop. */
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

/** How far a process's memory rises while it is measured. */
export interface MemoryGrowth {
  /**
   * What V8 counts after each of its full collections, the most of them minus the least: what is really kept. What it
   * counts at other times is mostly garbage, and depends on when it collects; after a collection of the young generation
   * alone it counts the garbage of the old one, which a log of a thousand events makes all the time.
   */
  readonly keptBytes: number;
  /** The system's peak, minus what it counted at the start: with the 16 MB by which V8 may enlarge its young generation at any time. */
  readonly rssBytes: number;
}

/** Looks at each collection; the peak is noted by the kernel, so that none falls between two looks. */
export class MemoryWatch {
  readonly #collections = new GCProfiler();
  readonly #rssBefore = process.memoryUsage.rss();
  #growth: MemoryGrowth | undefined;

  constructor() {
    // Forgets the peak so far; where there is no such file, that of the warm-up may count.
    if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5');
    this.#collections.start();
    // The servers whose bodies are compared are not started to be measured.
    globalThis.gc?.();
  }

  /** Ends watching; called again, the same. */
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
