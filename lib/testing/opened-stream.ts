import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { describe, outOfRange, wrongType } from '../errors';
import { type DispatchedEvent, EventStreamParser } from '../format/parse';
import { isEventStream } from './content-type';
import { eventCount, summarize, THE_END, UNTIL } from './failure-message';
import type { Host } from './host';
import { HttpExchange } from './http-exchange';
import type { StreamInit, Timed } from './options';
import { Waits } from './waits';

/**
 * The event stream of one client, over one or more connections, from {@link openStream}.
 *
 * Every wait fails after `timeoutMs` (3,000), or as soon as its events can no longer be received. The message shows what
 * was received. Waits that overlap receive their events in the order in which they began.
 *
 * @example
 * const stream = await openStream(app, '/prices');
 * const [first] = await stream.take(3);
 * stream.drop(); // as when the network fails
 * await stream.reconnect(); // sends its last event ID
 * expect(await stream.next()).not.toEqual(first);
 * await stream.close();
 */
export class OpenedStream implements AsyncIterable<DispatchedEvent> {
  /** All events so far, over all connections, including those that were not taken. */
  readonly events: DispatchedEvent[] = [];
  /** The texts of all comments so far, over all connections, such as `'keep-alive'`. */
  readonly comments: string[] = [];
  readonly #host: Host;
  readonly #url: URL;
  /** As it was passed, because a URL would parse a leading `//` as a host. */
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
      timeoutReason: () => this.#timeoutReason(),
      endReason: () => this.#endReason(),
      waitError: (expected, reason, callSite) => this.#waitError(expected, reason, callSite),
    });
  }

  /** The status code of the latest connection; `0` until its head is received. */
  get status(): number {
    return this.#exchange?.status ?? 0;
  }

  /** The response headers of the latest connection, with names in lower case; `{}` until its head is received. */
  get headers(): IncomingHttpHeaders {
    return this.#exchange?.headers ?? {};
  }

  /** The body of the latest connection so far, as the bytes that were received; not decompressed. */
  get raw(): Buffer {
    return Buffer.concat(this.#exchange?.chunks ?? []);
  }

  /** The body of the latest connection so far, decompressed according to its `Content-Encoding`, and decoded as UTF-8. */
  get text(): string {
    return this.#exchange?.text ?? '';
  }

  /** What a browser would send as `Last-Event-ID`; `''` if no event had an id. */
  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** The latest reconnection time from the server, in milliseconds; `undefined` if it has set none. */
  get retryMs(): number | undefined {
    return this.#parser.retryMs;
  }

  /**
   * Takes the next event.
   *
   * @returns resolves when the event has been received
   * @throws (rejects) after `timeoutMs`, or when the connection ends before
   */
  next(): Promise<DispatchedEvent> {
    return this.#waits.begin('takes', eventCount(1), () => this.#takeEvents(1)?.[0]);
  }

  /**
   * Takes the next `count` events. If they are not all received, it takes none.
   *
   * @param count a non-negative integer
   * @returns resolves when the last of them has been received
   * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` if `count` is invalid
   * @throws (rejects) after `timeoutMs`, or when the connection ends before
   */
  take(count: number): Promise<DispatchedEvent[]> {
    checkCount(count);
    return this.#waits.begin('takes', eventCount(count), () => this.#takeEvents(count));
  }

  /**
   * Takes all events up to and including the first for which `predicate` returns true. If there is none, it takes none.
   *
   * @param predicate called once with each event
   * @returns resolves when that event has been received
   * @throws `TypeError` `ERR_SSE_INVALID_OPTION` if `predicate` is not a function
   * @throws (rejects) after `timeoutMs`, when the connection ends before, or with the error that `predicate` throws
   */
  until(predicate: (event: DispatchedEvent) => boolean): Promise<DispatchedEvent[]> {
    checkPredicate(predicate);
    let checked = 0;
    const find = () => {
      for (const event of this.events.slice(this.#takenEvents + checked)) {
        checked++;
        if (predicate(event)) return this.#takeEvents(checked);
      }
      return undefined;
    };
    return this.#waits.begin('takes', UNTIL, find);
  }

  /**
   * Waits until {@link OpenedStream.text} contains `text`, for example a comment or a field.
   *
   * @returns resolves with {@link OpenedStream.text}
   * @throws (rejects) after `timeoutMs`, or when the connection ends before
   */
  untilText(text: string): Promise<string> {
    return this.#waits.begin('observes', JSON.stringify(text), () =>
      this.text.includes(text) ? this.text : undefined,
    );
  }

  /**
   * Waits until the server ends the response.
   *
   * @returns resolves with {@link OpenedStream.text}
   * @throws (rejects) after `timeoutMs`, or when the connection is lost or closed instead
   */
  ended(): Promise<string> {
    return this.#waits.begin('observes', THE_END, () =>
      this.#exchange?.state === 'ENDED' ? this.text : undefined,
    );
  }

  /**
   * Waits until the connection has closed, on either side and for any reason.
   *
   * @returns resolves with {@link OpenedStream.text}
   * @throws (rejects) after `timeoutMs`
   */
  closed(): Promise<string> {
    const exchange = this.#exchange;
    return this.#waits.begin('outlasts', 'the connection to close', () =>
      exchange?.isDisconnected ? exchange.text : undefined,
    );
  }

  /** Stops reading, so that sent data fills the buffers of the network and then those of the server. */
  stall(): void {
    this.#exchange?.stall();
  }

  /** Continues reading after {@link OpenedStream.stall}. */
  resume(): void {
    this.#exchange?.resume();
  }

  /** Closes the connection, as a browser does when its tab is closed. {@link OpenedStream.reconnect} opens another one. */
  drop(): void {
    void this.#exchange?.leave();
    this.#waits.check();
  }

  /**
   * Closes the connection, if it is open, and opens another one with the last event ID.
   *
   * @returns resolves with this stream when the response head has been received, with any status
   * @throws if the stream is closed
   * @throws (rejects) if no response head is received within `timeoutMs`, or the request fails
   */
  reconnect(): Promise<this> {
    if (this.#closing !== undefined) throw new Error('Cannot reconnect: the stream is CLOSED.');
    void this.#exchange?.leave();
    this.#parser.reset();
    this.#exchange = this.#connect();
    return this.#waits.begin('observes', 'a response', () => (this.status === 0 ? undefined : this));
  }

  /**
   * Closes the connection, and stops the server if it was started for this stream and no other stream uses it. Pending
   * waits fail. It may be called more than once.
   *
   * @returns always the same promise, which resolves when the connection has closed and the server has stopped
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#release();
      this.#waits.check();
    }
    return this.#closing;
  }

  /** Takes each event up to the end of the response. Leaving the loop earlier closes the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DispatchedEvent, void, undefined> {
    for (;;) {
      const [event] = await this.#waits.begin(
        'takes',
        'an event or the end of the response',
        () => this.#takeEvents(1) ?? this.#noEvents(),
      );
      if (event === undefined) return;
      let continues = false;
      try {
        yield event;
        continues = true;
      } finally {
        if (!continues) await this.close();
      }
    }
  }

  async #release(): Promise<void> {
    await this.#exchange?.leave();
    await this.#host.release();
  }

  get #method(): string {
    const { body, method = body === undefined ? 'GET' : 'POST' } = this.#init;
    return method;
  }

  #connect(): HttpExchange {
    const { body, headers, tls } = this.#init;
    const all: OutgoingHttpHeaders = { Accept: 'text/event-stream', ...headers };
    // Spec 9.2.3: the id is sent as UTF-8. Node writes each character of a header as one byte. If `headers` has the same
    // name in another case, Node sends this later one.
    if (this.lastEventId !== '') all['Last-Event-ID'] = Buffer.from(this.lastEventId).toString('latin1');
    const options = { ...this.#host.tls, ...tls, method: this.#method, path: this.#path, headers: all };
    return new HttpExchange(this.#url, options, body, (exchange, text) => {
      if (exchange !== this.#exchange) return;
      if (isEventStream(exchange.status, exchange.headers)) this.#parser.push(text);
      this.#waits.check();
    });
  }

  /** Takes the next `count` events; returns `undefined`, and takes none, if they have not all been received. */
  #takeEvents(count: number): DispatchedEvent[] | undefined {
    const end = this.#takenEvents + count;
    if (this.events.length < end) return undefined;
    const events = this.events.slice(this.#takenEvents, end);
    this.#takenEvents = end;
    return events;
  }

  /** An empty list if the response has ended, so that no event follows. */
  #noEvents(): [] | undefined {
    return this.#exchange?.state === 'ENDED' ? [] : undefined;
  }

  #timeoutReason(): string {
    const reason = `${this.#init.timeoutMs} ms have passed`;
    return this.#exchange?.isStalled ? `${reason}, during which this client was stalled` : reason;
  }

  /** Why nothing more can be received; `undefined` while something can. */
  #endReason(): string | undefined {
    if (this.#closing !== undefined) return 'the stream was closed';
    return this.#exchange?.endReason;
  }

  /** Completes `callSite`, whose stack shows the line of the test. The stack of a timer or a socket would not show it. */
  #waitError(expected: string, reason: string, callSite: Error): Error {
    const summary = summarize(this, this.events.length, this.#takenEvents);
    const from = `${this.#method} ${this.#path}`;
    callSite.message = `Expected ${expected} from ${from}, but ${reason}. ${summary}`;
    callSite.stack = callSite.stack?.replace(/^Error\n/, () => `Error: ${callSite.message}\n`);
    const cause = this.#exchange?.failure;
    return cause === undefined ? callSite : Object.assign(callSite, { cause });
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
