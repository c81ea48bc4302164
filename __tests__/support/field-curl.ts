import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A real `curl -N` and its output. */
export class Curl {
  static async open(...args: string[]): Promise<Curl> {
    const curl = spawn('curl', ['--no-buffer', '--silent', '--show-error', '--max-time', '10', ...args]);
    await once(curl, 'spawn');
    return new Curl(curl);
  }

  readonly #process: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<unknown>;
  #stdout = '';
  #stderr = '';

  private constructor(curl: ChildProcessWithoutNullStreams) {
    this.#process = curl;
    this.#closed = once(curl, 'close');
    curl.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    curl.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  /** What curl has printed so far. */
  get output(): string {
    return this.#stdout;
  }

  async until(text: string): Promise<string> {
    while (!this.#stdout.includes(text)) await once(this.#process.stdout, 'data');
    return this.#stdout;
  }

  /** Resolves with the output when curl exits; rejects if it fails. */
  async ended(): Promise<string> {
    await this.#closed;
    if (this.#process.exitCode !== 0) throw new Error(`curl failed: ${this.#stderr}`);
    return this.#stdout;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#closed;
  }
}
