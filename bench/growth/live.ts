import { EventCounter } from '../count-events';
import { createLatencies } from '../latency';
import { OpenBody } from '../open-body';

export interface LiveStream {
  readonly port: number;
  readonly path: string;
  /** The number of the first live event. */
  readonly from: number;
}

/**
 * Subscribers that receive live events during the replays. They run in an otherwise idle process: the client, which reads
 * replays as fast as it can, would read them late.
 */
export class LiveSubscribers {
  /** From publishing to here. */
  readonly latencies = createLatencies();
  readonly #bodies: readonly OpenBody[];
  /** Resolves when all have subscribed. */
  readonly subscribed: Promise<unknown>;

  constructor(count: number, stream: LiveStream) {
    const opened = Array.from({ length: count }, () => this.#subscribe(stream));
    this.#bodies = opened.map(({ body }) => body);
    this.subscribed = Promise.all(opened.map(({ first }) => first));
  }

  leave(): void {
    for (const { socket } of this.#bodies) socket.destroy();
  }

  /** The first bytes are an id: the position in the log at which the stream starts. */
  #subscribe({ port, path, from }: LiveStream): { body: OpenBody; first: Promise<void> } {
    const counter = new EventCounter(this.latencies);
    counter.events = from;
    let onFirst: () => void = () => undefined;
    const body = new OpenBody({ port, path }, (text) => {
      counter.take(text);
      onFirst();
    });
    const first = new Promise<void>((resolve, reject) => {
      onFirst = resolve;
      body.socket.on('error', reject);
    });
    return { body, first };
  }
}
