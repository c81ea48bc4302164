import { once } from 'node:events';
import http from 'node:http';

export interface Init {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A client that reads one response byte for byte, and leaves when it is told to. */
export class Client {
  static async open(url: string, { method = 'GET', headers = {}, body }: Init = {}): Promise<Client> {
    const request = http.request(url, { method, headers, agent: false });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    return new Client(request, response);
  }

  /** The body so far. */
  body = '';
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Resolves with the whole body once the server has ended it, rejects if it was cut off. */
  readonly ended: Promise<string>;
  readonly #request: http.ClientRequest;
  readonly #response: http.IncomingMessage;

  private constructor(request: http.ClientRequest, response: http.IncomingMessage) {
    this.#request = request;
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      this.body += text;
    });
    this.ended = once(response, 'end').then(() => this.body);
    this.ended.catch(() => undefined);
  }

  /** Resolves once the body contains `text`. */
  async until(text: string): Promise<string> {
    while (!this.body.includes(text)) await once(this.#response, 'data');
    return this.body;
  }

  /** Stops reading; what the server sends then fills the buffers between. */
  stall(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  /** Resolves when the connection is gone, whoever ended it. */
  async gone(): Promise<void> {
    if (!this.#request.destroyed || !this.#request.closed) await once(this.#request, 'close');
  }

  leave(): void {
    this.#request.destroy();
  }
}
