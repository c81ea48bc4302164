import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A process of the soak, which answers one question after the other. */
export class Child {
  readonly #process: ChildProcess;
  readonly exited: Promise<number | null>;

  private constructor(process: ChildProcess) {
    this.#process = process;
    this.exited = once(process, 'exit').then(([code]) => code as number | null);
  }

  /** @returns the child and the first thing that it says */
  static async start<Greeting>(script: string, args: readonly string[]) {
    // Warnings are incidents, and told as such.
    const execArgv = ['--expose-gc', '--no-warnings', '--import', 'tsx'];
    const child = new Child(fork(join(__dirname, script), args, { execArgv }));
    return { child, greeting: await child.#hear<Greeting>(script) };
  }

  ask<Answer>(question: string): Promise<Answer> {
    this.#process.send(question);
    return this.#hear(question);
  }

  /** Lets go of it, so that it can end by itself. */
  disconnect(): void {
    if (this.#process.connected) this.#process.disconnect();
  }

  /** For one that does not. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #hear<Answer>(question: string): Promise<Answer> {
    const exit = this.exited.then((code) => {
      throw new Error(`A process ended with code ${code} instead of answering '${question}'.`);
    });
    const [answer] = await Promise.race([once(this.#process, 'message'), exit]);
    return answer as Answer;
  }
}
