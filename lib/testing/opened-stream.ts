import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { describe, outOfRange, wrongType } from '../errors';
import { type DispatchedEvent, EventStreamParser } from '../format/parse';
import { isEventStream } from './content-type';
import { amountOf, arrived, THE_END, UNTIL } from './failure-message';
import type { Host } from './host';
import { HttpExchange } from './http-exchange';
import type { StreamInit, Timed } from './options';
import { Waits } from './waits';

/**
 * One client's event stream, over one connection or several. Every wait fails after `timeoutMs`, or as soon as what it waits
 * for can no longer come, with a message that shows what had arrived. Waits that overlap get their events in the order in
 * which they began.
 *
 * @example
 * const stream = await openStream(app, '/prices');
 * const [first] = await stream.take(3);
 * stream.drop(); // as in a tunnel
 * await stream.reconnect(); // with its last event ID
 * expect(await stream.next()).not.toEqual(first);
 * await stream.close();
 */
export class OpenedStream implements AsyncIterable<DispatchedEvent> {
  /** All events so far, over all connections, taken or not. */
  readonly events: DispatchedEvent[] = [];
  /** The texts of all comments so far, over all connections, such as `'keep-alive'`. */
  readonly comments: string[] = [];
  readonly #host: Host;
  readonly #url: URL;
  /** As it was given: a URL would take `//` for the beginning of a host. */
  readonly #path: string;
  readonly #init: Timed<StreamInit>;
  readonly #parser: EventStreamParser;
  readonly #waits: Waits;
  #takenEvents = 0;
  #exchange: HttpExchange | undefined;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(host: Host, path: string, init: Timed<StreamInit>) {
    this.#host = host;
    this.#url = new URL(host.url);
    this.#path = path === '' ? this.#url.pathname + this.#url.search : path;
    this.#init = init;
    const listener = {
      onEvent: (event: DispatchedEvent) => void this.events.push(event),
      onComment: (text: string) => void this.comments.push(text),
    };
    this.#parser = new EventStreamParser(listener, init.lastEventId);
    this.#waits = new Waits({
      timeoutMs: init.timeoutMs,
      whyLate: () => this.#whyLate(),
      whyOver: () => this.#whyOver(),
      disappointed: (what, why, begun) => this.#disappointed(what, why, begun),
    });
  }

  /** The status code of the latest connection; `0` as long as there is no head. */
  get status(): number {
    return this.#exchange?.status ?? 0;
  }

  /** The response headers of the latest connection, their names in lower case; `{}` as long as there is no head. */
  get headers(): IncomingHttpHeaders {
    return this.#exchange?.headers ?? {};
  }

  /** The body of the latest connection so far, byte for byte as it came. */
  get raw(): Buffer {
    return Buffer.concat(this.#exchange?.chunks ?? []);
  }

  /** The body of the latest connection so far, decompressed if its head says so, and decoded as UTF-8. */
  get text(): string {
    return this.#exchange?.text ?? '';
  }

  /** What a browser would send as `Last-Event-ID`; `''` if no event had an id. */
  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** The reconnection time that the server has set last, in milliseconds; `undefined` if it has set none. */
  get retryMs(): number | undefined {
    return this.#parser.retryMs;
  }

  /** The next event that has not been taken. */
  next(): Promise<DispatchedEvent> {
    return this.#waits.begin('takes', amountOf(1), () => this.#handOut(1)?.[0]);
  }

  /** The next `count` events; all or, if they do not come, none. */
  take(count: number): Promise<DispatchedEvent[]> {
    checkCount(count);
    return this.#waits.begin('takes', amountOf(count), () => this.#handOut(count));
  }

  /** The next events up to the first for which `predicate` holds, and that one; all or, if it does not come, none. */
  until(predicate: (event: DispatchedEvent) => boolean): Promise<DispatchedEvent[]> {
    checkPredicate(predicate);
    let seen = 0;
    const look = () => {
      for (const event of this.events.slice(this.#takenEvents + seen)) {
        seen++;
        if (predicate(event)) return this.#handOut(seen);
      }
      return undefined;
    };
    return this.#waits.begin('takes', UNTIL, look);
  }

  /** Resolves with {@link OpenedStream.text} once that contains `text`, such as a comment or a line. */
  untilText(text: string): Promise<string> {
    return this.#waits.begin('looks', JSON.stringify(text), () =>
      this.text.includes(text) ? this.text : undefined,
    );
  }

  /**
   * Resolves with {@link OpenedStream.text} once the server has ended the response.
   *
   * @throws (rejects) if the connection was cut off instead
   */
  ended(): Promise<string> {
    return this.#waits.begin('looks', THE_END, () =>
      this.#exchange?.state === 'ENDED' ? this.text : undefined,
    );
  }

  /** Resolves with {@link OpenedStream.text} when the connection is gone, whoever has ended it and how. */
  closed(): Promise<string> {
    const exchange = this.#exchange;
    return this.#waits.begin('outlasts', 'the connection to close', () =>
      exchange?.isGone ? exchange.text : undefined,
    );
  }

  /** Stops reading: what the server sends fills the buffers between, and at last its own. */
  stall(): void {
    this.#exchange?.stall();
  }

  /** Reads on. */
  resume(): void {
    this.#exchange?.resume();
  }

  /** Leaves without a word, as a browser does whose tab is closed; {@link OpenedStream.reconnect} comes back. */
  drop(): void {
    void this.#exchange?.leave();
    this.#waits.check();
  }

  /**
   * Leaves if it has not, and comes back with its last event ID.
   *
   * @returns itself, when the head has arrived, whatever its status
   * @throws if the stream is closed
   * @throws (rejects) if there is no head after `timeoutMs`
   */
  reconnect(): Promise<this> {
    if (this.#closing !== undefined) throw new Error('Cannot reconnect: the stream is CLOSED.');
    void this.#exchange?.leave();
    this.#parser.reset();
    this.#exchange = this.#connect();
    return this.#waits.begin('looks', 'a response', () => (this.status === 0 ? undefined : this));
  }

  /**
   * Leaves, and ends the server that was started for this stream, with every other connection to it. Waits fail.
   *
   * @returns always the same promise, which resolves when both are gone
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#leave();
      this.#waits.check();
    }
    return this.#closing;
  }

  /** The events that have not been taken, up to the end of the response; whoever leaves the loop before closes the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DispatchedEvent, void, undefined> {
    for (;;) {
      const [event] = await this.#waits.begin(
        'takes',
        'an event or the end',
        () => this.#handOut(1) ?? this.#none(),
      );
      if (event === undefined) return;
      let isLeft = true;
      try {
        yield event;
        isLeft = false;
      } finally {
        if (isLeft) await this.close();
      }
    }
  }

  async #leave(): Promise<void> {
    await this.#exchange?.leave();
    await this.#host.release();
  }

  get #method(): string {
    const { body, method = body === undefined ? 'GET' : 'POST' } = this.#init;
    return method;
  }

  #connect(): HttpExchange {
    const { body, headers, tls } = this.#init;
    const own: OutgoingHttpHeaders = { Accept: 'text/event-stream', ...headers };
    // Spec 9.2.3: as UTF-8. Node writes each character of a header as one byte; of two spellings of a name, the later wins.
    if (this.lastEventId !== '') own['Last-Event-ID'] = Buffer.from(this.lastEventId).toString('latin1');
    const options = { ...this.#host.tls, ...tls, method: this.#method, path: this.#path, headers: own };
    return new HttpExchange(this.#url, options, body, (exchange, text) => {
      if (exchange !== this.#exchange) return;
      if (isEventStream(exchange.status, exchange.headers)) this.#parser.push(text);
      this.#waits.check();
    });
  }

  /** The next `count` events, or `undefined` if they have not all come. */
  #handOut(count: number): DispatchedEvent[] | undefined {
    const end = this.#takenEvents + count;
    if (this.events.length < end) return undefined;
    const events = this.events.slice(this.#takenEvents, end);
    this.#takenEvents = end;
    return events;
  }

  /** No event, if there will be none. */
  #none(): [] | undefined {
    return this.#exchange?.state === 'ENDED' ? [] : undefined;
  }

  #whyLate(): string {
    const late = `${this.#init.timeoutMs} ms have passed`;
    return this.#exchange?.isStalled ? `${late}, in which this client did not read: it is stalled` : late;
  }

  /** `undefined` as long as something may come. */
  #whyOver(): string | undefined {
    if (this.#closing !== undefined) return 'the stream has been closed';
    return this.#exchange?.whyOver;
  }

  /** With the stack of the wait's beginning, which is the line of the test; a timer's or a socket's would say nothing. */
  #disappointed(what: string, why: string, begun: Error): Error {
    const got = arrived(this, this.events.length, this.#takenEvents);
    const from = `${this.#method} ${this.#path}`;
    begun.message = `Expected ${what} from ${from}, but ${why}. ${got}`;
    begun.stack = begun.stack?.replace(/^Error\n/, () => `Error: ${begun.message}\n`);
    const cause = this.#exchange?.failure;
    return cause === undefined ? begun : Object.assign(begun, { cause });
  }
}

function checkCount(count: unknown): void {
  if (Number.isSafeInteger(count) && Number(count) >= 0) return;
  const message = `Expected count to be a non-negative integer, got ${describe(count)}.`;
  if (typeof count === 'number') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

function checkPredicate(predicate: unknown): void {
  if (typeof predicate === 'function') return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected predicate to be a function of an event, got ${describe(predicate)}.`,
  );
}
