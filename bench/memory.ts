import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

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

/**
 * How far the memory that the system counts rises above where it stood. The kernel notes the peak, so that none falls
 * between two looks, and looking costs nothing.
 */
export class MemoryPeak {
  readonly #before = process.memoryUsage.rss();

  constructor() {
    // Forgets the peak so far; where there is no such file, that of the warm-up may count.
    if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5');
  }

  get growthBytes(): number {
    return Math.max(0, process.resourceUsage().maxRSS * 1_024 - this.#before);
  }
}
