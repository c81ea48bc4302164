import { type OpenedStream, openStream, type StreamInit } from '../../lib/testing';

/** The same stream under the names of the suite before there was {@link openStream}. */
export class Client {
  static async open(url: string, init?: StreamInit): Promise<Client> {
    return new Client(await openStream(url, '', init));
  }

  readonly #stream: OpenedStream;

  private constructor(stream: OpenedStream) {
    this.#stream = stream;
  }

  get status(): number {
    return this.#stream.status;
  }

  get headers(): OpenedStream['headers'] {
    return this.#stream.headers;
  }

  get body(): string {
    return this.#stream.text;
  }

  get ended(): Promise<string> {
    return this.#stream.ended();
  }

  until(text: string): Promise<string> {
    return this.#stream.untilText(text);
  }

  stall(): void {
    this.#stream.stall();
  }

  resume(): void {
    this.#stream.resume();
  }

  async gone(): Promise<void> {
    await this.#stream.closed();
  }

  leave(): void {
    this.#stream.drop();
  }
}
