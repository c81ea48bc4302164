import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from 'redis';
import { freePort } from '../../__tests__/support/program';
import { CORES, PINNED } from '../child';

/** What the server says as soon as it can be used. */
const READY = 'Ready to accept connections';

type Admin = ReturnType<typeof clientOf>;

/** A `redis-server` that keeps nothing on disk, beside the client so that it takes no time of the servers'. */
export class RedisServer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #admin: Admin;

  private constructor(port: number, process: ChildProcess, folder: string, admin: Admin) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
    this.#admin = admin;
  }

  /** @param program its path */
  static async start(program: string): Promise<RedisServer> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'express-yield-bench-'));
    const server = [program, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
    const memoryOnly = ['--save', '', '--appendonly', 'no'];
    const pin = PINNED ? ['taskset', '-c', String(CORES.client)] : [];
    const [command = '', ...args] = [...pin, ...server, ...memoryOnly];
    const process = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await readyOf(process);
    const admin = clientOf(port);
    await admin.connect();
    return new RedisServer(port, process, folder, admin);
  }

  async version(): Promise<string> {
    return fieldOf(await this.#admin.info('server'), 'redis_version');
  }

  /** CPU time of its main thread and all others so far. */
  async cpuMs(): Promise<number> {
    const info = await this.#admin.info('cpu');
    return (Number(fieldOf(info, 'used_cpu_user')) + Number(fieldOf(info, 'used_cpu_sys'))) * 1_000;
  }

  async empty(): Promise<void> {
    await this.#admin.flushAll();
  }

  /** Ends every connection that has subscribed to a channel; their clients may come again. */
  async cutListeners(): Promise<void> {
    await this.#admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
  }

  async stop(): Promise<void> {
    this.#admin.destroy();
    const gone = once(this.#process, 'exit');
    this.#process.kill();
    await gone;
    rmSync(this.#folder, { recursive: true });
  }
}

function clientOf(port: number) {
  return createClient({ url: `redis://127.0.0.1:${port}` });
}

function readyOf({ stdout }: ChildProcess): Promise<void> {
  const lines = createInterface({ input: stdout as NonNullable<ChildProcess['stdout']> });
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      said.push(line);
      if (line.includes(READY)) resolve();
    });
    lines.on('close', () => reject(new Error(`redis-server has not started:\n${said.join('\n')}`)));
  });
}

function fieldOf(info: string, name: string): string {
  const line = info.split('\r\n').find((known) => known.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`Expected Redis to tell ${name}, got:\n${info}`);
  return line.slice(name.length + 1);
}
