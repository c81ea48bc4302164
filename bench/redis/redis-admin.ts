import { createClient } from 'redis';

type Client = ReturnType<typeof clientFor>;

/** Asks a Redis server for figures, and interferes with it. */
export class RedisAdmin {
  readonly port: number;
  readonly #client: Client;

  private constructor(port: number, client: Client) {
    this.port = port;
    this.#client = client;
  }

  static async connect(port: number): Promise<RedisAdmin> {
    return new RedisAdmin(port, await clientFor(port).connect());
  }

  async version(): Promise<string> {
    return fieldOf(await this.#client.info('server'), 'redis_version');
  }

  /** CPU time of all threads so far, user and system. */
  async cpuMs(): Promise<number> {
    const info = await this.#client.info('cpu');
    return (Number(fieldOf(info, 'used_cpu_user')) + Number(fieldOf(info, 'used_cpu_sys'))) * 1_000;
  }

  async empty(): Promise<void> {
    await this.#client.flushAll();
  }

  /** Closes every connection that has subscribed to a channel; the clients can reconnect. */
  async cutSubscribers(): Promise<void> {
    await this.#client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
  }

  close(): void {
    this.#client.destroy();
  }
}

function clientFor(port: number) {
  return createClient({ url: `redis://127.0.0.1:${port}` });
}

function fieldOf(info: string, name: string): string {
  const line = info.split('\r\n').find((known) => known.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`Expected ${name} in the INFO of Redis, got:\n${info}`);
  return line.slice(name.length + 1);
}
