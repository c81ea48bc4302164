import { OutgoingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Frames } from '../format/frames';
import { type HttpResponse, isGone } from './http';

/** The way a connection's bytes take, chosen once per connection. */
export interface Writer {
  /** Hands over the first frames, with the head; else as {@link Writer.write}. */
  begin(frames: string): boolean;
  /** Hands over whole frames; `false` asks to wait for {@link Writer.onDrain}. */
  write(frames: string): boolean;
  /** The same with frames that other connections get, too. */
  writeShared(frames: Frames): boolean;
  onDrain(listener: () => void): void;
  offDrain(listener: () => void): void;
}

/** The response's own `write`, as middleware may have wrapped it. */
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

  /** Unless nobody would receive it: `close` will tell. */
  write(frames: string): boolean {
    if (isGone(this.#res)) return true;
    const accepted: boolean | undefined = this.#res.write(frames);
    if (this.#compress) this.#res.flush?.();
    // A wrapper that forgets to pass the answer on has not said that anything is full.
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
 * Ready-made HTTP chunks (RFC 9112 7.1) straight to the socket, each in one write. Node's own `res.write` makes
 * four pieces of each, through a response whose prototype Express has changed (measured: 1.3 times the CPU for an
 * event per timer tick, 1.6 times for a keep-alive).
 */
class ChunkWriter implements Writer {
  readonly #res: ServerResponse;
  readonly #socket: Socket;

  constructor(res: ServerResponse, socket: Socket) {
    this.#res = res;
    this.#socket = socket;
  }

  /**
   * As `isGone`, in two looks: all of it costs a tenth of an event per timer tick. And `finished`, an own property, is the
   * same as `writableEnded`, a getter on a prototype that Express has changed; that costs a tenth of a delivery (measured).
   */
  get #isGone(): boolean {
    return this.#res.finished || !this.#socket.writable;
  }

  /**
   * One write of two pieces. Through `res.write` it would be four; and what the response keeps of its head would stay
   * the 29 strings that it was put together from (measured: 640 bytes more for each idle stream).
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
    // As many bytes as characters means ASCII, which Node writes as latin1 without transcoding.
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

/** Chooses the way for a response whose head is fixed, before its first bytes. */
export function chooseWriter(res: HttpResponse, compress: boolean): Writer {
  // Written to the socket directly, chunks are the same as through `res.write` only if nobody has wrapped that, as
  // compression() does, nor corked the response; HTTP/1.0 has no chunks, HTTP/2 no socket of its own, and a
  // pipelined response none before the one in front of it is through.
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
