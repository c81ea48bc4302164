import { now } from './clock';
import { END_FRAME } from './end';
import type { Quote } from './sources';

const ID_START = 'id: ';
const EVENT_START = 'data: {"seq":';
const ZERO = 0x30;
const NINE = 0x39;

/** Counts the events of a body and checks that each comes once and in order. */
export class EventCounter {
  events = 0;
  /** Whether the closing event has come. */
  ended = false;
  readonly #latencies: number[];
  /** What follows the number in an event that does not say when it was yielded. */
  readonly #untimed: string;
  #rest = '';

  /**
   * @param latencies is given the time from yield to here of each event that says when it was yielded
   * @param symbol of which all events without a time must be
   */
  constructor(latencies: number[], symbol = 'ACME') {
    this.#latencies = latencies;
    this.#untimed = `,"at":0,"symbol":"${symbol}",`;
  }

  take(text: string): void {
    const body = this.#rest + text;
    let start = 0;
    for (let end = body.indexOf('\n\n'); end !== -1; end = body.indexOf('\n\n', start)) {
      this.#onFrame(body, start, end + 2);
      start = end + 2;
    }
    this.#rest = body.slice(start);
  }

  #onFrame(body: string, start: number, end: number): void {
    if (this.ended) throw new Error('Expected nothing behind the closing event.');
    const data = body.startsWith(ID_START, start) ? body.indexOf('\n', start) + 1 : start;
    if (body.startsWith(EVENT_START, data)) return this.#onEvent(body, data + EVENT_START.length, end);
    // An id alone, or a comment: no event.
    if (body.startsWith('\n', data) || body.startsWith(':', start)) return;
    const frame = body.slice(start, end);
    if (frame !== END_FRAME) throw new Error(`Expected an event, a comment or the end, got '${frame}'.`);
    this.ended = true;
  }

  #onEvent(body: string, start: number, end: number): void {
    const seq = numberAt(body, start);
    if (seq !== this.events) throw new Error(`Expected event ${this.events}, got ${seq}.`);
    this.events++;
    if (body.startsWith(this.#untimed, start + String(seq).length)) return;
    const frame = body.slice(start - EVENT_START.length, end);
    const { at } = JSON.parse(frame.slice('data: '.length)) as Quote;
    if (at === 0) throw new Error(`Expected an event with ${this.#untimed} got '${frame}'.`);
    this.#latencies.push(now() - at);
  }
}

function numberAt(text: string, start: number): number {
  let number = 0;
  for (let at = start; ; at++) {
    const code = text.charCodeAt(at);
    if (!(code >= ZERO && code <= NINE)) return number;
    number = number * 10 + code - ZERO;
  }
}
