import { connect, type Socket } from 'node:net';
import { now } from '../clock';
import { Dechunker } from '../dechunk';
import type { Latencies } from '../latency';
import { markIn } from './quote';
import type { Tally } from './tally';

export interface Subscribing {
  readonly port: number;
  /** The process that serves it. */
  readonly process: number;
  readonly tally: Tally;
  /** Is given the nanoseconds from publishing to here of each event that says when, and was published elsewhere. */
  readonly latencies: Latencies;
  /** Something has come. */
  onArrival(): void;
  /** Everything has come. */
  onFull(): void;
}

/** Reads one stream over a connection of its own. */
export class Subscriber {
  /** Resolves when the head has come: from then on nothing may be missed. */
  readonly opened: Promise<void>;
  readonly closed: Promise<void>;
  readonly #subscribing: Subscribing;
  readonly #socket: Socket;
  readonly #dechunker = new Dechunker();
  #onOpen!: () => void;
  #head: string | undefined = '';
  #rest = '';

  constructor(subscribing: Subscribing) {
    this.#subscribing = subscribing;
    const socket = connect(subscribing.port, '127.0.0.1');
    this.#socket = socket;
    this.opened = new Promise((resolve, reject) => {
      this.#onOpen = resolve;
      socket.on('error', reject);
    });
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
    socket.on('connect', () =>
      socket.write('GET /quotes HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n'),
    );
    socket.on('data', (bytes) => this.#onBytes(bytes));
  }

  leave(): void {
    this.#socket.destroy();
  }

  #onBytes(received: Buffer): void {
    this.#subscribing.onArrival();
    const body = this.#head === undefined ? received : this.#behindHead(this.#head, received);
    if (body !== undefined) this.#onText(this.#dechunker.take(body).toString('latin1'));
  }

  #behindHead(before: string, received: Buffer): Buffer | undefined {
    const head = before + received.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    this.#head = end === -1 ? head : undefined;
    if (end === -1) return undefined;
    checkHead(head.slice(0, end));
    this.#onOpen();
    return Buffer.from(head.slice(end + 4), 'latin1');
  }

  #onText(text: string): void {
    const body = this.#rest + text;
    let start = 0;
    for (let end = body.indexOf('\n\n'); end !== -1; end = body.indexOf('\n\n', start)) {
      this.#onFrame(body.slice(start, end));
      start = end + 2;
    }
    this.#rest = body.slice(start);
  }

  #onFrame(frame: string): void {
    const { process, tally, latencies, onFull } = this.#subscribing;
    const mark = markIn(frame);
    if (mark === undefined) return;
    if (mark.at !== 0 && mark.by !== process) latencies.record(Math.max(1, now() - mark.at));
    tally.take(mark);
    if (tally.full) onFull();
  }
}

function checkHead(head: string): void {
  const fields = head.toLowerCase();
  const good =
    fields.startsWith('http/1.1 200 ') &&
    fields.includes('\r\ncontent-type: text/event-stream') &&
    fields.includes('\r\ntransfer-encoding: chunked');
  if (!good) throw new Error(`Expected the head of a chunked event stream, got:\n${head}`);
}
