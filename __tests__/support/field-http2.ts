import { EventEmitter, once } from 'node:events';
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { type DispatchedEvent, EventStreamParser } from '../../lib/format/parse';
import type { OpenedStream, StreamInit } from '../../lib/testing';

/** The methods of a client that the field tests use. */
export type FieldStream = Pick<
  OpenedStream,
  'next' | 'take' | 'untilText' | 'ended' | 'drop' | 'close' | 'status' | 'text' | 'lastEventId'
> & {
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  reconnect(): Promise<FieldStream>;
};

/** An event stream over HTTP/2, with a new session for each connection. */
export class Http2Stream implements FieldStream {
  headers: IncomingHttpHeaders = {};
  text = '';
  readonly #url: string;
  readonly #path: string;
  readonly #init: StreamInit;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #events: DispatchedEvent[] = [];
  readonly #parser: EventStreamParser;
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #isEnded = false;

  constructor(url: string, path: string, init: StreamInit = {}) {
    this.#url = url;
    this.#path = path;
    this.#init = init;
    this.#parser = new EventStreamParser({ onEvent: (event) => this.#events.push(event) }, init.lastEventId);
  }

  get status(): number {
    return Number(this.headers[':status'] ?? 0);
  }

  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  async next(): Promise<DispatchedEvent> {
    const [event] = await this.take(1);
    return event as DispatchedEvent;
  }

  async take(count: number): Promise<DispatchedEvent[]> {
    await this.#until(`${count} events`, () => this.#events.length >= count);
    return this.#events.splice(0, count);
  }

  async untilText(text: string): Promise<string> {
    await this.#until(text, () => this.text.includes(text));
    return this.text;
  }

  async ended(): Promise<string> {
    await this.#until('the end', () => this.#isEnded);
    return this.text;
  }

  drop(): void {
    this.#session?.destroy();
  }

  async close(): Promise<void> {
    this.drop();
  }

  async reconnect(): Promise<this> {
    this.drop();
    this.#parser.reset();
    this.headers = {};
    this.text = '';
    this.#isEnded = false;
    this.#connect();
    await this.#until('a response', () => this.status > 0);
    return this;
  }

  #connect(): void {
    const { method = 'GET', headers, body } = this.#init;
    const own = this.lastEventId === '' ? {} : { 'last-event-id': this.lastEventId };
    this.#session = http2
      .connect(this.#url, { rejectUnauthorized: false })
      .on('error', () => this.#changes.emit('change'));
    const head = { ':method': method, ':path': this.#path, accept: 'text/event-stream', ...headers, ...own };
    const stream = this.#session.request(head, { endStream: body === undefined });
    stream.on('response', (got) => this.#open(stream, got)).on('error', () => this.#changes.emit('change'));
    if (body !== undefined) stream.end(body);
    this.#stream = stream;
  }

  #open(stream: ClientHttp2Stream, headers: IncomingHttpHeaders): void {
    this.headers = headers;
    const decoder = new StringDecoder();
    const body: Readable = headers['content-encoding'] === 'gzip' ? stream.pipe(createGunzip()) : stream;
    body
      .on('data', (bytes: Buffer) => this.#onText(stream, decoder.write(bytes)))
      .on('error', () => this.#changes.emit('change'))
      .on('end', () => this.#onEnd(stream));
    this.#changes.emit('change');
  }

  #onText(stream: ClientHttp2Stream, text: string): void {
    if (stream !== this.#stream) return;
    this.text += text;
    this.#parser.push(text);
    this.#changes.emit('change');
  }

  #onEnd(stream: ClientHttp2Stream): void {
    if (stream !== this.#stream) return;
    this.#isEnded = stream.rstCode === http2.constants.NGHTTP2_NO_ERROR && !stream.aborted;
    this.#changes.emit('change');
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(this.#init.timeoutMs ?? 3_000);
    try {
      while (!holds()) await once(this.#changes, 'change', { signal });
    } catch (cause) {
      throw new Error(`Expected ${what} over HTTP/2. Received: ${this.status}\n${this.text}`, { cause });
    }
  }
}
