import { StringDecoder } from 'node:string_decoder';
import { type DispatchedEvent, EventStreamParser } from '../format/parse';
import { clearTimeout, setTimeout } from './clock';
import { type ContentType, isEventStream } from './content-type';
import { amountOf, arrived, THE_END, UNTIL } from './failure-message';
import { type EventStreamOptions, resolveEventStreamOptions, type Timed } from './options';

/**
 * What superagent, and so supertest, hands to a parser: Node's response, decompressed.
 *
 * @example
 * const parser: ResponseParser = eventStream();
 * const logged = (res: ParsedResponse, callback: Parameters<ResponseParser>[1]) => {
 *   console.log(res.statusCode);
 *   parser(res, callback);
 * };
 */
export interface ParsedResponse {
  /** Of an event stream 200. */
  statusCode?: number;
  /** Of these the `Content-Type` is looked at. */
  headers?: ContentType;
  /** The parser's: what has arrived, as text. */
  text?: string;
  /** Tells of bytes and of the end. */
  on(event: 'data' | 'end' | 'close', listener: (bytes: Buffer | string) => void): unknown;
  /** Ends the request when the events have come. */
  destroy?(): unknown;
}

/**
 * What superagent, and so supertest, takes as a parser.
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
 * A parser for supertest, which by itself waits for the end of a response: it ends the request as soon as it has the
 * events that it was asked for, and leaves them in `res.body`; fewer, if the response ends before. Without options it
 * reads to the end. What has arrived is also in `res.text`, so that the body of an error can be read.
 *
 * @param options `take`: how many events · `until`: or all up to one for which it holds · `timeoutMs`: 3,000
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` if an option is wrong, or both `take` and `until` are given
 * @example
 * const res = await request(app).get('/clock').buffer().parse(eventStream({ take: 3 }));
 * expect(res.body).toHaveLength(3);
 */
export function eventStream(options?: EventStreamOptions): ResponseParser {
  const resolved = resolveEventStreamOptions(options);
  return (res, callback) => new Collection(resolved, res, callback).read();
}

/** What {@link eventStream} makes of one response. */
class Collection {
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
    // After the end, after destroy() and after an error; of which superagent hears by itself, and must not hear twice.
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
      // The predicate is the test's own, and may throw.
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
    const what = until !== undefined ? UNTIL : take !== undefined ? amountOf(take) : THE_END;
    const got = arrived({ status, headers, text }, this.#events.length);
    this.#finish(new Error(`Expected ${what}, but ${timeoutMs} ms have passed. ${got}`));
  }

  #finish(error: Error | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#callback(error, this.#events);
    this.#res.destroy?.();
  }
}
