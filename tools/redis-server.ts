import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './free-port';

/** The line that the server prints when it accepts connections. */
const READY = 'Ready to accept connections';

/** Keeps nothing on disk. */
const IN_MEMORY = ['--save', '', '--appendonly', 'no'];

export interface RedisServerOptions {
  /** Name or path of the program; `redis-server` by default. */
  readonly program?: string;
  /** The server's options; by default it keeps nothing on disk. */
  readonly args?: readonly string[];
  /** Words before the command, such as those of `taskset`. */
  readonly prefix?: readonly string[];
  /** Runs the server in its own process group, so that Ctrl+C in a terminal does not end it; `false` by default. */
  readonly detached?: boolean;
}

/**
 * A `redis-server` on a port of 127.0.0.1, with a temporary folder for its files. After `kill()` it can be started again,
 * on the same port and with the same files.
 */
export class RedisServer {
  readonly #options: RedisServerOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'express-yield-redis-'));
  #process: ChildProcess | undefined;
  /** 0 until the first start. */
  port = 0;

  constructor(options: RedisServerOptions = {}) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** @throws (rejects with) the error of `spawn`, such as `ENOENT`; an `Error` if the server exits before it is ready */
  async start(): Promise<void> {
    const { program = 'redis-server', args = IN_MEMORY, prefix = [], detached = false } = this.#options;
    if (this.port === 0) this.port = await lowPort();
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder];
    const [command = '', ...rest] = [...prefix, program, ...place, ...args];
    const server = spawn(command, rest, { detached, stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = server;
    await ready(server);
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  /** Ends the server. Call it again to no effect. @returns a promise that resolves when the process has exited */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const server = this.#process;
    this.#process = undefined;
    // Without a process id it has never run.
    if (server?.pid === undefined) return;
    server.kill(signal);
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  }

  /** Ends the server and removes its files. */
  async remove(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.kill(signal);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function ready(server: ChildProcess): Promise<void> {
  const lines = createInterface({ input: server.stdout as NonNullable<ChildProcess['stdout']> });
  const output: string[] = [];
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    lines.on('line', (line) => {
      output.push(line);
      if (line.includes(READY)) resolve();
    });
    lines.on('close', () => reject(new Error(`redis-server has not started:\n${output.join('\n')}`)));
  });
}

/** Below 55,000: the nodes of a Redis Cluster also use the port 10,000 above theirs. */
async function lowPort(): Promise<number> {
  const port = await freePort();
  return port < 55_000 ? port : lowPort();
}
