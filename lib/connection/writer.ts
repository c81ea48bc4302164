import { OutgoingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Frames } from '../format/frames';
import { type HttpResponse, isGone, isUnwritable } from './http';

const { write: NATIVE_WRITE, flushHeaders: NATIVE_FLUSH_HEADERS } = OutgoingMessage.prototype;

/** Writes the bytes of a connection; chosen once per connection. */
export interface Writer {
  /** The number of bytes of all frames written. */
  readonly bytes: number;
  /**
   * Writes whole frames. Large ones are written in pieces.
   *
   * @returns `false` to wait for {@link Writer.onDrain} and then call {@link Writer.resume}
   */
  write(frames: string): boolean;
  /** The same with frames that other connections write, too. */
  writeShared(frames: Frames): boolean;
  /** Writes the next piece. @returns whether everything was written, and more may follow */
  resume(): boolean;
  onDrain(listener: () => void): void;
  offDrain(listener: () => void): void;
}

/**
 * The length of a piece of a large write. The next piece is written when the client has taken this one, so that a slow but
 * steady reader of a large event is seen to make progress.
 */
const PIECE_LENGTH = 64 * 1024;

/**
 * The bytes of a connection that may wait in its socket, as by default in Node 20. From version 22 on, the default of Node is
 * four times that, which each client that does not read would hold.
 */
const HIGH_WATER_MARK = 16 * 1024;

/** The response's own `write`, which middleware may have wrapped. Right for each response, on each runtime. */
export class ResponseWriter implements Writer {
  bytes = 0;
  readonly #res: HttpResponse;
  readonly #compress: boolean;
  #rest = '';

  constructor(res: HttpResponse, compress: boolean) {
    this.#res = res;
    this.#compress = compress;
  }

