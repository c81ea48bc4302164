import { connect, type Socket } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { END_ID, type Ledger, type Tally } from './ledger';
import type { Random } from './random';
import { Wire } from './wire';

/** What a client requests, and how it behaves. */
export interface ClientOptions {
  readonly name: string;
  readonly port: number;
  readonly path: string;
  /** The JSON body of a POST; without it the request is a GET. */
  readonly body?: string;
  readonly ledger: Ledger;
  /** Whether a status of 500 is an expected answer. */
  readonly mayFail: boolean;
  /** Whether it soon stops reading, until the server disconnects it. */
  readonly neverReads: boolean;
  /** Whether its server is restarted from time to time. */
  readonly restarts: boolean;
}

/** What all clients share. */
export interface Shared {
  readonly tally: Tally;
  readonly random: Random;
  /** The mean time between two faults of a connection. */
  readonly faultEveryMs: number;
  /** Called when the client has left for good, or its stream has finished. */
  onDone(): void;
}

/** A fault of a connection. */
type Fault = { readonly weight: number; readonly inject: (client: Client) => void };

/** A connection without a byte for this long, not even a keep-alive, has failed. */
const SILENCE_MS = 30_000;

/** How long a client that never reads waits for its server to disconnect it. */
const DISCONNECT_MS = 7_000;

const FIRST_RETRY_MS = 500;

const FAULTS: readonly Fault[] = [
  { weight: 6, inject: (client) => client.cutMidFrame() },
  { weight: 3, inject: (client) => client.destroy() },
  { weight: 2, inject: (client) => client.reset() },
  { weight: 2, inject: (client) => client.halfClose() },
  { weight: 5, inject: (client) => client.stall(200, 3_000) },
  { weight: 1, inject: (client) => client.stall(4_000, 9_000) },
  { weight: 4, inject: (client) => client.leave() },
];

/**
 * An `EventSource` with faults: it reconnects with its last event ID until its stream has finished or it leaves. With a body
 * it is a fetch client, which sends a new request until an answer is complete.
 */
export class Client {
  readonly options: ClientOptions;
  readonly #tally: Tally;
  readonly #random: Random;
  readonly #faultEveryMs: number;
  readonly #onDone: () => void;
  #socket: Socket | undefined;
  #wire: Wire | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #receivedAt = performance.now();
  /** Whether the client itself has caused the end of this connection, for example by not reading. */
  #causedEnd = false;
  #cutNext = false;
  #leaving = false;
  #faultless = false;
  #done = false;

  constructor(options: ClientOptions, { tally, random, faultEveryMs, onDone }: Shared) {
    this.options = options;
    this.#tally = tally;
    this.#random = random;
    this.#faultEveryMs = faultEveryMs;
    this.#onDone = onDone;
    this.#connect();
  }

  /** Stops all faults; the client reads to the end. */
  stopFaults(): void {
    this.#faultless = true;
    // A client without an answer will be cut off or reconnect.
    if (this.#socket === undefined || this.#wire?.status === undefined) return;
    clearTimeout(this.#timer);
    this.#socket?.resume();
  }

  get about(): string {
    const { name, ledger } = this.options;
    return `${name} after '${ledger.lastEventId}', status ${this.#wire?.status}, socket ${this.#socket?.readyState}`;
  }

  get #isFetch(): boolean {
    return this.options.body !== undefined;
  }

  checkSilence(): void {
    if (this.#socket === undefined || performance.now() - this.#receivedAt < SILENCE_MS) return;
    this.#tally.incidents.add(`silence for ${SILENCE_MS} ms: ${this.about}`);
    this.#receivedAt = performance.now();
  }

  cutMidFrame(): void {
    this.#cutNext = true;
  }

  destroy(): void {
    this.#causedEnd = true;
    this.#socket?.destroy();
  }

  reset(): void {
    this.#causedEnd = true;
    this.#socket?.resetAndDestroy();
  }

  halfClose(): void {
    this.#causedEnd = true;
    this.#socket?.end();
  }

  stall(leastMs: number, mostMs: number): void {
    this.#causedEnd = true;
    this.#socket?.pause();
    this.#timer = setTimeout(() => this.#resume(), this.#random.between(leastMs, mostMs));
  }

  /** Disconnects for good. */
  leave(): void {
    this.#leaving = true;
    this.destroy();
  }

  #resume(): void {
    this.#receivedAt = performance.now();
    this.#socket?.resume();
    this.#scheduleFault();
  }

  #scheduleFault(): void {
    if (this.#faultless) return;
    this.#timer = setTimeout(
      () => this.#random.pick(FAULTS).inject(this),
      this.#random.waitMs(this.#faultEveryMs),
    );
  }

