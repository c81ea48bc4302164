import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import IoRedis from 'ioredis';
import { createClient } from 'redis';
import type { RedisClient } from '../../lib/redis';
import { describeWithProgram, findProgram, freePort } from './program';

const MISSING =
  'These tests need a real Redis, and there is no redis-server on PATH. Install it (apt install redis-server, brew install redis).';

/**
 * By default Redis may answer up to two seconds before it has written: then a killed Redis has lost what it has
 * acknowledged, and subscribers are told of a gap.
 */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];

/** What the server says as soon as it can be used. */
const READY = 'Ready to accept connections';

/** A `redis-server` with an append-only file in a folder of its own; it can be killed and comes back where it was. */
export class RedisServer {
  readonly #command: string;
  readonly #args: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), 'express-yield-redis-'));
  #process: ChildProcess | undefined;
  #admin: IoRedis | undefined;
  port = 0;

  constructor(command: string, args: readonly string[] = []) {
    this.#command = command;
    this.#args = args;
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  /** On a free port, or on the one that it had. */
  async start(): Promise<void> {
    if (this.port === 0) this.port = await lowPort();
    const args = `--port ${this.port} --bind 127.0.0.1 --dir ${this.#folder}`.split(' ');
    this.#process = spawn(this.#command, [...args, ...DURABLE, ...this.#args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: this.#process.stdout as NonNullable<ChildProcess['stdout']> });
    await new Promise<void>((resolve, reject) => {
      const said: string[] = [];
      lines.on('line', (line) => {
        said.push(line);
        if (line.includes(READY)) resolve();
      });
      lines.on('close', () => reject(new Error(`redis-server has not started:\n${said.join('\n')}`)));
    });
  }

  /** A command from outside, as an administrator would type it. */
  async call(...command: string[]): Promise<unknown> {
    this.#admin ??= quiet(new IoRedis(this.port, '127.0.0.1', { protocol: 2, retryStrategy: () => 20 }));
    const [name = '', ...args] = command;
    return this.#admin.call(name, ...args);
  }

  /** `kill -9`, or stopped and continued. */
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.kill(name);
  }

  async kill(): Promise<void> {
    const server = this.#process;
    this.#process = undefined;
    if (server === undefined) return;
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  }

  async remove(): Promise<void> {
    this.#admin?.disconnect();
    await this.kill();
    rmSync(this.#folder, { recursive: true });
  }
}

/** A user's client, and how the user ends it. */
export interface Connected {
  readonly client: RedisClient;
  end(): unknown;
}

export type Connect = (port: number) => Promise<Connected>;

/** The clients that people use. */
export const CLIENTS: ReadonlyArray<readonly [name: 'node-redis' | 'ioredis', connect: Connect]> = [
  [
    'node-redis',
    async (port) => {
      const client = createClient({ url: `redis://127.0.0.1:${port}` });
      client.on('error', () => undefined);
      await client.connect();
      return { client, end: () => client.destroy() };
    },
  ],
  [
    'ioredis',
    async (port) => {
      const client = quiet(new IoRedis(port, '127.0.0.1', { disconnectTimeout: 100 }));
      await once(client, 'ready');
      return { client, end: () => client.disconnect() };
    },
  ],
];

/** A `describe` whose tests have a real Redis. Without one they are skipped, loudly; under `CI` they fail. */
export function describeWithRedis(
  name: string,
  tests: (server: RedisServer) => void,
  args: readonly string[] = [],
): void {
  const command = findProgram('redis-server');
  describeWithProgram(command, MISSING, name, () => {
    const server = new RedisServer(command ?? '', args);
    beforeAll(() => server.start());
    afterAll(() => server.remove());
    tests(server);
  });
}

/** Its errors are the test's own doing. */
function quiet(client: IoRedis): IoRedis {
  return client.on('error', () => undefined);
}

/** Not a high one: the nodes of a cluster also use the port 10,000 above. */
async function lowPort(): Promise<number> {
  const port = await freePort();
  return port < 55_000 ? port : lowPort();
}