  /** A write that would be lost is accepted: the 'close' event follows. */
  write(frames: string): boolean {
    if (isGone(this.#res)) return true;
    if (isUnwritable(this.#res)) return false;
    if (frames.length <= PIECE_LENGTH) return this.#writePiece(frames);
    this.#rest = frames;
    return this.resume();
  }

  writeShared({ text }: Frames): boolean {
    return this.write(text);
  }

  resume(): boolean {
    while (this.#rest !== '') {
      const length = pieceLengthOf(this.#rest);
      const piece = this.#rest.slice(0, length);
      this.#rest = this.#rest.slice(length);
      if (!this.#writePiece(piece)) return false;
    }
    return true;
  }

  onDrain(listener: () => void): void {
    this.#res.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.#res.off('drain', listener);
  }

  #writePiece(piece: string): boolean {
    const bytes = Buffer.byteLength(piece);
    this.bytes += bytes;
    // Newer versions of Node count the bytes of a string here and its characters in the socket, and then never drain.
    const data = bytes === piece.length ? piece : bytesOf(piece, bytes);
    const accepted: boolean | undefined = this.#res.write(data);
    if (this.#compress && this.#rest === '') this.#res.flush?.();
    // A wrapper that returns `undefined` has not asked to wait.
    return accepted !== false;
  }
}

/** At most {@link PIECE_LENGTH}, not between the two halves of a surrogate pair. */
function pieceLengthOf(text: string): number {
  if (text.length <= PIECE_LENGTH) return text.length;
  const last = text.charCodeAt(PIECE_LENGTH - 1);
  return last >= 0xd800 && last <= 0xdbff ? PIECE_LENGTH - 1 : PIECE_LENGTH;
}

/**
 * Writes ready-made HTTP chunks (RFC 9112 7.1) directly to the socket, each in one write. Node's own `res.write` makes four
 * pieces of each, through a response whose prototype Express has changed (measured: 1.3 times the CPU for an event per timer
 * tick, 1.6 times for a keep-alive).
 */
export class ChunkWriter implements Writer {
  /**
   * The writer of a response whose head is fixed and not sent; `undefined` where chunks written to the socket would not equal
   * those of `res.write`: if that is wrapped, as by compression(), or the response is corked. HTTP/1.0 has no chunks, an HTTP/2
   * stream has no socket of its own, and a pipelined response has none before the previous response has ended.
   */
  static of(res: HttpResponse): ChunkWriter | undefined {
    const native =
      res instanceof ServerResponse &&
      res.write === NATIVE_WRITE &&
      res.flushHeaders === NATIVE_FLUSH_HEADERS;
    // `chunkedEncoding` is not documented, `finished` is deprecated: without either, this writer is not used.
    if (!native || res.finished !== false || !res.chunkedEncoding || res.writableCorked > 0) return undefined;
    return res.socket === null ? undefined : new ChunkWriter(res, res.socket);
  }

  bytes = 0;
  readonly #res: ServerResponse;
  readonly #socket: Socket;
  #rest: Buffer | undefined;
  #drainListener: (() => void) | undefined;

  private constructor(res: ServerResponse, socket: Socket) {
    this.#res = res;
    this.#socket = socket;
  }

  /**
   * `isGone` in two checks: all of it costs a tenth of an event per timer tick. `finished`, an own property, equals
   * `writableEnded`, a getter on a prototype that Express has changed, which costs a tenth of a delivery (measured).
   */
  get #isGone(): boolean {
    return this.#res.finished || this.#socket.destroyed;
  }

  /**
   * Writes the head and the first frames: one write of two pieces. Through `res.write` it would be four, and the response would
   * retain its head as the 29 strings from which it was concatenated (measured: 640 bytes more for each idle stream).
   *
   * @returns `undefined` if nothing was written, because the response does not write to this socket immediately
   */
  begin(frames: string | Frames): boolean | undefined {
    if (isGone(this.#res)) return true;
    this.#socket.cork();
    try {
      const before = this.#socket.bytesWritten;
      this.#res.flushHeaders();
      if (this.#socket.bytesWritten === before) return undefined;
      return typeof frames === 'string' ? this.write(frames) : this.writeShared(frames);
    } finally {
      this.#socket.uncork();
    }
  }

  write(frames: string): boolean {
    if (this.#isGone) return true;
    // Half-closed: nothing can be sent, but the connection lasts until it is destroyed.
    if (!this.#socket.writable) return false;
    const bytes = Buffer.byteLength(frames);
    this.bytes += bytes;
    const chunk = `${bytes.toString(16)}\r\n${frames}\r\n`;
    if (bytes > PIECE_LENGTH) return this.#writeInPieces(Buffer.from(chunk));
    // As many bytes as characters: ASCII, which Node writes as latin1 without transcoding.
    return this.#socket.write(chunk, bytes === frames.length ? 'latin1' : 'utf8') && !this.#isFull();
  }

  writeShared(frames: Frames): boolean {
    if (this.#isGone) return true;
    if (!this.#socket.writable) return false;
    const chunk = chunkOf(frames);
    this.bytes += frames.bytes;
    if (chunk.length > PIECE_LENGTH) return this.#writeInPieces(chunk);
    return this.#socket.write(chunk) && !this.#isFull();
  }

  resume(): boolean {
    const chunk = this.#rest;
    if (chunk === undefined) return true;
    this.#rest = undefined;
    return this.#isGone || this.#writeInPieces(chunk);
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
    this.#socket.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.#socket.off('drain', listener);
  }

  /** Whether the socket holds enough although it accepts more. It emits no 'drain' then, but calls back after its last byte. */
  #isFull(): boolean {
    if (this.#socket.writableLength < HIGH_WATER_MARK) return false;
    this.#socket.write('', () => this.#drainListener?.());
    return true;
  }

  #writeInPieces(chunk: Buffer): boolean {
    for (let offset = 0; offset < chunk.length; offset += PIECE_LENGTH) {
      const end = offset + PIECE_LENGTH;
      if (this.#socket.write(chunk.subarray(offset, end)) && !this.#isFull()) continue;
      if (end < chunk.length) this.#rest = chunk.subarray(end);
      return false;
    }
    return true;
  }
}

function chunkOf(frames: Frames): Buffer {
  frames.chunk ??= newChunk(frames.bytes, frames.text);
  return frames.chunk;
}

function newChunk(bytes: number, text: string): Buffer {
  const length = bytes.toString(16);
  return bytesOf(`${length}\r\n${text}\r\n`, length.length + bytes + 4);
}

/** The largest Buffer that Node 20 takes from its pool. */
const MAX_POOLED_BYTES = 4 * 1024;

/**
 * From version 24 on, Node takes buffers of up to 32 KiB from a pool of 64 KiB, all of which a client that does not read would
 * hold with one of them.
 *
 * @param bytes the length of the text in UTF-8
 */
function bytesOf(text: string, bytes: number): Buffer {
  if (bytes < MAX_POOLED_BYTES) return Buffer.from(text);
  const buffer = Buffer.allocUnsafeSlow(bytes);
  buffer.write(text);
  return buffer;
}
