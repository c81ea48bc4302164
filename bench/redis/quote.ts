/** What is published: about 100 bytes of JSON, as in the other benchmark, and who published it. */
export interface Quote {
  /** Counts from 0 for each publisher. */
  readonly seq: number;
  /** The process that published it. */
  readonly by: number;
  /** When it was published, by `now()`; 0 where nobody asks. */
  readonly at: number;
  readonly symbol: string;
  readonly price: number;
  readonly size: number;
  readonly side: string;
  readonly venue: string;
}

/** What the client needs of a quote. */
export type Mark = Pick<Quote, 'seq' | 'by' | 'at'>;

const START = '{"seq":';
const BY = ',"by":';
const AT = ',"at":';
const ZERO = 0x30;
const NINE = 0x39;

export function quote(seq: number, by: number, at: number): Quote {
  return { seq, by, at, symbol: 'ACME', price: 10_150 + (seq % 100), size: 300, side: 'buy', venue: 'XNAS' };
}

/**
 * Reads the mark of the quote in a frame, whatever is around it. By hand, for the client must not be what is measured.
 *
 * @returns `undefined` if there is no quote: a comment, or an id alone
 */
export function markIn(frame: string): Mark | undefined {
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
