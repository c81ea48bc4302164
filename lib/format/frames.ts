/**
 * A run of whole frames that is made once and sent to many. What a connection makes of it for the wire is kept here
 * for the next connection of its kind.
 */
export class Frames {
  readonly text: string;
  /** How many events it has. */
  readonly events: number;
  /** Ready for the wire of HTTP/1.1: filled in by the first connection that can use it. */
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
