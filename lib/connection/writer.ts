import { OutgoingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ServerReply } from './http';

/** The way a connection's bytes take, chosen once per connection. */
export interface Writer {
  /** Hands over whole frames; `false` asks to wait for {@link Writer.onDrain}. */
  write(frames: string): boolean;
  onDrain(listener: () => void): void;
  offDrain(listener: () => void): void;
}

/** The response's own `write`, as middleware may have wrapped it. */
class ResponseWriter implements Writer {
  readonly #res: ServerReply;
  readonly #compress: boolean;

  constructor(res: ServerReply, compress: boolean) {
    this.#res = res;
    this.#compress = compress;
  }

  write(frames: string): boolean {
    const accepted = this.#res.write(frames);
    if (this.#compress) this.#res.flush?.();
    return accepted;
  }

  onDrain(listener: () => void): void {
    this.#res.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.#res.off('drain', listener);
  }
}

/**
 * Ready-made HTTP chunks (RFC 9112 7.1) straight to the socket, each in one write. Node's own `res.write` makes
 * four pieces of each, through a response whose prototype Express has changed (measured: 1.3 times the CPU for an
 * event per timer tick, 1.6 times for a keep-alive).
 */
class ChunkWriter implements Writer {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  write(frames: string): boolean {
    // A socket whose other side is gone says so with `close`; writing to it meanwhile would be an error event.
    if (!this.#socket.writable) return true;
    const bytes = Buffer.byteLength(frames);
    const chunk = `${bytes.toString(16)}\r\n${frames}\r\n`;
    // As many bytes as characters means ASCII, which Node writes as latin1 without transcoding.
    return this.#socket.write(chunk, bytes === frames.length ? 'latin1' : 'utf8');
  }

  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.#socket.off('drain', listener);
  }
}

const NATIVE_WRITE = OutgoingMessage.prototype.write;

/** Chooses the way for a response whose head is fixed, before its first bytes. */
export function chooseWriter(res: ServerReply, compress: boolean): Writer {
  const socket = chunkSocketOf(res);
  return socket === undefined ? new ResponseWriter(res, compress) : new ChunkWriter(socket);
}

/** The socket, if chunks written to it directly are the same as `res.write`. */
function chunkSocketOf(res: ServerReply): Socket | undefined {
  if (!(res instanceof ServerResponse)) return undefined;
  // Compression and other middleware wrap `write`; HTTP/1.0 has no chunks; a response that somebody corked holds bytes back.
  if (res.write !== NATIVE_WRITE || !res.chunkedEncoding || res.writableCorked > 0) return undefined;
  // A pipelined response has no socket before the one in front of it is through.
  return res.socket ?? undefined;
}
