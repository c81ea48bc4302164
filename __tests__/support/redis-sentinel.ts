import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import IoRedis from 'ioredis';
import { freePort } from '../../tools/free-port';
import type { Connected } from './redis';
import { until } from './redis-cluster';
import { ReplicatedServer } from './redis-replicated';

export const GROUP = 'group';

/** Milliseconds until a primary that does not answer is replaced. */
const DOWN_MS = 1_000;

/** A primary, its replica, and the sentinels that watch them. */
export class RedisSentinel {
  readonly servers = [new ReplicatedServer(), new ReplicatedServer()] as const;
  readonly #sentinels: Sentinel[];

  constructor(sentinels: 1 | 3) {
    this.#sentinels = Array.from({ length: sentinels }, () => new Sentinel());
  }

  async start(): Promise<void> {
    const [primary, replica] = this.servers;
    await Promise.all(this.servers.map((server) => server.start()));
    await replica.call('REPLICAOF', '127.0.0.1', String(primary.port));
    await until(async () => (await replica.text('INFO', 'replication')).includes('master_link_status:up'));
    const quorum = this.#sentinels.length > 1 ? 2 : 1;
    await Promise.all(this.#sentinels.map((sentinel) => sentinel.start(primary.port, quorum)));
    await this.watched();
  }

  /** Resolves when every sentinel knows the replica, and the other sentinels. */
  async watched(): Promise<void> {
    for (const sentinel of this.#sentinels) {
      await until(async () => {
        const state = await sentinel.state();
        return (
          state.get('num-slaves') === '1' &&
          state.get('num-other-sentinels') === String(this.#sentinels.length - 1)
        );
      });
    }
  }

  /** The server that the sentinels name as the primary. */
  async primary(): Promise<ReplicatedServer> {
    const port = (await this.#sentinels[0]?.state())?.get('port');
    const server = this.servers.find((one) => String(one.port) === port);
    if (server === undefined) throw new Error(`No server has port ${port}.`);
    return server;
  }

  /** Makes the replica the primary, as an operator does. */
  async failover(): Promise<void> {
    const former = await this.primary();
    await until(
      () =>
        this.#sentinels[0]?.call('SENTINEL', 'FAILOVER', GROUP).then(
          () => true,
          () => false,
        ) ?? Promise.resolve(true),
    );
    await this.replaced(former);
  }

  /** Resolves when all sentinels name another primary, and it accepts writes. */
  async replaced(former: ReplicatedServer): Promise<void> {
    for (const sentinel of this.#sentinels) {
      await until(async () => (await sentinel.state()).get('port') !== String(former.port));
    }
    const primary = await this.primary();
    await until(async () => (await primary.text('ROLE')).startsWith('master'));
  }

  /** A client that asks the sentinels for the primary. */
  async connect(): Promise<Connected> {
    const sentinels = this.#sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
    const client = new IoRedis({ sentinels, name: GROUP }).on('error', () => undefined);
    await once(client, 'ready');
    return { client, end: () => client.disconnect() };
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#sentinels, ...this.servers].map((server) => server.remove()));
  }
}

/** A `redis-server --sentinel`. */
class Sentinel {
  readonly #folder = mkdtempSync(join(tmpdir(), 'express-yield-sentinel-'));
  #process: ChildProcess | undefined;
  #admin: IoRedis | undefined;
  port = 0;

  async start(primary: number, quorum: number): Promise<void> {
    this.port = await freePort();
    const config = join(this.#folder, 'sentinel.conf');
    const lines = [
      `port ${this.port}`,
      'bind 127.0.0.1',
      `dir ${this.#folder}`,
      `sentinel monitor ${GROUP} 127.0.0.1 ${primary} ${quorum}`,
      `sentinel down-after-milliseconds ${GROUP} ${DOWN_MS}`,
      `sentinel failover-timeout ${GROUP} 3000`,
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    const server = spawn('redis-server', [config, '--sentinel'], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = server;
    for await (const line of createInterface({ input: server.stdout })) if (line.includes('+monitor')) break;
    server.stdout.resume();
    this.#admin = new IoRedis(this.port, '127.0.0.1', { protocol: 2, enableReadyCheck: false });
    this.#admin.on('error', () => undefined);
  }

  async call(...command: string[]): Promise<unknown> {
    const [name = '', ...rest] = command;
    return this.#admin?.call(name, ...rest);
  }

  async state(): Promise<Map<string, string>> {
    const reply = (await this.call('SENTINEL', 'MASTER', GROUP)) as string[];
    const state = new Map<string, string>();
    for (let i = 0; i + 1 < reply.length; i += 2) state.set(reply[i] ?? '', reply[i + 1] ?? '');
    return state;
  }

  async remove(): Promise<void> {
    this.#admin?.disconnect();
    const server = this.#process;
    if (server?.pid !== undefined && server.exitCode === null) {
      server.kill('SIGKILL');
      await once(server, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
