/** A server at one moment, its heap after a garbage collection. */
export interface ServerSample {
  readonly streams: number;
  readonly opened: number;
  readonly sockets: number;
  readonly generators: number;
  /** Of all channels. */
  readonly subscribers: number;
  readonly timers: number;
  readonly published: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Since the last sample. */
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  /** Since the process began. */
  readonly cpuMs: number;
  /** How many streams ended for which reason, if it is diagnosed. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly incidents: readonly string[];
}

/** What should be gone when everybody has left; `''` if it is. */
export function leftIn(sample: ServerSample): string {
  const { streams, sockets, generators, subscribers, timers } = sample;
  if (streams + sockets + generators + subscribers + timers === 0) return '';
  return `${streams} streams, ${sockets} sockets, ${generators} generators, ${subscribers} subscribers, ${timers} timers`;
}
