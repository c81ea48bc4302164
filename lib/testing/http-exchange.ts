import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { type Duplex, pipeline, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { StreamInit } from './options';

/** In this order; from `CONNECTING` or `OPEN` to any of the last three. */
type ExchangeState = 'CONNECTING' | 'OPEN' | 'ENDED' | 'CUT' | 'LEFT';

/** One request and what comes back, until it is left; after that it is silent. */
export class HttpExchange {
  state: ExchangeState = 'CONNECTING';
  failure: Error | undefined;
  status = 0;
  headers: IncomingHttpHeaders = {};
  text = '';
  /** Whether its connection is gone. */
  isGone = false;
  readonly chunks: Buffer[] = [];
  readonly #request: http.ClientRequest;
  readonly #gone: Promise<void>;
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
      .on('error', (error) => this.#over('CUT', error));
    this.#gone = new Promise((resolve) => {
      this.#request.on('close', () => {
        this.isGone = true;
        this.#onChange(this, '');
        resolve();
      });
    });
    // As bytes: Node writes a head together with a text in the encoding of the text, which would encode an id twice.
    this.#request.end(typeof body === 'string' ? Buffer.from(body) : body);
  }

  /** `undefined` as long as something may come. */
  get whyOver(): string | undefined {
    if (this.state === 'ENDED') return 'the server has ended the response';
    if (this.state === 'LEFT') return 'this client has left';
    if (this.state !== 'CUT') return undefined;
    const what = this.status === 0 ? 'the request has failed' : 'the connection was cut off';
    return `${what} (${this.failure?.message ?? 'without an error'})`;
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

  /** @returns a promise that resolves when the connection is gone */
  leave(): Promise<void> {
    if (this.#isOn) this.state = 'LEFT';
    this.#request.destroy();
    return this.#gone;
  }

  get #isOn(): boolean {
    return this.state === 'CONNECTING' || this.state === 'OPEN';
  }

  #open(response: IncomingMessage): void {
    // Destroyed already, and this came in the same turn.
    if (this.state !== 'CONNECTING') return;
    this.state = 'OPEN';
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    const decoder = new StringDecoder();
    response.on('data', (bytes: Buffer) => this.chunks.push(bytes));
    response.on('error', (error) => this.#over('CUT', error));
    this.#body = decompressed(response)
      .on('data', (bytes: Buffer) => this.#onText(decoder.write(bytes)))
      .on('end', () => this.#onText(decoder.end()))
      .on('end', () => this.#over('ENDED'))
      .on('error', (error) => this.#over('CUT', error));
    this.#onChange(this, '');
  }

  #onText(text: string): void {
    if (this.state !== 'OPEN') return;
    this.text += text;
    this.#onChange(this, text);
  }

  #over(state: 'ENDED' | 'CUT', failure?: Error): void {
    if (!this.#isOn) return;
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
  // The listeners on both hear of errors.
  return decompressor === undefined ? response : pipeline(response, decompressor, () => undefined);
}
