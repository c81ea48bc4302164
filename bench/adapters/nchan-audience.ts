import { Agent, request } from 'node:http';
import type { Audience } from '../broadcast';
import type { Quote } from '../sources';

/** One connection for all published events. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** nchan's subscribers to a path: one channel for all events, or one for each requested symbol. */
export class NchanAudience implements Audience {
  readonly #port: number;
  readonly #path: string;
  readonly #symbols = new Set<string>();
  size = 0;

  constructor(port: number, path: string) {
    this.#port = port;
    this.#path = path;
  }

  add(symbol: string | undefined): void {
    this.size++;
    this.#symbols.add(symbol ?? '');
  }

  async publish(quote: Quote): Promise<void> {
    if (this.#symbols.has('')) await this.#post('', JSON.stringify(quote));
    if (this.#symbols.has(quote.symbol)) await this.#post(quote.symbol, JSON.stringify(quote));
  }

  async end(): Promise<void> {
    for (const symbol of this.#symbols) {
      await this.#post(symbol, 'null', { 'X-EventSource-Event': 'end' });
    }
  }

  #post(symbol: string, data: string, headers: Record<string, string> = {}): Promise<void> {
    const path = `/publish?channel=${this.#path}${symbol}`;
    return new Promise((resolve, reject) => {
      const post = request({ agent, host: '127.0.0.1', port: this.#port, method: 'POST', path }, (res) => {
        const { statusCode = 0 } = res;
        res.resume();
        if (statusCode >= 300)
          reject(new Error(`Expected nchan to accept an event, got status ${statusCode}.`));
        else res.on('end', resolve);
      });
      for (const [name, value] of Object.entries(headers)) post.setHeader(name, value);
      post.setHeader('Content-Length', Buffer.byteLength(data));
      post.on('error', reject);
      post.end(data);
    });
  }
}
