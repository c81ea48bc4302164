/** The state of a server, after a garbage collection. */
export interface ServerSample {
  readonly streams: number;
  readonly opened: number;
  readonly sockets: number;
  readonly generators: number;
  /** The subscribers of all channels. */
  readonly subscribers: number;
  readonly timers: number;
  readonly published: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Since the last sample. */
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  /** Since the start of the process. */
  readonly cpuMs: number;
  /** The number of ended streams by reason, if diagnostics are on. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly incidents: readonly string[];
}

/** What the server still holds after all clients have disconnected; `''` if nothing. */
export function leftIn(sample: ServerSample): string {
  const { streams, sockets, generators, subscribers, timers } = sample;
  if (streams + sockets + generators + subscribers + timers === 0) return '';
  return `${streams} streams, ${sockets} sockets, ${generators} generators, ${subscribers} subscribers, ${timers} timers`;
}
