import { Dechunker } from '../bench/dechunk';
import type { Frame } from './ledger';

/** Parses an HTTP/1.1 response from a socket's bytes: its status, and the events of its body. */
export class Wire {
  status: number | undefined;
  /** The reconnection time from the server. */
  retryMs: number | undefined;
  #head = '';
  #rest = '';
  readonly #dechunker = new Dechunker();
  readonly #onFrame: (frame: Frame) => void;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Whether the body has ended. */
  get ended(): boolean {
    return this.#dechunker.ended;
  }

  /** The part of an incomplete event. */
  get torn(): string {
    return this.#rest;
  }

  take(received: Buffer): void {
    if (this.status !== undefined) {
      this.#takeBody(received);
      return;
    }
    this.#head += received.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end === -1) return;
    this.status = Number(this.#head.slice(9, 12));
    const body = Buffer.from(this.#head.slice(end + 4), 'latin1');
    this.#head = '';
    if (this.status === 200) this.#takeBody(body);
  }

  #takeBody(received: Buffer): void {
    const body = this.#rest + this.#dechunker.take(received).toString('latin1');
    let start = 0;
    for (let end = body.indexOf('\n\n'); end !== -1; end = body.indexOf('\n\n', start)) {
      this.#takeFrame(body.slice(start, end));
      start = end + 2;
    }
    this.#rest = body.slice(start);
  }

  #takeFrame(text: string): void {
    let id: string | undefined;
    let type: string | undefined;
    let data: string | undefined;
    for (const line of text.split('\n')) {
      if (line.startsWith('data: ')) data = line.slice(6);
      else if (line.startsWith('id: ')) id = line.slice(4);
      else if (line.startsWith('event: ')) type = line.slice(7);
      else if (line.startsWith('retry: ')) this.retryMs = Number(line.slice(7));
      else if (line !== '' && !line.startsWith(':')) throw new Error(`Expected a field, got '${line}'.`);
    }
    if (id !== undefined || data !== undefined) this.#onFrame({ id, type, data });
  }
}
