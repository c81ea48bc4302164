import { connect, type Socket } from 'node:net';
import { Dechunker } from './dechunk';

export interface StreamRequest {
  readonly port: number;
  /** Including the query. */
  readonly path: string;
  readonly lastEventId?: string;
}

const HEAD_END = '\r\n\r\n';

/** A chunked event stream, read from the socket with little overhead. An error of `take` destroys the socket. */
export class OpenBody {
  readonly socket: Socket;
  readonly #take: (text: string) => void;
  readonly #dechunker = new Dechunker();
  #head: string | undefined = '';

  constructor({ port, path, lastEventId }: StreamRequest, take: (text: string) => void) {
    this.#take = take;
    this.socket = connect(port, '127.0.0.1');
    const id = lastEventId === undefined ? '' : `Last-Event-ID: ${lastEventId}\r\n`;
    const request = `GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n${id}\r\n`;
    this.socket.on('connect', () => this.socket.write(request));
    this.socket.on('data', (bytes: Buffer) => this.#onBytes(bytes));
  }

  /** Whether the response has ended. */
  get ended(): boolean {
    return this.#dechunker.ended;
  }

  #onBytes(bytes: Buffer): void {
    try {
      const content = this.#dechunker.take(this.#head === undefined ? bytes : this.#afterHead(bytes));
      this.#take(content.toString('latin1'));
    } catch (error) {
      this.socket.destroy(error as Error);
    }
  }

  #afterHead(bytes: Buffer): Buffer {
    const received: string = this.#head + bytes.toString('latin1');
    const end = received.indexOf(HEAD_END);
    this.#head = end === -1 ? received : undefined;
    if (end === -1) return Buffer.alloc(0);
    const good = received.startsWith('HTTP/1.1 200 ') && /\r\ntransfer-encoding: chunked\r\n/i.test(received);
    if (!good) throw new Error(`Expected the head of a chunked stream, got:\n${received.slice(0, end)}`);
    return Buffer.from(received.slice(end + HEAD_END.length), 'latin1');
  }
}
