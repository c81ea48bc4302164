import { OutgoingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Frames } from '../format/frames';
import { type HttpResponse, isGone } from './http';

/** Writes the bytes of a connection; chosen once per connection. */
export interface Writer {
  /** Writes the first frames, with the head; otherwise as {@link Writer.write}. */
  begin(frames: string): boolean;
  /** Writes whole frames. @returns `false` to wait for {@link Writer.onDrain} */
  write(frames: string): boolean;
  /** The same with frames that other connections write, too. */
  writeShared(frames: Frames): boolean;
  onDrain(listener: () => void): void;
  offDrain(listener: () => void): void;
}

/** The response's own `write`, which middleware may have wrapped. */
class ResponseWriter implements Writer {
  readonly #res: HttpResponse;
  readonly #compress: boolean;

  constructor(res: HttpResponse, compress: boolean) {
    this.#res = res;
    this.#compress = compress;
  }

  begin(frames: string): boolean {
    return this.write(frames);
  }

  /** A write that would be lost is accepted: the 'close' event follows. */
  write(frames: string): boolean {
    if (isGone(this.#res)) return true;
    const accepted: boolean | undefined = this.#res.write(frames);
    if (this.#compress) this.#res.flush?.();
    // A wrapper that returns `undefined` has not asked to wait.
    return accepted !== false;
  }

  writeShared({ text }: Frames): boolean {
    return this.write(text);
  }

  onDrain(listener: () => void): void {
    this.#res.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.#res.off('drain', listener);
  }
}

/**
 * Writes ready-made HTTP chunks (RFC 9112 7.1) directly to the socket, each in one write. Node's own `res.write` makes four
 * pieces of each, through a response whose prototype Express has changed (measured: 1.3 times the CPU for an event per timer
 * tick, 1.6 times for a keep-alive).
 */
class ChunkWriter implements Writer {
  readonly #res: ServerResponse;
  readonly #socket: Socket;

  constructor(res: ServerResponse, socket: Socket) {
    this.#res = res;
    this.#socket = socket;
  }

  /**
   * `isGone` in two checks: all of it costs a tenth of an event per timer tick. `finished`, an own property, equals
   * `writableEnded`, a getter on a prototype that Express has changed, which costs a tenth of a delivery (measured).
   */
  get #isGone(): boolean {
    return this.#res.finished || !this.#socket.writable;
  }

  /**
   * One write of two pieces. Through `res.write` it would be four, and the response would retain its head as the 29 strings
   * from which it was concatenated (measured: 640 bytes more for each idle stream).
   */
  begin(frames: string): boolean {
    if (isGone(this.#res)) return true;
    this.#socket.cork();
    try {
      this.#res.flushHeaders();
      return this.#write(frames);
    } finally {
      this.#socket.uncork();
    }
  }

  write(frames: string): boolean {
    return this.#isGone || this.#write(frames);
  }

  #write(frames: string): boolean {
    const bytes = Buffer.byteLength(frames);
    const chunk = `${bytes.toString(16)}\r\n${frames}\r\n`;
    // As many bytes as characters: ASCII, which Node writes as latin1 without transcoding.
    return this.#socket.write(chunk, bytes === frames.length ? 'latin1' : 'utf8');
  }

  writeShared(frames: Frames): boolean {
    if (this.#isGone) return true;
    frames.chunk ??= Buffer.from(`${Buffer.byteLength(frames.text).toString(16)}\r\n${frames.text}\r\n`);
    return this.#socket.write(frames.chunk);
  }

  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.#socket.off('drain', listener);
  }
}

const { write: NATIVE_WRITE, flushHeaders: NATIVE_FLUSH_HEADERS } = OutgoingMessage.prototype;

/** Chooses the writer of a response whose head is fixed, before its first bytes. */
export function chooseWriter(res: HttpResponse, compress: boolean): Writer {
  // Chunks written to the socket equal those of `res.write` only if that is not wrapped, as by compression(), and the response
  // is not corked. HTTP/1.0 has no chunks, an HTTP/2 stream has no socket of its own, and a pipelined response has none
  // before the previous response has ended.
  const native =
    res instanceof ServerResponse && res.write === NATIVE_WRITE && res.flushHeaders === NATIVE_FLUSH_HEADERS;
  if (
    !native ||
    res.finished !== false ||
    !res.chunkedEncoding ||
    res.writableCorked > 0 ||
    res.socket === null
  ) {
    return new ResponseWriter(res, compress);
  }
  return new ChunkWriter(res, res.socket);
}
