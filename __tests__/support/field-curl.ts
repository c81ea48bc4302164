import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A real `curl -N`, and what it has printed. */
export class Curl {
  static async open(...args: string[]): Promise<Curl> {
    const curl = spawn('curl', ['--no-buffer', '--silent', '--show-error', '--max-time', '10', ...args]);
    await once(curl, 'spawn');
    return new Curl(curl);
  }

  readonly #process: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<unknown>;
  #said = '';
  #complained = '';

  private constructor(curl: ChildProcessWithoutNullStreams) {
    this.#process = curl;
    this.#closed = once(curl, 'close');
    curl.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
    curl.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complained += text;
    });
  }

  async until(text: string): Promise<string> {
    while (!this.#said.includes(text)) await once(this.#process.stdout, 'data');
    return this.#said;
  }

  /** Resolves with what it has printed once it has ended by itself; rejects if it has failed. */
  async ended(): Promise<string> {
    await this.#closed;
    if (this.#process.exitCode !== 0) throw new Error(`curl has failed: ${this.#complained}`);
    return this.#said;
  }

  async leave(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#closed;
  }
}
