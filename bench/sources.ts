import { setImmediate, setInterval, setTimeout } from 'node:timers/promises';
import { now } from './clock';

/** Who is served. */
export interface Viewer {
  /** How many events are wanted. */
  readonly events: number;
  /** Aborts when the client has left; to be made only when asked for. A shared run's never does. */
  readonly signal: AbortSignal;
}

/** About 100 bytes of JSON. */
export interface Quote {
  /** Counts from 0 for each symbol, so that the client sees whether one is missing, doubled or out of order. */
  readonly seq: number;
  /** When it was yielded, by {@link now}; 0 where nobody asks. */
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

/** As fast as it is read; never waits for anything. */
export async function* flood({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) yield quote(seq);
}

/** One event for each tick of an interval of its own. */
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

/** Single events, each with the moment at which it was yielded. */
export async function* lone({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) {
    await setTimeout(PAUSE_MS);
    yield quote(seq, now());
  }
}

/** Its events at once, then nothing until the client leaves. */
export async function* visit(viewer: Viewer): AsyncGenerator<Quote, void, undefined> {
  yield* flood(viewer);
  await setTimeout(60_000, null, { signal: viewer.signal });
}

/** Somebody holds it, as somebody does whatever a generator waits for: else the collector would take the generator, too. */
const NOTHING_MORE = new Promise<void>(() => undefined);

/** One event, then nothing for as long as the server runs. */
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

/** 2,000 events of two kilobytes in a second, a few at a time: not more than one client can read from many streams. */
export async function* heavy({ events, signal }: Viewer): AsyncGenerator<Quote, void, undefined> {
  let seq = 0;
  for await (const _ of setInterval(HEAVY_MS, null, { signal })) {
    for (let burst = 0; burst < HEAVY_BURST; burst++) {
      yield { ...quote(seq++), venue: HEAVY_TEXT };
      if (seq === events) return;
    }
  }
}

/** As {@link turns}, one symbol after the other; each has as many events as are wanted. */
export async function* market({ events }: Viewer): AsyncGenerator<Quote, void, undefined> {
  for (let seq = 0; seq < events; seq++) {
    for (let index = 0; index < SYMBOLS; index++) {
      yield quote(seq, 0, symbolAt(index));
      await setImmediate();
    }
  }
}

/** Four characters, as all symbols here. */
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