  #connect(): void {
    const socket = connect(this.options.port, '127.0.0.1');
    const wire = new Wire((frame) => this.options.ledger.take(frame));
    this.#socket = socket;
    this.#wire = wire;
    this.#causedEnd = false;
    this.#cutNext = false;
    this.#receivedAt = performance.now();
    this.options.ledger.onOpen();
    socket.on('connect', () => this.#request(socket));
    socket.on('data', (bytes) => this.#take(bytes, wire, socket));
    // Every error is followed by 'close'.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose(wire));
  }

  /** Sends the request. Some clients disconnect during it, or before the answer. */
  #request(socket: Socket): void {
    const request = requestOf(this.options);
    if (!this.#faultless && this.#random.chance(0.05)) {
      this.#abandon(socket, request);
      return;
    }
    socket.write(request);
    if (this.options.neverReads) this.#timer = setTimeout(() => this.#stopReading(), 100);
    else this.#scheduleFault();
  }

  #abandon(socket: Socket, request: string): void {
    this.#causedEnd = true;
    const length = this.#random.chance(0.5) ? request.length : this.#random.index(request.length);
    if (length > 0) socket.write(request.slice(0, length));
    const ms = length === request.length ? this.#random.between(0, 20) : this.#random.between(0, 2_000);
    this.#timer = setTimeout(() => socket.destroy(), ms);
  }

  #stopReading(): void {
    if (this.#faultless) return;
    this.stall(DISCONNECT_MS, DISCONNECT_MS + 1_000);
  }

  #take(bytes: Buffer, wire: Wire, socket: Socket): void {
    this.#receivedAt = performance.now();
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
    const isFinished = wire.status === 204 || wire.status === 500 || (this.#isFetch && wire.ended);
    if (isFinished || (this.#leaving && !this.#faultless)) {
      this.#finish();
      return;
    }
    this.#retryMs = wire.retryMs ?? this.#retryMs;
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs * this.#random.between(0.5, 1.5));
  }

  #checkEnd(wire: Wire): void {
    const what = this.#wrongEnd(wire);
    if (what !== undefined) this.#tally.incidents.add(`${what}: ${this.about}`);
  }

  /** @returns what is wrong with the end of a connection, if anything */
  #wrongEnd({ status, ended, torn }: Wire): string | undefined {
    const { ledger, mayFail, restarts, neverReads } = this.options;
    if (status === 204) return ledger.lastEventId === END_ID ? undefined : 'a 204 for an unfinished stream';
    if (status === 500) return mayFail ? undefined : 'a 500';
    if (status === undefined) return this.#causedEnd || restarts ? undefined : 'no answer';
    if (status === 503) return this.#isFetch && restarts ? undefined : 'a 503';
    if (status !== 200) return 'a status';
    if (!ended) return this.#causedEnd || (this.#isFetch && restarts) ? undefined : 'cut off';
    if (this.#isFetch && ledger.lastEventId !== END_ID) return 'an incomplete answer that looks complete';
    if (torn !== '') return `a torn event '${torn.slice(0, 80)}'`;
    // A server that shuts down may end the stream before the stall time-out.
    if (neverReads && !restarts && !this.#faultless) return 'an unread stream that ended in order';
    return undefined;
  }

  #finish(): void {
    this.#done = true;
    this.#onDone();
  }
}

function requestOf({ path, body, ledger }: ClientOptions): string {
  const method = body === undefined ? 'GET' : 'POST';
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: soak', 'Accept: text/event-stream'];
  if (ledger.lastEventId !== '') lines.push(`Last-Event-ID: ${ledger.lastEventId}`);
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${body.length}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}
