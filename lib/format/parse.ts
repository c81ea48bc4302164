/**
 * An event as a browser dispatches it: the fields of a `MessageEvent`.
 *
 * @example
 * const stream = await openStream(app, '/clock');
 * const { type, data, lastEventId }: DispatchedEvent = await stream.next();
 */
export interface DispatchedEvent {
  /** The event type; `'message'` if the stream names none. */
  readonly type: string;
  /** Always text; parse what your server has sent as JSON. */
  readonly data: string;
  /** The id of this event, or of the last one before it that had any; `''` if none had. */
  readonly lastEventId: string;
}

/** What a piece of a stream may contain besides events. */
export interface ParserListener {
  onEvent(event: DispatchedEvent): void;
  /** The text behind the colon, without the space that may follow it. */
  onComment?(text: string): void;
}

const LINE_END = /\r\n|\n|\r/;

/**
 * Reads an event stream as the specification says, in pieces that may end anywhere. An event that the stream breaks off
 * is discarded.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (9.2.6)
 */
export class EventStreamParser {
  readonly #listener: ParserListener;
  /** The beginning of a line whose end has not come yet. */
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

  /** The reconnection time that the stream has set last. */
  get retryMs(): number | undefined {
    return this.#retryMs;
  }

  /** @param text the next piece, decoded as UTF-8 */
  push(text: string): void {
    if (text === '') return;
    let piece = text;
    // 9.2.5: one leading byte order mark is ignored.
    if (this.#isFirst && piece.startsWith('\uFEFF')) piece = piece.slice(1);
    // The LF of a CRLF that was divided ends no line of its own.
    if (this.#endedInCr && piece.startsWith('\n')) piece = piece.slice(1);
    this.#isFirst = false;
    this.#endedInCr = text.endsWith('\r');
    const [first = '', ...others] = piece.split(LINE_END);
    // Only the piece is searched: a line of many pieces would be searched again with each.
    const lines = [this.#rest + first, ...others];
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }

  /** A new connection of the same client: what has begun is discarded, the last event ID and the reconnection time stay. */
  reset(): void {
    this.#rest = '';
    this.#isFirst = true;
    this.#endedInCr = false;
    this.#type = '';
    this.#data = '';
    this.#idBuffer = this.#lastEventId;
  }

  #onLine(line: string): void {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return this.#listener.onComment?.(fieldValue(line, colon));
    if (colon === -1) this.#onField(line, '');
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
