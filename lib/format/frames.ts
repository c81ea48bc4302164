/**
 * One or more complete frames, made once and sent to many clients. The first connection that converts them for the wire
 * caches the result here for other connections of the same kind.
 */
export class Frames {
  readonly text: string;
  /** The number of events in `text`. */
  readonly events: number;
  /** The text as a chunk of HTTP/1.1, set by the first connection that can use it. */
  chunk: Buffer | undefined;
  #bytes = -1;

  constructor(text: string, events: number) {
    this.text = text;
    this.events = events;
  }

  /** The length of `text` in UTF-8. */
  get bytes(): number {
    if (this.#bytes === -1) this.#bytes = Buffer.byteLength(this.text);
    return this.#bytes;
  }
}
