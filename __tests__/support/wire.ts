import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A plain socket that sends a request as text and keeps every byte of the response. */
export class Wire {
  static async open(port: number, request: string): Promise<Wire> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(request);
    return new Wire(socket);
  }

  readonly socket: Socket;
  /** The chunks received so far. */
  readonly chunks: string[] = [];

  private constructor(socket: Socket) {
    this.socket = socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => this.chunks.push(chunk));
  }

  get text(): string {
    return this.chunks.join('');
  }

  /** The bytes after the first head. */
  get body(): string {
    return this.text.slice(this.text.indexOf('\r\n\r\n') + 4);
  }

  async until(text: string): Promise<string> {
    while (!this.text.includes(text)) await once(this.socket, 'data');
    return this.text;
  }

  async ended(): Promise<string> {
    if (!this.socket.readableEnded) await once(this.socket, 'end');
    return this.text;
  }
}

/** The GET of an EventSource as text. By default, the connection closes after the response. */
export function get(path = '/', headers = 'Connection: close\r\n', version = '1.1'): string {
  return `GET ${path} HTTP/${version}\r\nHost: test\r\nAccept: text/event-stream\r\n${headers}\r\n`;
}
