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

  constructor(text: string, events: number) {
    this.text = text;
    this.events = events;
  }
}

/** Where a subscription's frames go when somebody takes them as they are, without an iterator between. */
export interface FrameSink {
  /**
   * Takes frames, never throws.
   *
   * @returns whether it takes more at once; if not, it calls the subscription's `resume()` when it does
   */
  send(frames: Frames): boolean;
  /** The channel has finished; `frame` is its closing event. Nothing follows. */
  finish(frame: string): void;
  /** The subscription is over, though the channel has not finished, so that the client should come again. */
  leave(): void;
  /** The subscription is over, by an error. */
  fail(error: unknown): void;
}
