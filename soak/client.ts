import { connect, type Socket } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { END_ID, type Ledger, type Tally } from './ledger';
import type { Random } from './random';
import { Wire } from './wire';

/** What a client asks for, and how it behaves. */
export interface Wish {
  readonly name: string;
  readonly port: number;
  readonly path: string;
  /** The JSON of a POST. */
  readonly body?: string;
  readonly ledger: Ledger;
  /** Whether a status of 500 is among what may happen. */
  readonly mayFail: boolean;
  /** Reads a little and then nothing, until the server has given it up. */
  readonly neverReads: boolean;
  /** Its server is replaced now and then. */
  readonly restarts: boolean;
}

/** What all clients share, and whom this one tells. */
export interface Surroundings {
  readonly tally: Tally;
  readonly random: Random;
  /** How long nothing happens to a connection on average. */
  readonly calmMs: number;
  /** It has left for good, or its stream has finished. */
  onDone(): void;
}

/** Something that happens to a connection. */
type Mishap = { readonly weight: number; readonly happen: (client: Client) => void };

/** A connection on which nothing comes for so long, not even a keep-alive, has failed. */
const SILENCE_MS = 30_000;

/** How long one that never reads waits for its server to give it up. */
const GIVEN_UP_MS = 7_000;

const FIRST_RETRY_MS = 500;

const MISHAPS: readonly Mishap[] = [
  { weight: 6, happen: (client) => client.cutMidFrame() },
  { weight: 3, happen: (client) => client.destroy() },
  { weight: 2, happen: (client) => client.reset() },
  { weight: 2, happen: (client) => client.halfClose() },
  { weight: 5, happen: (client) => client.stall(200, 3_000) },
  { weight: 1, happen: (client) => client.stall(4_000, 9_000) },
  { weight: 4, happen: (client) => client.leave() },
];

/** An `EventSource` with mishaps: it comes again with its last event ID until its stream has finished, or it has left. */
export class Client {
  readonly wish: Wish;
  readonly #tally: Tally;
  readonly #random: Random;
  readonly #calmMs: number;
  readonly #onDone: () => void;
  #socket: Socket | undefined;
  #wire: Wire | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #heardAt = performance.now();
  /** Whether this connection's end is its own doing, or that of its slowness. */
  #excused = false;
  #cutNext = false;
  #leaving = false;
  #peaceful = false;
  #done = false;

  constructor(wish: Wish, { tally, random, calmMs, onDone }: Surroundings) {
    this.wish = wish;
    this.#tally = tally;
    this.#random = random;
    this.#calmMs = calmMs;
    this.#onDone = onDone;
    this.#connect();
  }

