/**
 * Many readers of one channel, in a process of their own: `crowd.ts <port> <readers>`. Each comes again as an
 * `EventSource` does: behind its last event ID, after the reconnection time, until a 204.
 */
import { connect } from 'node:net';
import { setTimeout } from 'node:timers';
import { END_ID, type Frame } from './ledger';
import { Wire } from './wire';

/** What is published: each publisher counts its own events from 1. */
export interface Counted {
  readonly from: string;
  readonly n: number;
}

/** How many events each publisher has sent; the data of the closing event. */
export type Counts = Readonly<Record<string, number>>;

/** All have their place; the first was refused; all have come back; all have been told that it is over. */
export type CrowdWord =
  | { readonly kind: 'placed' | 'refused' | 'returned' }
  | { readonly kind: 'over'; readonly report: CrowdReport };

export interface CrowdReport {
  readonly events: number;
  readonly lost: number;
  readonly doubled: number;
  /** How many readers were told of so many gaps. */
  readonly readersByGaps: Counts;
  /** How many readers had seen so many events when their first stream ended. */
  readonly readersByFirstEnd: Counts;
  /** How many different sequences of events the readers have seen. */
  readonly sequences: number;
  /** When each was answered again, in milliseconds after the first that was. */
  readonly returnedAtMs: readonly number[];
  /** Connections that nobody took. */
  readonly refused: number;
  /** Streams that were cut off rather than ended. */
  readonly cut: number;
  /** Answers of other kinds than expected, and the like. */
  readonly errors: readonly string[];
}

/** So many connect at a time: all at once would overflow the queue of the server's socket. */
const CONNECTING = 100;

/** Until the server says otherwise. */
const FIRST_RETRY_MS = 1_000;

const [port = 0, readers = 0] = process.argv.slice(2).map(Number);
const totals = { events: 0, lost: 0, doubled: 0, refused: 0, cut: 0 };
const errors: string[] = [];
const returnedAt: number[] = [];
const sequences = new Set<number>();
const readersByGaps: Record<string, number> = {};
const readersByFirstEnd: Record<string, number> = {};
let placed = 0;
let over = 0;

class Reader {
  #lastEventId = '';
  #connections = 0;
  #retryMs = FIRST_RETRY_MS;
  #gaps = 0;
  #events = 0;
  /** Of the events seen, in their order. */
  #digest = 0;
  readonly #seen = new Map<string, number>();

  /** The connection stays open behind the end of its stream, as a browser's does; closing it is the server's part. */
  connect(): void {
    const wire = new Wire((frame) => this.#take(frame));
    const socket = connect(port, '127.0.0.1', () => socket.write(this.#request()));
    const onOver = once(() => this.#onOver(wire));
    const onAnswer = once((status: number) => this.#onAnswer(status));
    socket.on('data', (bytes) => {
      try {
        wire.take(bytes);
      } catch (error) {
        errors.push(String(error));
      }
      if (wire.status !== undefined) onAnswer(wire.status);
      if (wire.ended || wire.status === 204) onOver();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => onOver());
  }

  #request(): string {
    const id = this.#lastEventId === '' ? '' : `Last-Event-ID: ${this.#lastEventId}\r\n`;
    return `GET / HTTP/1.1\r\nHost: crowd\r\nAccept: text/event-stream\r\n${id}\r\n`;
  }

  #onAnswer(status: number): void {
    const isLast = this.#lastEventId === END_ID;
    if (status !== (isLast ? 204 : 200)) errors.push(`a ${status} behind '${this.#lastEventId}'`);
    this.#connections++;
    if (this.#connections !== 2 || isLast) return;
    returnedAt.push(performance.now());
    if (returnedAt.length === readers) tell({ kind: 'returned' });
  }

  /** Of one connection's answer; after a 204, of everything. */
  #onOver(wire: Wire): void {
    if (wire.status === 204) return this.#onFinished();
    if (wire.status === undefined) onRefused();
    else if (!wire.ended || wire.torn !== '') totals.cut++;
    if (wire.status !== undefined && this.#connections === 1) note(readersByFirstEnd, this.#events);
    this.#retryMs = wire.retryMs ?? this.#retryMs;
    setTimeout(() => this.connect(), this.#retryMs);
  }

  #take({ id, type, data }: Frame): void {
    const isFirst = this.#lastEventId === '';
    if (id !== undefined) this.#lastEventId = id;
    if (id === END_ID) return this.#onEnd(JSON.parse(data ?? '') as Counts);
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
    if (++over === readers) tell({ kind: 'over', report: report() });
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
  if (placed === readers) tell({ kind: 'placed' });
}

function onRefused(): void {
  totals.refused++;
  if (totals.refused === 1) tell({ kind: 'refused' });
}

function tell(word: CrowdWord): void {
  process.send?.(word);
}

process.on('disconnect', () => process.exit());
for (let i = 0; i < CONNECTING; i++) startOne();
