/**
 * Many readers of one channel, in their own process: `crowd.ts <port> <readers>`. Each reconnects like an `EventSource`:
 * with its last event ID, after the reconnection time, until a 204.
 */
import { connect } from 'node:net';
import { setTimeout } from 'node:timers';
import { END_ID, type Frame } from './ledger';
import { Wire } from './wire';

/** An event. Each publisher counts its events from 1. */
export interface Counted {
  readonly from: string;
  readonly n: number;
}

/** Numbers by name. The closing event carries the number of events of each publisher. */
export type Counts = Readonly<Record<string, number>>;

/** A message to the parent: all readers have a position; a connection was refused; all have reconnected; all have ended. */
export type CrowdWord =
  | { readonly kind: 'placed' | 'refused' | 'returned' }
  | { readonly kind: 'over'; readonly report: CrowdReport };

export interface CrowdReport {
  readonly events: number;
  readonly lost: number;
  readonly doubled: number;
  /** The number of readers by the number of gaps that they received. */
  readonly readersByGaps: Counts;
  /** The number of readers by the number of events before their first stream ended. */
  readonly readersByFirstEnd: Counts;
  /** The number of different sequences of events that the readers received. */
  readonly sequences: number;
  /** When each reader was answered after reconnecting, in milliseconds after the first. */
  readonly returnedAtMs: readonly number[];
  /** The number of refused connections. */
  readonly refused: number;
  /** The number of streams that were cut off without an end. */
  readonly cut: number;
  /** Unexpected answers and other errors. */
  readonly errors: readonly string[];
}

/** How many connect at a time: all in parallel would overflow the accept queue of the server's socket. */
const CONNECTING = 100;

/** The reconnection time until the server sends another. */
const FIRST_RETRY_MS = 1_000;

const [port = 0, readers = 0] = process.argv.slice(2).map(Number);
const totals = { events: 0, lost: 0, doubled: 0, refused: 0, cut: 0 };
const errors: string[] = [];
const returnedAt: number[] = [];
const sequences = new Set<number>();
const readersByGaps: Record<string, number> = {};
const readersByFirstEnd: Record<string, number> = {};
let placed = 0;
let ended = 0;

class Reader {
  #lastEventId = '';
  #connections = 0;
  #retryMs = FIRST_RETRY_MS;
  #gaps = 0;
  #events = 0;
  /** A hash of the received events in their order. */
  #digest = 0;
  readonly #seen = new Map<string, number>();

  /** Like a browser, keeps the connection open after the end of its stream; the server closes it. */
  connect(): void {
    const wire = new Wire((frame) => this.#take(frame));
    const socket = connect(port, '127.0.0.1', () => socket.write(this.#request()));
    const onEnded = once(() => this.#onEnded(wire));
    const onAnswer = once((status: number) => this.#onAnswer(status));
    socket.on('data', (bytes) => {
      try {
        wire.take(bytes);
      } catch (error) {
        errors.push(String(error));
      }
      if (wire.status !== undefined) onAnswer(wire.status);
      if (wire.ended || wire.status === 204) onEnded();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => onEnded());
  }

  #request(): string {
    const id = this.#lastEventId === '' ? '' : `Last-Event-ID: ${this.#lastEventId}\r\n`;
    return `GET / HTTP/1.1\r\nHost: crowd\r\nAccept: text/event-stream\r\n${id}\r\n`;
  }

  #onAnswer(status: number): void {
    const isLast = this.#lastEventId === END_ID;
    if (status !== (isLast ? 204 : 200)) errors.push(`a ${status} after '${this.#lastEventId}'`);
    this.#connections++;
    if (this.#connections !== 2 || isLast) return;
    returnedAt.push(performance.now());
    if (returnedAt.length === readers) send({ kind: 'returned' });
  }

  /** The end of one connection's answer; a 204 is the end of the reader. */
  #onEnded(wire: Wire): void {
    if (wire.status === 204) {
      this.#onFinished();
      return;
    }
    if (wire.status === undefined) onRefused();
    else if (!wire.ended || wire.torn !== '') totals.cut++;
    if (wire.status !== undefined && this.#connections === 1) note(readersByFirstEnd, this.#events);
    this.#retryMs = wire.retryMs ?? this.#retryMs;
    setTimeout(() => this.connect(), this.#retryMs);
  }

  #take({ id, type, data }: Frame): void {
    const isFirst = this.#lastEventId === '';
    if (id !== undefined) this.#lastEventId = id;
    if (id === END_ID) {
      this.#onEnd(JSON.parse(data ?? '') as Counts);
      return;
    }
    if (type === 'gap') this.#gaps++;
    else if (data !== undefined) this.#count(JSON.parse(data) as Counted);
    if (isFirst && this.#lastEventId !== '') onPlaced();
  }

  #count({ from, n }: Counted): void {
    totals.events++;
    this.#events++;
    this.#digest = (this.#digest * 31 + from.charCodeAt(0) * 101 + n) | 0;
    const next = (this.#seen.get(from) ?? 0) + 1;
    if (n < next) totals.doubled++;
    else totals.lost += n - next;
    this.#seen.set(from, Math.max(n, next - 1));
  }

  #onEnd(counts: Counts): void {
    for (const [from, count] of Object.entries(counts)) totals.lost += count - (this.#seen.get(from) ?? 0);
  }

  #onFinished(): void {
    sequences.add(this.#digest);
    note(readersByGaps, this.#gaps);
    if (++ended === readers) send({ kind: 'over', report: report() });
  }
}

function report(): CrowdReport {
  const first = returnedAt[0] ?? 0;
  const returnedAtMs = returnedAt.map((at) => at - first);
  return {
    ...totals,
    readersByGaps,
    readersByFirstEnd,
    sequences: sequences.size,
    returnedAtMs,
    errors: errors.slice(0, 20),
  };
}

function note(counts: Record<string, number>, key: number): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

function once<Arguments extends unknown[]>(
  action: (...args: Arguments) => void,
): (...args: Arguments) => void {
  let done = false;
  return (...args) => {
    if (!done) action(...args);
    done = true;
  };
}

let started = 0;

function startOne(): void {
  if (started++ < readers) new Reader().connect();
}

function onPlaced(): void {
  placed++;
  startOne();
  if (placed === readers) send({ kind: 'placed' });
}

function onRefused(): void {
  totals.refused++;
  if (totals.refused === 1) send({ kind: 'refused' });
}

function send(word: CrowdWord): void {
  process.send?.(word);
}

process.on('disconnect', () => process.exit());
for (let i = 0; i < CONNECTING; i++) startOne();
