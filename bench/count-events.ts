import { now } from './clock';
import { createLatencies, type Latencies } from './latency';
import type { Quote } from './sources';

const EVENT_START = '{"seq":';
const END_TYPE = 'end';
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const SPACE = 0x20;
const NONE = -1;

/**
 * Counts the events of a body and checks that each arrives once and in order; ids and types may be any. Written for speed:
 * the client has its own core, but must not be what limits a flood.
 */
export class EventCounter {
  events = 0;
  /** Whether the closing event, of type `end`, has arrived. */
  ended = false;
  readonly #latencies: Latencies;
  /** The text after the number in an event without a time. */
  readonly #untimed: string;
  readonly #onComment: (() => void) | undefined;
  #rest = '';
  /** Of the event that is being read. */
  #seq = NONE;
  #hasData = false;
  #isEnd = false;

  /**
   * @param latencies records the time from `yield` to here of each event that carries a time
   * @param symbol that all events without a time must have
   * @param onComment called for each comment
   */
  constructor(latencies: Latencies = createLatencies(), symbol = 'ACME', onComment?: () => void) {
    this.#latencies = latencies;
    this.#untimed = `,"at":0,"symbol":"${symbol}",`;
    this.#onComment = onComment;
  }

  take(text: string): void {
    const body = this.#rest + text;
    let start = 0;
    for (let end = body.indexOf('\n'); end !== -1; end = body.indexOf('\n', start)) {
      if (end === start) this.#dispatch();
      else this.#onLine(body, start, end);
      start = end + 1;
    }
    this.#rest = body.slice(start);
  }

  #onLine(body: string, start: number, end: number): void {
    if (body.charCodeAt(start) === COLON) {
      this.#onComment?.();
      return;
    }
    if (this.ended) throw new Error('Expected nothing after the closing event.');
    if (body.startsWith('data:', start)) {
      this.#onData(body, valueAt(body, start + 5), end);
      return;
    }
    if (body.startsWith('event:', start)) {
      this.#isEnd = body.slice(valueAt(body, start + 6), end) === END_TYPE;
      return;
    }
    if (body.startsWith('id:', start) || body.startsWith('retry:', start)) return;
    throw new Error(`Expected a line of an event stream, got '${body.slice(start, end)}'.`);
  }

  #onData(body: string, start: number, end: number): void {
    if (this.#hasData) throw new Error('Expected one line of data, got two.');
    this.#hasData = true;
    if (!body.startsWith(EVENT_START, start)) return;
    this.#seq = numberAt(body, start + EVENT_START.length);
    const next = start + EVENT_START.length + String(this.#seq).length;
    if (!body.startsWith(this.#untimed, next)) this.#onTimed(body.slice(start, end));
  }

  #onTimed(data: string): void {
    const { at } = JSON.parse(data) as Quote;
    if (at === 0) throw new Error(`Expected an event with ${this.#untimed} got '${data}'.`);
    this.#latencies.record(Math.max(1, now() - at));
  }

  #dispatch(): void {
    if (this.#isEnd) this.ended = true;
    // An id or a reconnection time alone is not an event.
    else if (this.#hasData) this.#count();
    this.#seq = NONE;
    this.#hasData = false;
    this.#isEnd = false;
  }

  #count(): void {
    if (this.#seq !== this.events) throw new Error(`Expected event ${this.events}, got ${this.#seq}.`);
    this.events++;
  }
}

/** Where a field's value starts: after the one optional space. */
function valueAt(line: string, start: number): number {
  return line.charCodeAt(start) === SPACE ? start + 1 : start;
}

function numberAt(text: string, start: number): number {
  let number = 0;
  for (let at = start; ; at++) {
    const code = text.charCodeAt(at);
    if (!(code >= ZERO && code <= NINE)) return number;
    number = number * 10 + code - ZERO;
  }
}
