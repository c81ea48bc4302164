/**
 * An event as a browser dispatches it, with the fields of a `MessageEvent`.
 *
 * @example
 * const stream = await openStream(app, '/clock');
 * const { type, data, lastEventId }: DispatchedEvent = await stream.next();
 */
export interface DispatchedEvent {
  /** The event type; `'message'` if the stream sets none. */
  readonly type: string;
  /** The data as text; call `JSON.parse()` for data that the server has sent as JSON. */
  readonly data: string;
  /** The id of this event, or of the latest event before it that had one; `''` if none had. */
  readonly lastEventId: string;
}

/** Receives the events and comments that the parser has read. */
export interface ParserListener {
  onEvent(event: DispatchedEvent): void;
  /** @param text the text after the colon, without one leading space */
  onComment?(text: string): void;
}

const END_OF_LINE = /\r\n|\n|\r/;

/**
 * Parses an event stream in pieces that may end at any character. An event without its blank line is discarded, as the
 * specification requires.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (9.2.6)
 */
export class EventStreamParser {
  readonly #listener: ParserListener;
  /** The beginning of a line whose end has not been received yet. */
  #rest = '';
  #isFirst = true;
  #endedInCr = false;
  #type = '';
  #data = '';
  #idBuffer = '';
  #lastEventId = '';
  #retryMs: number | undefined;

  constructor(listener: ParserListener, lastEventId = '') {
    this.#listener = listener;
    this.#idBuffer = lastEventId;
    this.#lastEventId = lastEventId;
  }

  /** What a browser would send as `Last-Event-ID`. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** The latest reconnection time of the stream, in milliseconds; `undefined` if it has set none. */
  get retryMs(): number | undefined {
    return this.#retryMs;
  }

  /** @param text the next piece, decoded as UTF-8 */
  push(text: string): void {
    if (text === '') return;
    let piece = text;
    // Spec 9.2.5: one leading byte order mark is ignored.
    if (this.#isFirst && piece.startsWith('\uFEFF')) piece = piece.slice(1);
    // An LF that was separated from its CR by the end of the last piece does not end another line.
    if (this.#endedInCr && piece.startsWith('\n')) piece = piece.slice(1);
    this.#isFirst = false;
    this.#endedInCr = text.endsWith('\r');
    const [first = '', ...others] = piece.split(END_OF_LINE);
    // Splits only the new piece: to split a long line again with each of its pieces would take quadratic time.
    const lines = [this.#rest + first, ...others];
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }

  /** Prepares for a new connection: discards an incomplete event, keeps the last event ID and the reconnection time. */
  reset(): void {
    this.#rest = '';
    this.#isFirst = true;
    this.#endedInCr = false;
    this.#type = '';
    this.#data = '';
    this.#idBuffer = this.#lastEventId;
  }

  #onLine(line: string): void {
    const colon = line.indexOf(':');
    if (line === '') this.#dispatch();
    else if (colon === 0) this.#listener.onComment?.(fieldValue(line, colon));
    else if (colon === -1) this.#onField(line, '');
    else this.#onField(line.slice(0, colon), fieldValue(line, colon));
  }

  #onField(name: string, value: string): void {
    if (name === 'event') this.#type = value;
    else if (name === 'data') this.#data += `${value}\n`;
    else if (name === 'id') this.#onId(value);
    else if (name === 'retry' && /^\d+$/.test(value)) this.#retryMs = Number(value);
  }

  /** Spec 9.2.6: an id that contains NULL is ignored. */
  #onId(value: string): void {
    if (!value.includes('\0')) this.#idBuffer = value;
  }

  #dispatch(): void {
    const [type, data] = [this.#type, this.#data];
    this.#lastEventId = this.#idBuffer;
    this.#type = '';
    this.#data = '';
    if (data === '') return;
    this.#listener.onEvent({
      type: type || 'message',
      data: data.slice(0, -1),
      lastEventId: this.#lastEventId,
    });
  }
}

function fieldValue(line: string, colon: number): string {
  return line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
}
