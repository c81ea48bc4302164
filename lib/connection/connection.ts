import type { Socket } from 'node:net';
import { encodeRetry, KEEP_ALIVE_FRAME } from '../format/event-stream';
import { Frames } from '../format/frames';
import { type Resumable, yieldToEventLoop } from '../round-robin';
import { type HeadOptions, writeHead } from './head';
import { type HttpResponse, http2StreamOf, isGone, offClosed, onClosed, queueSocketOf } from './http';
import { KeepAlive, type KeepAliveTarget } from './keep-alive';
import { chooseWriter, type Writer } from './writer';

/** The options of one connection. */
export interface ConnectionOptions extends HeadOptions {
  readonly keepAliveMs: number | false;
  readonly retryMs: number | false;
  readonly stallTimeoutMs: number | false;
}

/** Receives the lifecycle events of a connection. */
export interface ConnectionOwner {
  /** The response has closed, for any reason. Called once. */
  onClose(): void;
  /** Writing failed; the response has been destroyed. */
  onWriteError(error: unknown): void;
  /** Bytes were written; called only if {@link ConnectionOwner.countsBytes}. */
  onBytes(bytes: number): void;
  readonly countsBytes: boolean;
  /** A keep-alive frame that also sets the last event ID; `undefined` for the common one. */
  takeKeepAlive(): string | undefined;
}

/** States only advance. */
enum ConnectionState {
  /** Nothing was sent; the response may still become another one. */
  WAITING,
  /** The head is fixed, and frames may follow. */
  OPEN,
  /** The last frame was written, and its bytes are on their way. */
  ENDING,
  CLOSED,
}

/**
 * Frames are collected up to this length. With its chunk's length and line ends a write stays below 16,384 bytes: up to
 * that size Node passes it to the kernel from the stack, and above it Node 20 asks for a drain each time.
 */
const CHUNK_LENGTH = 15_872;

/** Shared by all connections. */
const KEEP_ALIVE = new Frames(KEEP_ALIVE_FRAME, 0);

/** After this length, about 64 KiB, the event loop gets a turn: a generator that never really waits must not starve the process. */
const LENGTH_PER_TURN = 4 * CHUNK_LENGTH;

/** The connection to one client: collects frames, and writes them in as few writes as their timing allows. */
export class Connection implements KeepAliveTarget, Resumable {
  writtenAt = 0;
  slot = 0;
  readonly #res: HttpResponse;
  readonly #options: ConnectionOptions;
  readonly #owner: ConnectionOwner;
  readonly #onClosed = () => this.#close();
  #state = ConnectionState.WAITING;
  #writer: Writer | undefined;
  #keepAlive: KeepAlive | undefined;
  #pending = '';
  /** The length written since the event loop had a turn. */
  #lengthInTurn = 0;
  #needDrain = false;
  #onDrain: (() => void) | undefined;
  #stallTimer: NodeJS.Timeout | undefined;
  /** Resolves the promise of {@link Connection.ready}. */
  #resolveReady: (() => void) | undefined;
  #stalled = false;
  /** The socket that ends after this response. */
  #socketToEnd: Socket | undefined;

