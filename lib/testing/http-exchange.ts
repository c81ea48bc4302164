import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { type Duplex, pipeline, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { StreamInit } from './options';

/** States only advance: from `CONNECTING` to `OPEN`, and from either to one of the last three. */
type HttpExchangeState = 'CONNECTING' | 'OPEN' | 'ENDED' | 'CUT' | 'LEFT';

/** One request and its response. After `leave()`, only the close of the connection is reported. */
export class HttpExchange {
  state: HttpExchangeState = 'CONNECTING';
  failure: Error | undefined;
  status = 0;
  headers: IncomingHttpHeaders = {};
  text = '';
  /** Whether the connection has closed. */
  isDisconnected = false;
  readonly chunks: Buffer[] = [];
  readonly #request: http.ClientRequest;
  readonly #disconnected: Promise<void>;
  readonly #onChange: (exchange: HttpExchange, text: string) => void;
  #body: Readable | undefined;

  constructor(
    url: URL,
    options: RequestOptions,
    body: StreamInit['body'],
    onChange: (exchange: HttpExchange, text: string) => void,
  ) {
    this.#onChange = onChange;
    const { request } = url.protocol === 'https:' ? https : http;
    this.#request = request(url, { ...options, agent: false })
      .on('response', (response) => this.#open(response))
      .on('error', (error) => this.#finish('CUT', error));
    this.#disconnected = new Promise((resolve) => {
      this.#request.on('close', () => {
        this.isDisconnected = true;
        this.#onChange(this, '');
        resolve();
      });
    });
    // As bytes: Node writes the head in the encoding of a text body, which would encode the last event ID twice.
    this.#request.end(typeof body === 'string' ? Buffer.from(body) : body);
  }

  /** Why nothing more can be received, as the end of a sentence; `undefined` while something can. */
  get endReason(): string | undefined {
    if (this.state === 'ENDED') return 'the server ended the response';
    if (this.state === 'LEFT') return 'this client has disconnected';
    if (this.state !== 'CUT') return undefined;
    const event = this.status === 0 ? 'the request failed' : 'the connection was lost';
    return `${event} (${this.failure?.message ?? 'without an error'})`;
  }

  get isStalled(): boolean {
    return this.#body?.isPaused() ?? false;
  }

  stall(): void {
    this.#body?.pause();
  }

  resume(): void {
    this.#body?.resume();
  }

  /** @returns a promise that resolves when the connection has closed */
  leave(): Promise<void> {
    if (this.#isActive) this.state = 'LEFT';
    this.#request.destroy();
    return this.#disconnected;
  }

  get #isActive(): boolean {
    return this.state === 'CONNECTING' || this.state === 'OPEN';
  }

  #open(response: IncomingMessage): void {
    // The request was destroyed earlier in the same turn of the event loop.
    if (this.state !== 'CONNECTING') return;
    this.state = 'OPEN';
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    const decoder = new StringDecoder();
    response.on('data', (bytes: Buffer) => this.chunks.push(bytes));
    response.on('error', (error) => this.#finish('CUT', error));
    this.#body = decompressed(response)
      .on('data', (bytes: Buffer) => this.#onText(decoder.write(bytes)))
      .on('end', () => this.#onText(decoder.end()))
      .on('end', () => this.#finish('ENDED'))
      .on('error', (error) => this.#finish('CUT', error));
    this.#onChange(this, '');
  }

  #onText(text: string): void {
    if (this.state !== 'OPEN') return;
    this.text += text;
    this.#onChange(this, text);
  }

  #finish(state: 'ENDED' | 'CUT', failure?: Error): void {
    if (!this.#isActive) return;
    this.state = state;
    this.failure = failure;
    this.#onChange(this, '');
  }
}

const DECOMPRESSORS = new Map<string | undefined, () => Duplex>([
  ['br', createBrotliDecompress],
  ['deflate', createInflate],
  ['gzip', createGunzip],
]);

function decompressed(response: IncomingMessage): Readable {
  const decompressor = DECOMPRESSORS.get(response.headers['content-encoding'])?.();
  // The callback may ignore the error: both streams have an error listener.
  return decompressor === undefined ? response : pipeline(response, decompressor, () => undefined);
}
