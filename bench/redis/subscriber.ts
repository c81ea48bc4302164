import { connect, type Socket } from 'node:net';
import { now } from '../clock';
import { Dechunker } from '../dechunk';
import type { Latencies } from '../latency';
import { quoteIn } from './quote';
import type { Tally } from './tally';

export interface Subscription {
  readonly port: number;
  /** The process that serves it. */
  readonly process: number;
  readonly tally: Tally;
  /** Records the time from publishing to here of each event that carries a time and comes from another process. */
  readonly latencies: Latencies;
  /** Called for each received chunk of bytes. */
  onArrival(): void;
  /** Called when all events have arrived. */
  onFull(): void;
}

/** Reads one stream over its own connection. */
export class Subscriber {
  /** Resolves when the response head has arrived: from then on no event may be lost. */
  readonly opened: Promise<void>;
  readonly closed: Promise<void>;
  readonly #subscription: Subscription;
  readonly #socket: Socket;
  readonly #dechunker = new Dechunker();
  #onOpen!: () => void;
  #head: string | undefined = '';
  #rest = '';

  constructor(subscription: Subscription) {
    this.#subscription = subscription;
    const socket = connect(subscription.port, '127.0.0.1');
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

  disconnect(): void {
    this.#socket.destroy();
  }

  #onBytes(received: Buffer): void {
    this.#subscription.onArrival();
    const body = this.#head === undefined ? received : this.#afterHead(this.#head, received);
    if (body !== undefined) this.#onText(this.#dechunker.take(body).toString('latin1'));
  }

  #afterHead(before: string, received: Buffer): Buffer | undefined {
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
    const { process, tally, latencies, onFull } = this.#subscription;
    const quote = quoteIn(frame);
    if (quote === undefined) return;
    if (quote.at !== 0 && quote.by !== process) latencies.record(Math.max(1, now() - quote.at));
    tally.take(quote);
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