  constructor(res: HttpResponse, options: ConnectionOptions, owner: ConnectionOwner) {
    this.#res = res;
    this.#options = options;
    this.#owner = owner;
    // Of the response, never of the request, which closes early once the body of a POST was read.
    onClosed(res, this.#onClosed);
  }

  /** Whether the head was sent, so that an error can no longer become a status. */
  get opened(): boolean {
    return this.#state >= ConnectionState.OPEN;
  }

  /** Whether it was destroyed because its client did not read. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Fixes the head, which is sent with the first bytes. Advances state to OPEN. */
  open(): void {
    if (this.#state !== ConnectionState.WAITING) return;
    // The handler already sent a response (for example `res.redirect()`); leave it alone.
    if (this.#res.headersSent) {
      this.#close();
      return;
    }
    writeHead(this.#res, this.#options);
    this.#state = ConnectionState.OPEN;
    const { keepAliveMs, retryMs } = this.#options;
    if (keepAliveMs !== false) {
      this.#keepAlive = KeepAlive.after(keepAliveMs);
      this.#keepAlive.add(this);
    }
    if (retryMs !== false) this.write(encodeRetry(retryMs));
  }

  /**
   * Accepts a frame. It is written when the microtask queue has run dry, together with all others that became ready.
   *
   * @returns whether more may follow now; if not, wait for {@link Connection.ready}
   */
  write(frame: string): boolean {
    this.open();
    if (this.#state !== ConnectionState.OPEN) return true;
    if (this.#pending === '') process.nextTick(flush, this);
    this.#pending += frame;
    if (this.#pending.length >= CHUNK_LENGTH) this.flush();
    return !this.#needDrain && this.#lengthInTurn < LENGTH_PER_TURN;
  }

  /**
   * Accepts frames that many connections send. They are written immediately, because they were collected already.
   *
   * @returns whether more may follow now; if not, wait for {@link Connection.ready}
   */
  send(frames: Frames): boolean {
    this.open();
    if (this.#state !== ConnectionState.OPEN) return true;
    if (this.#needDrain) this.#pending += frames.text;
    else this.#writeNow(this.#pending === '' ? frames : this.#takePendingWith(frames));
    return !this.#needDrain;
  }

  /** Resolves when more may be written, or when the connection has closed. */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state >= ConnectionState.ENDING) {
        resolve();
        return;
      }
      this.#resolveReady = resolve;
      if (!this.#needDrain) yieldToEventLoop(this);
    });
  }

  /** Writes the collected frames, unless the client has not taken the last write yet. */
  flush(): void {
    if (this.#pending === '' || this.#needDrain || this.#state !== ConnectionState.OPEN) return;
    const frames = this.#pending;
    this.#pending = '';
    this.#lengthInTurn += frames.length;
    this.#writeNow(frames);
  }

  keepAlive(): void {
    if (this.#pending !== '' || this.#needDrain) return;
    this.#writeNow(this.#owner.takeKeepAlive() ?? KEEP_ALIVE);
  }

  /** The event loop had its turn. */
  resume(): void {
    this.#lengthInTurn = 0;
    if (!this.#needDrain) this.#notifyReady();
  }

  /** Sends the last bytes and ends the response. Advances state to ENDING. */
  end(frame: string): void {
    if (this.#state >= ConnectionState.ENDING) return;
    try {
      this.open();
      if (this.#state === ConnectionState.OPEN) this.#endResponse(frame);
    } catch (error) {
      this.#fail(error);
    }
    this.#notifyReady();
  }

  /**
   * Ends the socket after the response, so that a closing server need not wait for it.
   *
   * @param isServerClosing an HTTP/2 session carries other streams, and ends only with the server
   */
  endSocket(isServerClosing: boolean): void {
    const http2 = http2StreamOf(this.#res);
    if (http2 !== undefined) {
      if (isServerClosing) http2.session?.close();
    } else if (this.#res.headersSent) {
      this.#socketToEnd = this.#res.socket ?? undefined;
    } else {
      // With this header Node ends the socket itself, and the client knows.
      this.#res.setHeader('Connection', 'close');
    }
  }

  /** The client has not read for `stallTimeoutMs`. */
  stall(): void {
    this.#stalled = true;
    this.destroy();
  }

  destroy(): void {
    if (this.#state === ConnectionState.CLOSED) return;
    this.#res.destroy();
    // A response that waits in a pipeline emits nothing.
    if (queueSocketOf(this.#res) !== undefined) this.#close();
  }

  /** Returns the untouched response to the error handler. Advances state to CLOSED. */
  release(): void {
    this.#state = ConnectionState.CLOSED;
    offClosed(this.#res, this.#onClosed);
  }

  #takePendingWith({ text }: Frames): string {
    const frames = this.#pending + text;
    this.#pending = '';
    return frames;
  }

  #endResponse(frame: string): void {
    this.#state = ConnectionState.ENDING;
    this.#keepAlive?.delete(this);
    const rest = this.#pending + frame;
    this.#pending = '';
    // `stallTimeoutMs` also covers the final write, because `end()` emits no 'drain'.
    if (!this.#needDrain) this.#startStallTimer();
    if (this.#owner.countsBytes) this.#owner.onBytes(Buffer.byteLength(rest));
    // If the handler has ended the response, a second `end(rest)` would be an uncaughtException.
    if (!isGone(this.#res)) this.#res.end(rest === '' ? undefined : rest);
  }

  #writeNow(frames: string | Frames): void {
    if (this.#keepAlive !== undefined) this.writtenAt = this.#keepAlive.tick;
    if (this.#owner.countsBytes)
      this.#owner.onBytes(Buffer.byteLength(typeof frames === 'string' ? frames : frames.text));
    try {
      if (!this.#passToWriter(frames)) this.#awaitDrain();
    } catch (error) {
      this.#fail(error);
    }
  }

  #passToWriter(frames: string | Frames): boolean {
    if (this.#writer !== undefined) {
      return typeof frames === 'string' ? this.#writer.write(frames) : this.#writer.writeShared(frames);
    }
    this.#writer = chooseWriter(this.#res, this.#options.compress);
    return this.#writer.begin(typeof frames === 'string' ? frames : frames.text);
  }

  #awaitDrain(): void {
    this.#needDrain = true;
    this.#startStallTimer();
    if (this.#onDrain !== undefined) return;
    // One lasting listener: compression() moves it to its own stream, from which it cannot be removed.
    this.#onDrain = () => this.#drained();
    this.#writer?.onDrain(this.#onDrain);
  }

  #drained(): void {
    if (!this.#needDrain || this.#state !== ConnectionState.OPEN) return;
    this.#needDrain = false;
    clearTimeout(this.#stallTimer);
    this.flush();
    if (!this.#needDrain) this.#notifyReady();
  }

  #startStallTimer(): void {
    const { stallTimeoutMs } = this.#options;
    if (stallTimeoutMs === false) return;
    this.#stallTimer = setTimeout(stall, stallTimeoutMs, this).unref();
  }

  #notifyReady(): void {
    this.#resolveReady?.();
    this.#resolveReady = undefined;
  }

  #fail(error: unknown): void {
    this.destroy();
    this.#owner.onWriteError(error);
  }

  /** Advances state to CLOSED. */
  #close(): void {
    if (this.#state === ConnectionState.CLOSED) return;
    this.#state = ConnectionState.CLOSED;
    this.#pending = '';
    this.#keepAlive?.delete(this);
    clearTimeout(this.#stallTimer);
    offClosed(this.#res, this.#onClosed);
    if (this.#onDrain !== undefined) this.#writer?.offDrain(this.#onDrain);
    this.#socketToEnd?.destroySoon();
    this.#notifyReady();
    this.#owner.onClose();
  }
}

function flush(connection: Connection): void {
  connection.flush();
}

function stall(connection: Connection): void {
  connection.stall();
}
