import { setImmediate, setInterval, setTimeout } from 'node:timers/promises';
import { now } from './clock';

/** The client of a source. */
export interface Viewer {
  /** How many events the client requests. */
  readonly events: number;
  /** Aborts when the client has disconnected; created on first use. That of a shared run never aborts. */
  readonly signal: AbortSignal;
}

/** About 100 bytes of JSON. */
export interface Quote {
  /** Counts from 0 for each symbol, so that the client can detect missing, duplicated and reordered events. */
  readonly seq: number;
  /** When it was yielded, by {@link now}; 0 if the row does not measure latency. */
  readonly at: number;
  readonly symbol: string;
  readonly price: number;
  readonly size: number;
  readonly side: string;
  readonly venue: string;
}

export type Source = (viewer: Viewer) => AsyncGenerator<Quote, void, undefined>;

export const TICK_MS = 20;
export const PAUSE_MS = 5;
export const PACE_MS = 20;
export const SYMBOLS = 100;
const HEAVY_MS = 4;
const HEAVY_BURST = 8;
const HEAVY_TEXT = 'XNAS'.repeat(475);

/** As fast as the client reads; never waits for anything else. */
export async function* flood({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) yield quote(seq);
}

/** One event for each tick of its own interval. */
export async function* ticks(viewer: Viewer): AsyncGenerator<Quote, void, undefined> {
  let seq = 0;
  for await (const _ of setInterval(TICK_MS, null, { signal: viewer.signal })) {
    yield quote(seq++);
    if (seq === viewer.events) return;
  }
}

/** One event for each beat of one timer that all streams share. */
export async function* beats({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) {
    await nextBeat();
    yield quote(seq);
  }
}

/** Single events, each with the time of its `yield`. */
export async function* lone({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) {
    await setTimeout(PAUSE_MS);
    yield quote(seq, now());
  }
}

/** Its events immediately, then nothing until the client disconnects. */
export async function* visit(viewer: Viewer): AsyncGenerator<Quote, void, undefined> {
  yield* flood(viewer);
  await setTimeout(60_000, null, { signal: viewer.signal });
}

/** Referenced from here, as a pending operation would be: otherwise the waiting generators would be garbage-collected. */
const NOTHING_MORE = new Promise<void>(() => undefined);

/** One event, then nothing until the server exits. */
export async function* quiet(): AsyncGenerator<Quote, void, undefined> {
  yield quote(0);
  await NOTHING_MORE;
}

/** One event, then nothing until the signal aborts. */
export async function* quietWithSignal({ signal }: Viewer): AsyncGenerator<Quote, void, undefined> {
  yield quote(0);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

/** One event for each turn of the event loop, for a shared run. */
export async function* turns({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) {
    yield quote(seq);
    await setImmediate();
  }
}

/** 50 events a second. */
export async function* paced(viewer: Viewer): AsyncGenerator<Quote, void, undefined> {
  let seq = 0;
  for await (const _ of setInterval(PACE_MS, null, { signal: viewer.signal })) {
    yield quote(seq++);
    if (seq === viewer.events) return;
  }
}

/** 2,000 events of 2 KB a second, a few at a time: as much as one client can read from many streams. */
export async function* heavy({ events, signal }: Viewer): AsyncGenerator<Quote, void, undefined> {
  let seq = 0;
  for await (const _ of setInterval(HEAVY_MS, null, { signal })) {
    for (let burst = 0; burst < HEAVY_BURST; burst++) {
      yield { ...quote(seq++), venue: HEAVY_TEXT };
      if (seq === events) return;
    }
  }
}

/** As {@link turns}, one symbol after the other; each symbol has the requested number of events. */
export async function* market({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) {
    for (let index = 0; index < SYMBOLS; index++) {
      yield quote(seq, 0, symbolAt(index));
      await setImmediate();
    }
  }
}

/** A symbol of four characters. */
export function symbolAt(index: number): string {
  return `S${String(index % SYMBOLS).padStart(3, '0')}`;
}

let beat: Promise<void> | undefined;

function nextBeat(): Promise<void> {
  beat ??= setTimeout(TICK_MS).then(() => {
    beat = undefined;
  });
  return beat;
}

function quote(seq: number, at = 0, symbol = 'ACME'): Quote {
  return { seq, at, symbol, price: 10_150 + (seq % 100), size: 300, side: 'buy', venue: 'XNAS' };
}
