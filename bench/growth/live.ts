import { EventCounter } from '../count-events';
import { createLatencies } from '../latency';
import { OpenBody } from '../open-body';

export interface Listening {
  readonly port: number;
  readonly path: string;
  /** The number of the first event that is to come. */
  readonly from: number;
}

/**
 * Subscribers who get what is published meanwhile. In a process that has nothing else to do: the client, which reads
 * replays as fast as it can, would hear of everything late.
 */
export class LiveSubscribers {
  /** From publishing to here, in nanoseconds. */
  readonly latencies = createLatencies();
  readonly #bodies: readonly OpenBody[];
  /** Resolves when all are subscribed. */
  readonly subscribed: Promise<unknown>;

  constructor(count: number, listening: Listening) {
    const opened = Array.from({ length: count }, () => this.#subscribe(listening));
    this.#bodies = opened.map(({ body }) => body);
    this.subscribed = Promise.all(opened.map(({ first }) => first));
  }

  leave(): void {
    for (const { socket } of this.#bodies) socket.destroy();
  }

  /** The first bytes are an id, which says where in the log it begins. */
  #subscribe({ port, path, from }: Listening): { body: OpenBody; first: Promise<void> } {
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
