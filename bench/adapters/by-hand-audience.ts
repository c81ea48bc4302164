import type { ServerResponse } from 'node:http';
import type { Audience } from '../broadcast';
import { END_FRAME } from '../end';
import type { Quote } from '../sources';
import type { Accepts } from './wanted';

/** As long as in the package's ids. */
const EPOCH = 'by0hand0by0han';

/**
 * A map of all responses, and a loop. The frame is made once per event. What a client has not read yet waits in Node's
 * buffer, as usual in code written by hand.
 */
export class ByHandAudience implements Audience {
  readonly #subscribers = new Map<ServerResponse, Accepts | undefined>();
  #published = 0;

  get size(): number {
    return this.#subscribers.size;
  }

  add(res: ServerResponse, accepts?: Accepts): void {
    // Like the package: the first id reports that the stream is open, and its position.
    res.write(`id: ${EPOCH}-${this.#published}\n\n`);
    this.#subscribers.set(res, accepts);
    res.on('close', () => this.#subscribers.delete(res));
  }

  publish(quote: Quote): void {
    const frame = `id: ${EPOCH}-${++this.#published}\ndata: ${JSON.stringify(quote)}\n\n`;
    for (const [res, accepts] of this.#subscribers) {
      if (accepts === undefined || accepts(quote)) res.write(frame);
    }
  }

  end(): void {
    for (const res of this.#subscribers.keys()) res.end(END_FRAME);
  }
}
