import IoRedis from 'ioredis';
import { RedisServer } from '../../tools/redis-server';

const REPLICATED = ['--appendonly', 'yes', '--save', '', '--repl-diskless-sync-delay', '0'];

/** A server that has a replica or is one, and a connection for a test's own commands. */
export class ReplicatedServer extends RedisServer {
  readonly #password: string | undefined;
  #admin: IoRedis | undefined;

  constructor(args: readonly string[] = [], password?: string) {
    const rights = password === undefined ? [] : ['--requirepass', password, '--masterauth', password];
    super({ args: [...REPLICATED, ...rights, ...args] });
    this.#password = password;
  }

  get name(): string {
    return `127.0.0.1:${this.port}`;
  }

  async call(...command: string[]): Promise<unknown> {
    const options = { protocol: 2, retryStrategy: () => 20, maxRetriesPerRequest: null } as const;
    const password = this.#password === undefined ? {} : { password: this.#password };
    this.#admin ??= new IoRedis(this.port, '127.0.0.1', { ...options, ...password }).on(
      'error',
      () => undefined,
    );
    const [name = '', ...rest] = command;
    return this.#admin.call(name, ...rest);
  }

  async text(...command: string[]): Promise<string> {
    return String(await this.call(...command));
  }

  override async remove(): Promise<void> {
    this.#admin?.disconnect();
    this.signal('SIGCONT');
    await super.remove();
  }
}
