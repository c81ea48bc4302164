import { EventCounter } from './count-events';
import { OpenBody, type StreamRequest } from './open-body';

/** Longer than reading the rest takes. */
const REST_MS = 20_000;

/** A client that stops reading after its first event, like a suspended browser tab, and later resumes. */
export class StalledReader {
  readonly #request: StreamRequest;
  readonly #events: number;
  readonly #body: OpenBody;
  readonly #counter = new EventCounter();
  #lastId = '';
  #reads = false;

  /** @param events how many events a client receives that does not stop reading */
  constructor(request: StreamRequest, events: number) {
    this.#request = request;
    this.#events = events;
    this.#body = new OpenBody(request, (text) => this.#onText(text));
  }

  #onText(text: string): void {
    this.#counter.take(text);
    this.#lastId = lastIdOf(text) ?? this.#lastId;
    if (!this.#reads && this.#counter.events > 0) this.#body.socket.pause();
    if (this.#body.ended || this.#counter.events === this.#events) this.#body.socket.destroy();
  }

  /**
   * Reads the rest.
   *
   * @returns whether events are missing, reported with a `gap` when the client reconnects; `false` if it received all events
   * @throws if events are missing without a `gap`
   */
  async resume(): Promise<boolean> {
    const { socket } = this.#body;
    const closed = new Promise((resolve, reject) => {
      socket.on('close', resolve);
      socket.on('error', reject);
      socket.setTimeout(REST_MS, () =>
        socket.destroy(new Error('Expected the rest or an end, got silence.')),
      );
    });
    this.#reads = true;
    socket.resume();
    await closed;
    const { events } = this.#counter;
    if (events === this.#events) return false;
    const first = await firstEvent({ ...this.#request, lastEventId: this.#lastId });
    if (/^event: gap$/m.test(first)) return true;
    throw new Error(`Expected a gap after ${events} of ${this.#events} events, got '${first}'.`);
  }
}

/** The id of the last whole frame. */
function lastIdOf(text: string): string | undefined {
  const lines = `\n${text}`;
  const start = lines.lastIndexOf('\nid: ', lines.lastIndexOf('\n\n'));
  return start === -1 ? undefined : lines.slice(start + 5, lines.indexOf('\n', start + 5));
}

/** The frame of the first event of a stream. */
function firstEvent(request: StreamRequest): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    const { socket } = new OpenBody(request, (more) => {
      text += more;
      const frame = text
        .split('\n\n')
        .slice(0, -1)
        .find((each) => /^data:/m.test(each));
      if (frame === undefined) return;
      resolve(frame);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
