import { isPublishedEvent, isServerSentEvent } from './event';
import { EMPTY_COMMENT_FRAME, encode } from './event-stream';
import { dataOf } from './record';
import { type Serialize, serializeData } from './serialize';

/**
 * A format in which a route sends its values. `'event-stream'`: server-sent events · `'json-lines'`: one JSON text for each
 * line · `'json'`: one JSON array.
 *
 * @example
 * const formats: Format[] = ['event-stream', 'json-lines', 'json'];
 * app.use(sse({ formats }));
 */
export type Format = 'event-stream' | 'json-lines' | 'json';

export const FORMATS: readonly Format[] = ['event-stream', 'json-lines', 'json'];

/** How the values of one response become its body. A JSON array counts them, so each response has its own. */
export interface WireFormat {
  /** Opens a response whose first value is not ready yet. */
  readonly opening: string;
  /** Keeps an idle connection alive; `undefined` for the comment of event streams. */
  readonly keepAlive: string | undefined;
  /** @returns the text of a value, or of nothing but white space for a comment. @throws if it cannot be sent */
  encode(value: unknown, serialize: Serialize): string;
  /**
   * The last text of a complete response whose client stops by itself.
   *
   * @param text that of the last value; `''` if there is none
   */
  complete(text: string): string;
}

/** White space between the values, which no client shows. */
const JSON_BLANK = '\n';

const ANY_LINE_END = /\r\n|[\r\n]/g;

const EVENT_STREAM: WireFormat = {
  opening: EMPTY_COMMENT_FRAME,
  keepAlive: undefined,
  encode,
  complete: (text) => text,
};

/** https://jsonlines.org: UTF-8, one JSON text for each line, and a line end after each. Blank lines are no values. */
const JSON_LINES: WireFormat = {
  opening: JSON_BLANK,
  keepAlive: JSON_BLANK,
  encode(value, serialize) {
    const text = jsonOf(value, serialize);
    // Outside its strings, where JSON has escapes for them, line ends are only white space (RFC 8259 2).
    return text === undefined ? JSON_BLANK : `${text.replace(ANY_LINE_END, ' ')}\n`;
  },
  complete: (text) => text,
};

/** One array (RFC 8259 5), which stays without its end if the response is cut. */
class JsonArray implements WireFormat {
  readonly opening = JSON_BLANK;
  readonly keepAlive = JSON_BLANK;
  #isEmpty = true;

  encode(value: unknown, serialize: Serialize): string {
    const text = jsonOf(value, serialize);
    if (text === undefined) return JSON_BLANK;
    const separator = this.#isEmpty ? '[' : ',';
    this.#isEmpty = false;
    return separator + text;
  }

  complete(text: string): string {
    return this.#isEmpty ? '[]' : `${text}]`;
  }
}

export function wireFormatOf(format: Format): WireFormat {
  if (format === 'json') return new JsonArray();
  return format === 'json-lines' ? JSON_LINES : EVENT_STREAM;
}

/**
 * The JSON text of a value, or of the data of an event.
 *
 * @returns `undefined` for an event without data
 * @throws `TypeError` `ERR_SSE_INVALID_DATA` as `encode` does
 */
function jsonOf(value: unknown, serialize: Serialize): string | undefined {
  if (!isServerSentEvent(value)) return jsonText(value, serialize);
  if (value.type === undefined && value.data === undefined) return undefined;
  // Not of another copy of the package, which may know no offset.
  if (isPublishedEvent(value) && value.serializedAt >= 0) return dataOf(value.frame, value.serializedAt);
  return jsonText(value.data, serialize);
}

function jsonText(data: unknown, serialize: Serialize): string {
  // A string is data of its own in an event stream; in JSON it is a string in quotation marks, as by default.
  return typeof data === 'string' ? JSON.stringify(data) : serializeData(data, serialize);
}
