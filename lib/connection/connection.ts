import type { Socket } from 'node:net';
import { type SseError, sseError } from '../errors';
import { encodeRetry, KEEP_ALIVE_FRAME } from '../format/event-stream';
import { Frames } from '../format/frames';
import { type Resumable, yieldToEventLoop } from '../round-robin';
import { type HeadOptions, hasEventStreamHead, writeHead } from './head';
import { cut, discardUnreadBody, type HttpResponse, http2StreamOf, isGone } from './http';
import { KeepAlive, type KeepAliveTarget } from './keep-alive';
import { offClosed, onClosed } from './pipeline';
import { ChunkWriter, ResponseWriter, type Writer } from './writer';

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
  /** A keep-alive frame that also sets the last event ID; `undefined` for the common one. */
  takeKeepAlive(): string | undefined;
}

/** States only advance. */
enum ConnectionState {
  /** Nothing was sent; the response may still become another one. */
  WAITING,
  /** The head is fixed, and frames may follow. */
  OPEN,
  /** The last frame was accepted, and its bytes are on their way. */
  ENDING,
  CLOSED,
}

/** How a response ends. */
export enum Ending {
  /** Regularly: the client takes the response for complete. */
  COMPLETE,
  /** Cut without the last chunk, after all bytes: the client knows that the response is incomplete. */
  CUT,
}

/**
 * Frames are collected up to this length. With its chunk's length and line ends a write stays below 16,384 bytes: up to
 * that size Node passes it to the kernel from the stack, and above it Node 20 asks for a drain each time.
 */
const CHUNK_LENGTH = 15_872;

/**
 * Milliseconds between the last bytes and the cut of a connection. Chromium discards what a page has not read yet when its
 * connection fails (measured: without a delay, the last event of 1 in 20 responses), and `compression()` does not report when
 * it has passed on the last bytes.
 */
const CUT_DELAY_MS = 50;

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
  #cutTimer: NodeJS.Timeout | undefined;
  /** Counts the drains, so that a stall timer can tell whether the client has read since. */
  #drains = 0;
  /** Resolves the promise of {@link Connection.ready}. */
  #resolveReady: (() => void) | undefined;
  #stalled = false;
  #ending = Ending.COMPLETE;
  /** The bytes that ended the response. */
  #lastBytes = 0;
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

  /** The number of bytes of all frames written, in UTF-8. */
  get bytes(): number {
    return (this.#writer?.bytes ?? 0) + this.#lastBytes;
  }

  /** Whether it was destroyed because its client did not read. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Fixes the head, which is sent with the first bytes. Advances state to OPEN. */
  open(): void {
    if (this.#state !== ConnectionState.WAITING) return;
    // The handler already sent a response (for example `res.redirect()`); leave it alone.
    if (this.#res.writableEnded) {
      this.#close();
      return;
    }
    if (!this.#res.headersSent) writeHead(this.#res, this.#options);
    else if (!hasEventStreamHead(this.#res)) throw headSentError();
    else this.#writer = new ResponseWriter(this.#res, this.#options.compress);
    this.#state = ConnectionState.OPEN;
    discardUnreadBody(this.#res.req);
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
  end(frame: string, ending = Ending.COMPLETE): void {
    if (this.#state >= ConnectionState.ENDING) return;
    try {
      this.open();
      if (this.#state === ConnectionState.OPEN) this.#beginEnding(frame, ending);
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
    } else if (this.opened || this.#res.headersSent) {
      // With @fastify/express, `headersSent` stays false after the head.
      this.#socketToEnd = this.#res.socket ?? undefined;
    } else {
      // With this header Node ends the socket itself, and the client knows.
      this.#res.setHeader('Connection', 'close');
    }
  }

  /** The client has not read for `stallTimeoutMs`, unless its reading has only not been noticed yet. */
  checkStalled(): void {
    // After a blocked event loop, timers fire before sockets are read: judge after the next poll for I/O.
    setImmediate(judgeStall, this, this.#drains);
  }

  /** @param drains the number of drains at the time-out */
  judgeStall(drains: number): void {
    if (drains !== this.#drains || this.#state === ConnectionState.CLOSED) return;
    if (!this.#needDrain && this.#state !== ConnectionState.ENDING) return;
    this.#stalled = true;
    this.destroy();
  }

  destroy(): void {
    if (this.#state !== ConnectionState.CLOSED) this.#res.destroy();
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

  #beginEnding(frame: string, ending: Ending): void {
    this.#state = ConnectionState.ENDING;
    this.#ending = ending;
    this.#keepAlive?.delete(this);
    this.#pending += frame;
    if (!this.#needDrain) this.#writeLast();
  }

  /** Writes what is left, and then ends the response. */
  #writeLast(): void {
    const rest = this.#pending;
    this.#pending = '';
    const isWhole = this.#ending === Ending.COMPLETE && rest.length <= CHUNK_LENGTH;
    if (rest !== '' && !isWhole) this.#writeNow(rest);
    if (!this.#needDrain) this.#endResponse(isWhole ? rest : '');
  }

  #endResponse(rest: string): void {
    // `stallTimeoutMs` also covers the final write, because `end()` emits no 'drain'.
    this.#startStallTimer();
    // If the handler has ended the response, a second `end(rest)` would be an uncaughtException.
    if (isGone(this.#res)) return;
    if (this.#ending === Ending.CUT) {
      this.#cutTimer = setTimeout(cut, CUT_DELAY_MS, this.#res);
      return;
    }
    this.#lastBytes = Buffer.byteLength(rest);
    this.#res.end(rest === '' ? undefined : rest);
  }

  #writeNow(frames: string | Frames): void {
    if (this.#keepAlive !== undefined) this.writtenAt = this.#keepAlive.tick;
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
    return this.#begin(frames);
  }

  /** Sends the head with the first frames. */
  #begin(frames: string | Frames): boolean {
    const writer = ChunkWriter.of(this.#res);
    this.#writer = writer;
    const accepted = writer?.begin(frames);
    if (accepted !== undefined) return accepted;
    this.#writer = new ResponseWriter(this.#res, this.#options.compress);
    return this.#writer.write(typeof frames === 'string' ? frames : frames.text);
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
    if (!this.#needDrain || this.#state === ConnectionState.CLOSED) return;
    this.#drains++;
    if (this.#writer?.resume() === false) {
      this.#stallTimer?.refresh();
      return;
    }
    this.#needDrain = false;
    clearTimeout(this.#stallTimer);
    if (this.#state === ConnectionState.ENDING) {
      this.#writeLast();
      return;
    }
    this.flush();
    if (!this.#needDrain) this.#notifyReady();
  }

  /** `stallTimeoutMs` counts from the last piece that the client took. */
  #startStallTimer(): void {
    const { stallTimeoutMs } = this.#options;
    if (stallTimeoutMs === false) return;
    clearTimeout(this.#stallTimer);
    this.#stallTimer = setTimeout(checkStalled, stallTimeoutMs, this).unref();
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
    clearTimeout(this.#cutTimer);
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

function checkStalled(connection: Connection): void {
  connection.checkStalled();
}

function judgeStall(connection: Connection, drains: number): void {
  connection.judgeStall(drains);
}

function headSentError(): SseError {
  return sseError(
    'ERR_SSE_HEAD_SENT',
    "Expected the response head to be unsent or to have the type 'text/event-stream', but another one was sent. " +
      'Leave out res.flushHeaders(), res.writeHead() and res.write(): the stream sends its own head.',
  );
}
