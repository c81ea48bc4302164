import { type ChildProcess, spawn } from 'node:child_process';

export interface ChildOptions {
  /** The script's arguments. */
  readonly args?: readonly string[];
  /** Options of Node itself, besides those of this process. */
  readonly nodeArgs?: readonly string[];
  /** Variables in addition to this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Words before the command, such as those of `taskset`. */
  readonly prefix?: readonly string[];
}

/** A Node process that answers one question at a time over its IPC channel. */
export class Child {
  /** Resolves to the process's exit code or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #process: ChildProcess;
  /** How the process ended; `undefined` while it runs. */
  #exit: number | NodeJS.Signals | undefined;

  private constructor(process: ChildProcess) {
    this.#process = process;
    this.exited = new Promise((resolve) => {
      process.once('exit', (code, signal) => {
        this.#exit = code ?? signal ?? 0;
        resolve(this.#exit);
      });
    });
  }

  /**
   * @param script the script's absolute path
   * @returns the process and its first message
   */
  static async start<Message>(
    script: string,
    options: ChildOptions = {},
  ): Promise<{ readonly child: Child; readonly first: Message }> {
    const { args = [], nodeArgs = [], env = {}, prefix = [] } = options;
    // This process's own options load TypeScript.
    const node = [process.execPath, ...process.execArgv, ...nodeArgs, script, ...args];
    const [command = '', ...rest] = [...prefix, ...node];
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    const child = new Child(spawn(command, rest, { stdio: [...stdio], env: { ...process.env, ...env } }));
    return { child, first: await child.next<Message>() };
  }

  /** Sends a question. @returns the next message, which is the answer */
  async ask<Answer>(question: unknown): Promise<Answer> {
    if (this.#exit !== undefined) throw endedEarly(this.#exit);
    this.#process.send(question as object);
    return this.next<Answer>();
  }

  /** @returns the next message; call this before the process can have sent it */
  next<Message>(): Promise<Message> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: NodeJS.Signals | null) =>
        reject(endedEarly(code ?? signal ?? 0));
      this.#process.once('exit', onExit);
      this.#process.once('message', (message) => {
        this.#process.off('exit', onExit);
        resolve(message as Message);
      });
    });
  }

  /** Closes the IPC channel, so that the process can exit. */
  disconnect(): void {
    if (this.#process.connected) this.#process.disconnect();
  }

  /** Closes the IPC channel. @returns a promise that resolves when the process has exited */
  async stop(): Promise<void> {
    this.disconnect();
    await this.exited;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

function endedEarly(exit: number | NodeJS.Signals): Error {
  return new Error(
    `A process ended before it answered, with ${typeof exit === 'number' ? `code ${exit}` : exit}.`,
  );
}