  /** Nothing more happens to it; it reads to the end. */
  calmDown(): void {
    this.#peaceful = true;
    // One that has no answer yet is about to be cut short, or to come again.
    if (this.#socket === undefined || this.#wire?.status === undefined) return;
    clearTimeout(this.#timer);
    this.#socket?.resume();
  }

  get about(): string {
    const { name, ledger } = this.wish;
    return `${name} behind '${ledger.lastEventId}', status ${this.#wire?.status}, socket ${this.#socket?.readyState}`;
  }

  checkSilence(): void {
    if (this.#socket === undefined || performance.now() - this.#heardAt < SILENCE_MS) return;
    this.#tally.incidents.add(`silence for ${SILENCE_MS} ms: ${this.about}`);
    this.#heardAt = performance.now();
  }

  cutMidFrame(): void {
    this.#cutNext = true;
  }

  destroy(): void {
    this.#excused = true;
    this.#socket?.destroy();
  }

  reset(): void {
    this.#excused = true;
    this.#socket?.resetAndDestroy();
  }

  halfClose(): void {
    this.#excused = true;
    this.#socket?.end();
  }

  stall(leastMs: number, mostMs: number): void {
    this.#excused = true;
    this.#socket?.pause();
    this.#timer = setTimeout(() => this.#readAgain(), this.#random.between(leastMs, mostMs));
  }

  /** For good. */
  leave(): void {
    this.#leaving = true;
    this.destroy();
  }

  #readAgain(): void {
    this.#heardAt = performance.now();
    this.#socket?.resume();
    this.#awaitMishap();
  }

  #awaitMishap(): void {
    if (this.#peaceful) return;
    this.#timer = setTimeout(
      () => this.#random.pick(MISHAPS).happen(this),
      this.#random.waitMs(this.#calmMs),
    );
  }

  #connect(): void {
    const socket = connect(this.wish.port, '127.0.0.1');
    const wire = new Wire((frame) => this.wish.ledger.take(frame));
    this.#socket = socket;
    this.#wire = wire;
    this.#excused = false;
    this.#cutNext = false;
    this.#heardAt = performance.now();
    this.wish.ledger.onOpen();
    socket.on('connect', () => this.#request(socket));
    socket.on('data', (bytes) => this.#take(bytes, wire, socket));
    // Whatever it was, the connection closes.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose(wire));
  }

  /** Some change their minds before the answer, or in the middle of the question. */
  #request(socket: Socket): void {
    const request = requestOf(this.wish);
    if (!this.#peaceful && this.#random.chance(0.05)) return this.#falter(socket, request);
    socket.write(request);
    if (this.wish.neverReads) this.#timer = setTimeout(() => this.#stopReading(), 100);
    else this.#awaitMishap();
  }

  #falter(socket: Socket, request: string): void {
    this.#excused = true;
    const length = this.#random.chance(0.5) ? request.length : this.#random.index(request.length);
    if (length > 0) socket.write(request.slice(0, length));
    const ms = length === request.length ? this.#random.between(0, 20) : this.#random.between(0, 2_000);
    this.#timer = setTimeout(() => socket.destroy(), ms);
  }

  #stopReading(): void {
    if (this.#peaceful) return;
    this.stall(GIVEN_UP_MS, GIVEN_UP_MS + 1_000);
  }

  #take(bytes: Buffer, wire: Wire, socket: Socket): void {
    this.#heardAt = performance.now();
    try {
      const isCut = this.#cutNext && wire.status !== undefined;
      wire.take(isCut ? bytes.subarray(0, this.#random.index(bytes.length)) : bytes);
      if (isCut) this.destroy();
      if (wire.status !== undefined && (wire.ended || wire.status !== 200)) socket.destroy();
    } catch (error) {
      this.#tally.incidents.add(`${this.about}: ${String(error)}`);
      socket.destroy();
    }
  }

  #onClose(wire: Wire): void {
    clearTimeout(this.#timer);
    this.#socket = undefined;
    if (this.#done) return;
    this.#checkEnd(wire);
    const isOver = wire.status === 204 || wire.status === 500;
    if (isOver || (this.#leaving && !this.#peaceful)) return this.#finish();
    this.#retryMs = wire.retryMs ?? this.#retryMs;
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs * this.#random.between(0.5, 1.5));
  }

  #checkEnd(wire: Wire): void {
    const what = this.#wrongEnd(wire);
    if (what !== undefined) this.#tally.incidents.add(`${what}: ${this.about}`);
  }

  /** What is wrong with the end of a connection, if anything. */
  #wrongEnd({ status, ended, torn }: Wire): string | undefined {
    const { ledger, mayFail, restarts, neverReads } = this.wish;
    if (status === 204) return ledger.lastEventId === END_ID ? undefined : 'a 204 for what has not finished';
    if (status === 500) return mayFail ? undefined : 'a 500';
    if (status === undefined) return this.#excused || restarts ? undefined : 'no answer';
    if (status !== 200) return 'a status';
    if (!ended) return this.#excused ? undefined : 'cut off';
    if (torn !== '') return `a torn event '${torn.slice(0, 80)}'`;
    // A server that is replaced may end it in order before it has stalled.
    if (neverReads && !restarts && !this.#peaceful) return 'a stream that nobody read and that ended';
    return undefined;
  }

  #finish(): void {
    this.#done = true;
    this.#onDone();
  }
}

function requestOf({ path, body, ledger }: Wish): string {
  const method = body === undefined ? 'GET' : 'POST';
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: soak', 'Accept: text/event-stream'];
  if (ledger.lastEventId !== '') lines.push(`Last-Event-ID: ${ledger.lastEventId}`);
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${body.length}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}
