/**
 * One or more complete frames, made once and sent to many clients. The first connection that converts them for the wire
 * caches the result here for other connections of the same kind.
 */
export class Frames {
  /** The number of events. */
  readonly events: number;
  /** The text as a chunk of HTTP/1.1, set by the first connection that can use it. */
  chunk: Buffer | undefined;
  #text: string | undefined;
  #bytes: number;

  /** Frames of which only the chunk is in memory. */
  static ofChunk(chunk: Buffer, events: number): Frames {
    const bytes = chunk.length - chunk.indexOf('\n') - 1 - '\r\n'.length;
    const frames = new Frames(undefined, events, bytes);
    frames.chunk = chunk;
    return frames;
  }

  /** @param bytes the length of the text in UTF-8, if it is known */
  constructor(text: string | undefined, events: number, bytes = -1) {
    this.#text = text;
    this.events = events;
    this.#bytes = bytes;
  }

  /** The frames as one string. */
  get text(): string {
    this.#text ??= this.#textOfChunk();
    return this.#text;
  }

  /** The length of `text` in UTF-8. */
  get bytes(): number {
    if (this.#bytes === -1) this.#bytes = Buffer.byteLength(this.text);
    return this.#bytes;
  }

  /** Without the line of the chunk's length, and the line end after its data (RFC 9112 7.1). */
  #textOfChunk(): string {
    const { chunk } = this;
    return chunk === undefined ? '' : chunk.toString('utf8', chunk.indexOf('\n') + 1, chunk.length - 2);
  }
}
