import type { Socket } from 'node:net';
import { encodeRetry } from '../format/event-stream';
import { Frames } from '../format/frames';
import { giveWay, type Yielding } from '../yielding';
import { type HeadOptions, writeHead } from './head';
import { type HttpResponse, http2StreamOf, isGone, offClosed, onClosed, queueOf } from './http';
import { KeepAlive, type KeepAliveTarget } from './keep-alive';
import { chooseWriter, type Writer } from './writer';

/** The options of one connection. */
export interface ConnectionOptions extends HeadOptions {
  readonly keepAliveMs: number | false;
  readonly retryMs: number | false;
  readonly stallTimeoutMs: number | false;
}

/** Who holds a connection and hears of its end. */
export interface ConnectionOwner {
  /** The response is over, for whatever reason. Called once. */
  onClose(): void;
  /** Writing failed; the response has been destroyed. */
  onWriteError(error: unknown): void;
  /** Bytes have been written, if {@link ConnectionOwner.counts}. */
  onBytes(bytes: number): void;
  /** Whether anybody wants to know how many bytes are written. */
  readonly counts: boolean;
  /** The `id` line that a keep-alive is to carry; mostly `''`. */
  idLine(): string;
}

/** Each state only ever gives way to a later one. */
enum State {
  /** Nothing is sent; the response may still become something else. */
  WAITING,
  /** The head is out, and frames may follow. */
  OPEN,
  /** The last frame is written, and its bytes are on their way. */
  ENDING,
  CLOSED,
}

/**
 * Frames wait for each other up to this length. With its chunk's length and line ends it stays below 16,384: up to
 * that size Node hands a write to the kernel from the stack, and above it Node 20 asks for a drain each time.
 */
const CHUNK_LENGTH = 15_872;

/** The same for all, and so made once. */
const KEEP_ALIVE = new Frames(': keep-alive\n\n', 0);

/** After so much, about 64 KiB, the event loop gets a turn: a generator that never really awaits must not starve the process. */
const TURN_LENGTH = 4 * CHUNK_LENGTH;

/** One client: frames go in, and leave in as few writes as their timing allows. */
export class Connection implements KeepAliveTarget, Yielding {
  writtenAt = 0;
  slot = 0;
  readonly #res: HttpResponse;
  readonly #options: ConnectionOptions;
  readonly #owner: ConnectionOwner;
  readonly #onClosed = () => this.#close();
  #state = State.WAITING;
  #writer: Writer | undefined;
  #keepAlive: KeepAlive | undefined;
  #pending = '';
  /** How much was written since the event loop had its turn. */
  #sinceTurn = 0;
  /** Whether the writer has asked to wait. */
  #full = false;
  #onDrain: (() => void) | undefined;
  #stallTimer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  /** Whether the client has not read for too long. */
  #stalled = false;
  /** The socket on which this response is to be the last. */
  #lastOf: Socket | undefined;

