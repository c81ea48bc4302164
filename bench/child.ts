import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** The core of the servers and that of the client, so that neither takes the other's time. */
export const CORES = { server: 0, client: 1 } as const;

/** Whether processes can be bound to cores here. */
export const PINNED = canPin();

/** As every server should be run; Express renders errors and caches views by it, others log. */
const ENV = { ...process.env, NODE_ENV: 'production' };

/** A process of this benchmark, which answers one question after the other. */
export class Child {
  readonly #process: ChildProcess;
  /** What it ended with; `undefined` while it runs. */
  #ending: string | undefined;

  private constructor(process: ChildProcess) {
    this.#process = process;
    process.once('exit', (code, signal) => {
      this.#ending = signal ?? `code ${code}`;
    });
  }

  /** @returns the child and the first thing that it says */
  static async start<Greeting>(
    script: string,
    core: number,
    args: readonly string[] = [],
    nodeArgs: readonly string[] = [],
  ) {
    // The parent's own arguments carry the TypeScript loader.
    const node = [process.execPath, ...process.execArgv, ...nodeArgs, join(__dirname, script), ...args];
    const [command = '', ...rest] = PINNED ? ['taskset', '-c', String(core), ...node] : node;
    const child = new Child(
      spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: ENV }),
    );
    return { child, greeting: await child.hear<Greeting>() };
  }

  async ask<Answer>(question: unknown): Promise<Answer> {
    if (this.#ending !== undefined) throw endedUnasked(this.#ending);
    this.#process.send(question as object);
    return this.hear<Answer>();
  }

  /** @returns the next thing that it says; to be called before it can have said it */
  hear<Answer>(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: string | null) =>
        reject(endedUnasked(signal ?? `code ${code}`));
      this.#process.once('exit', onExit);
      this.#process.once('message', (message) => {
        this.#process.off('exit', onExit);
        resolve(message as Answer);
      });
    });
  }

  /** Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (this.#ending !== undefined) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.disconnect();
    await gone;
  }
}

function endedUnasked(ending: string): Error {
  return new Error(`A process ended unasked, with ${ending}.`);
}

function canPin(): boolean {
  const cores = `${CORES.server},${CORES.client}`;
  return process.platform === 'linux' && spawnSync('taskset', ['-c', cores, 'true']).status === 0;
}
