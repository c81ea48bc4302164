/** An event: about 100 bytes of JSON, as in the other benchmark, and its publisher. */
export interface Quote {
  /** Counts from 0 for each publisher. */
  readonly seq: number;
  /** The process that published it. */
  readonly by: number;
  /** When it was published, by `now()`; 0 if the row does not measure latency. */
  readonly at: number;
  readonly symbol: string;
  readonly price: number;
  readonly size: number;
  readonly side: string;
  readonly venue: string;
}

/** The part of a quote that the client reads. */
export type QuoteHead = Pick<Quote, 'seq' | 'by' | 'at'>;

const START = '{"seq":';
const BY = ',"by":';
const AT = ',"at":';
const ZERO = 0x30;
const NINE = 0x39;

export function quote(seq: number, by: number, at: number): Quote {
  return { seq, by, at, symbol: 'ACME', price: 10_150 + (seq % 100), size: 300, side: 'buy', venue: 'XNAS' };
}

/**
 * Reads the first fields of the quote in a frame, whatever surrounds it. Written for speed, so that the client does not
 * limit the measurement.
 *
 * @returns `undefined` for a frame without a quote: a comment, or an id alone
 */
export function quoteIn(frame: string): QuoteHead | undefined {
  const start = frame.indexOf(START);
  if (start === -1) return undefined;
  const seq = numberAt(frame, start + START.length);
  const by = numberAt(frame, frame.indexOf(BY, start) + BY.length);
  const at = numberAt(frame, frame.indexOf(AT, start) + AT.length);
  return { seq, by, at };
}

function numberAt(text: string, start: number): number {
  let number = 0;
  for (let at = start; ; at++) {
    const code = text.charCodeAt(at);
    if (!(code >= ZERO && code <= NINE)) return number;
    number = number * 10 + code - ZERO;
  }
}
