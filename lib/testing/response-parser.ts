import { StringDecoder } from 'node:string_decoder';
import { type DispatchedEvent, EventStreamParser } from '../format/parse';
import { clearTimeout, setTimeout } from './clock';
import { type ContentType, isEventStream } from './content-type';
import { eventCount, summarize, THE_END, UNTIL } from './failure-message';
import { type EventStreamOptions, resolveEventStreamOptions, type Timed } from './options';

/**
 * The decompressed response that superagent, and so supertest, passes to a parser.
 *
 * @example
 * const parser: ResponseParser = eventStream();
 * const logged = (res: ParsedResponse, callback: Parameters<ResponseParser>[1]) => {
 *   console.log(res.statusCode);
 *   parser(res, callback);
 * };
 */
export interface ParsedResponse {
  /** The status code; events are read only if it is 200. */
  statusCode?: number;
  /** The response headers; events are read only if `Content-Type` is `text/event-stream`. */
  headers?: ContentType;
  /** The body so far, as text; set by the parser. */
  text?: string;
  /** Adds a listener for the body, its end, or the close of the connection. */
  on(event: 'data' | 'end' | 'close', listener: (bytes: Buffer | string) => void): unknown;
  /** Ends the request once the events have been read. */
  destroy?(): unknown;
}

/**
 * A parser for superagent, and so for supertest.
 *
 * @example
 * const firstThree: ResponseParser = eventStream({ take: 3 });
 * const res = await request(app).get('/clock').buffer().parse(firstThree);
 */
export type ResponseParser = (
  res: ParsedResponse,
  callback: (error: Error | null, body: DispatchedEvent[]) => void,
) => void;

/**
 * Makes a parser for supertest that ends the request as soon as it has read the events that you ask for.
 *
 * The events are in `res.body`: fewer than you ask for if the response ends earlier, and all of the response if you pass no
 * options. The body is also in `res.text`, so that you can read the body of an error.
 *
 * @param options `take`: the number of events · `until`: a predicate of the last event, instead of `take` · `timeoutMs`:
 *   milliseconds after which the request fails, 3,000 by default
 * @returns a parser for one or more requests, for supertest's `.buffer().parse()`
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` if an option is invalid
 * @throws `TypeError` `ERR_SSE_INVALID_OPTION` if both `take` and `until` are given
 * @example
 * const res = await request(app).get('/clock').buffer().parse(eventStream({ take: 3 }));
 * expect(res.body).toHaveLength(3);
 */
export function eventStream(options?: EventStreamOptions): ResponseParser {
  const resolved = resolveEventStreamOptions(options);
  return (res, callback) => new EventCollector(resolved, res, callback).read();
}

/** Reads one response for {@link eventStream}. */
class EventCollector {
  readonly #options: Timed<EventStreamOptions>;
  readonly #res: ParsedResponse;
  readonly #callback: Parameters<ResponseParser>[1];
  readonly #events: DispatchedEvent[] = [];
  readonly #parser = new EventStreamParser({ onEvent: (event) => this.#onEvent(event) });
  readonly #decoder = new StringDecoder();
  #timer: NodeJS.Timeout | undefined;
  #isDone = false;

  constructor(
    options: Timed<EventStreamOptions>,
    res: ParsedResponse,
    callback: Parameters<ResponseParser>[1],
  ) {
    this.#options = options;
    this.#res = res;
    this.#callback = callback;
  }

  read(): void {
    const { timeoutMs } = this.#options;
    this.#timer = setTimeout(() => this.#onTimeout(timeoutMs), timeoutMs);
    this.#res.text = '';
    this.#res.on('data', (bytes: Buffer | string) => this.#onBytes(bytes));
    this.#res.on('end', () => this.#finish(null));
    // 'close' follows the end, destroy() and an error. Superagent handles the error: the callback must not be called for it.
    this.#res.on('close', () => clearTimeout(this.#timer));
  }

  #onBytes(bytes: Buffer | string): void {
    if (this.#isDone) return;
    const text = typeof bytes === 'string' ? bytes : this.#decoder.write(bytes);
    this.#res.text += text;
    if (!isEventStream(this.#res.statusCode, this.#res.headers)) return;
    try {
      this.#parser.push(text);
    } catch (error) {
      // A predicate belongs to the test, and may throw.
      this.#finish(error as Error);
    }
  }

  #onEvent(event: DispatchedEvent): void {
    if (this.#isDone) return;
    this.#events.push(event);
    const { take, until } = this.#options;
    if (this.#events.length === take || until?.(event)) this.#finish(null);
  }

  #onTimeout(timeoutMs: number): void {
    const { statusCode: status = 0, headers = {}, text = '' } = this.#res;
    const { take, until } = this.#options;
    const expected = until !== undefined ? UNTIL : take !== undefined ? eventCount(take) : THE_END;
    const summary = summarize({ status, headers, text }, this.#events.length);
    this.#finish(new Error(`Expected ${expected}, but ${timeoutMs} ms have passed. ${summary}`));
  }

  #finish(error: Error | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#callback(error, this.#events);
    this.#res.destroy?.();
  }
}