  constructor(res: HttpResponse, options: ConnectionOptions, owner: ConnectionOwner) {
    this.#res = res;
    this.#options = options;
    this.#owner = owner;
    // The response's, never the request's, which fires early once a POST body is read.
    onClosed(res, this.#onClosed);
  }

  /** Whether the head has been sent, so that errors can no longer become a status. */
  get opened(): boolean {
    return this.#state >= State.OPEN;
  }

  /** Whether it was destroyed because its client did not read. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Fixes the head, which leaves with the first bytes. Advances state to OPEN. */
  open(): void {
    if (this.#state !== State.WAITING) return;
    // The generator has answered by itself, as with `res.redirect()`: its response is none of ours.
    if (this.#res.headersSent) return this.#close();
    writeHead(this.#res, this.#options);
    this.#state = State.OPEN;
    const { keepAliveMs, retryMs } = this.#options;
    if (keepAliveMs !== false) {
      this.#keepAlive = KeepAlive.after(keepAliveMs);
      this.#keepAlive.add(this);
    }
    if (retryMs !== false) this.write(encodeRetry(retryMs));
  }

  /**
   * Takes a frame, which leaves when the microtask queue has run dry, together with what else became ready.
   *
   * @returns whether more may follow at once; if not, wait for {@link Connection.ready}
   */
  write(frame: string): boolean {
    this.open();
    if (this.#state !== State.OPEN) return true;
    if (this.#pending === '') process.nextTick(flush, this);
    this.#pending += frame;
    if (this.#pending.length >= CHUNK_LENGTH) this.flush();
    return !this.#full && this.#sinceTurn < TURN_LENGTH;
  }

  /**
   * Takes frames that many connections get. They leave at once: who makes them has gathered them already.
   *
   * @returns whether more may follow at once; if not, wait for {@link Connection.ready}
   */
  send(frames: Frames): boolean {
    this.open();
    if (this.#state !== State.OPEN) return true;
    if (this.#full) this.#pending += frames.text;
    else this.#send(this.#pending === '' ? frames : this.#withPending(frames));
    return !this.#full;
  }

  /** Resolves when more may be written, or when the connection is closed. */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state >= State.ENDING) return resolve();
      this.#wake = resolve;
      if (!this.#full) giveWay(this);
    });
  }

  /** Writes what is waiting, unless the client has not taken the last yet. */
  flush(): void {
    if (this.#pending === '' || this.#full || this.#state !== State.OPEN) return;
    const frames = this.#pending;
    this.#pending = '';
    this.#sinceTurn += frames.length;
    this.#send(frames);
  }

  #withPending({ text }: Frames): string {
    const frames = this.#pending + text;
    this.#pending = '';
    return frames;
  }

  keepAlive(): void {
    if (this.#pending !== '' || this.#full) return;
    const idLine = this.#owner.idLine();
    this.#send(idLine === '' ? KEEP_ALIVE : `: keep-alive\n${idLine}\n`);
  }

  goOn(): void {
    this.#sinceTurn = 0;
    if (!this.#full) this.#resume();
  }

  /** Sends the last bytes and ends the response. Advances state to ENDING. */
  end(frame: string): void {
    if (this.#state >= State.ENDING) return;
    try {
      this.open();
      if (this.#state === State.OPEN) this.#end(frame);
    } catch (error) {
      this.#fail(error);
    }
    this.#resume();
  }

  #end(frame: string): void {
    this.#state = State.ENDING;
    this.#keepAlive?.delete(this);
    const rest = this.#pending + frame;
    this.#pending = '';
    // Its last bytes have the stall time-out, too, and no drain is told after the end.
    if (!this.#full) this.#watchStall();
    if (this.#owner.counts) this.#owner.onBytes(Buffer.byteLength(rest));
    // Ended by somebody else, it would make an uncaughtException of more.
    if (!isGone(this.#res)) this.#res.end(rest === '' ? undefined : rest);
  }

  /**
   * Has the socket end after the response, so that a closing server need not wait for it.
   *
   * @param all whether the server closes: an HTTP/2 session carries other streams, too
   */
  endSocket(all: boolean): void {
    const http2 = http2StreamOf(this.#res);
    if (http2 !== undefined) return all ? http2.session?.close() : undefined;
    // Before the head Node does it by itself, and tells the client.
    if (!this.#res.headersSent) this.#res.setHeader('Connection', 'close');
    else this.#lastOf = this.#res.socket ?? undefined;
  }

  /** The client does not read. */
  stall(): void {
    this.#stalled = true;
    this.destroy();
  }

  destroy(): void {
    if (this.#state === State.CLOSED) return;
    this.#res.destroy();
    // In the queue of a pipeline it hears of nothing.
    if (queueOf(this.#res) !== undefined) this.#close();
  }

  /** Gives the response back untouched, for the error handler. Advances state to CLOSED. */
  release(): void {
    this.#state = State.CLOSED;
    offClosed(this.#res, this.#onClosed);
  }

  #send(frames: string | Frames): void {
    if (this.#keepAlive !== undefined) this.writtenAt = this.#keepAlive.tick;
    if (this.#owner.counts)
      this.#owner.onBytes(Buffer.byteLength(typeof frames === 'string' ? frames : frames.text));
    try {
      if (!this.#hand(frames)) this.#waitForDrain();
    } catch (error) {
      this.#fail(error);
    }
  }

  #hand(frames: string | Frames): boolean {
    if (this.#writer !== undefined) {
      return typeof frames === 'string' ? this.#writer.write(frames) : this.#writer.writeShared(frames);
    }
    this.#writer = chooseWriter(this.#res, this.#options.compress);
    return this.#writer.begin(typeof frames === 'string' ? frames : frames.text);
  }

  #waitForDrain(): void {
    this.#full = true;
    this.#watchStall();
    if (this.#onDrain !== undefined) return;
    // One lasting listener: compression() moves it to its own stream and cannot take it back.
    this.#onDrain = () => this.#drained();
    this.#writer?.onDrain(this.#onDrain);
  }

  #drained(): void {
    if (!this.#full || this.#state !== State.OPEN) return;
    this.#full = false;
    clearTimeout(this.#stallTimer);
    this.flush();
    if (!this.#full) this.#resume();
  }

  #watchStall(): void {
    const { stallTimeoutMs } = this.#options;
    if (stallTimeoutMs === false) return;
    this.#stallTimer = setTimeout(stall, stallTimeoutMs, this).unref();
  }

  #resume(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  #fail(error: unknown): void {
    this.destroy();
    this.#owner.onWriteError(error);
  }

  #close(): void {
    if (this.#state === State.CLOSED) return;
    this.#state = State.CLOSED;
    this.#pending = '';
    this.#keepAlive?.delete(this);
    clearTimeout(this.#stallTimer);
    offClosed(this.#res, this.#onClosed);
    if (this.#onDrain !== undefined) this.#writer?.offDrain(this.#onDrain);
    this.#lastOf?.destroySoon();
    this.#resume();
    this.#owner.onClose();
  }
}

function flush(connection: Connection): void {
  connection.flush();
}

function stall(connection: Connection): void {
  connection.stall();
}
