import { once } from 'node:events';
import IoRedis from 'ioredis';
import { createClient } from 'redis';
import type { RedisClient } from '../../lib/redis';
import { findProgram } from '../../tools/program';
import { RedisServer as Launched } from '../../tools/redis-server';
import { describeWithProgram } from './program';

const MISSING =
  'These tests need a real Redis, and there is no redis-server on PATH. Install it (apt install redis-server, brew install redis).';

/**
 * By default Redis may acknowledge a write up to two seconds before it is on disk: after a kill, acknowledged events are
 * lost, and subscribers get a gap.
 */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];

/** A `redis-server` with an append-only file, and a connection for a test's own commands. */
export class RedisServer extends Launched {
  #admin: IoRedis | undefined;

  /** Sends a command as an administrator would. */
  async call(...command: string[]): Promise<unknown> {
    this.#admin ??= quiet(new IoRedis(this.port, '127.0.0.1', { protocol: 2, retryStrategy: () => 20 }));
    const [name = '', ...args] = command;
    return this.#admin.call(name, ...args);
  }

  override async remove(): Promise<void> {
    this.#admin?.disconnect();
    await super.remove();
  }
}

/** A user's client, and how to close it. */
export interface Connected {
  readonly client: RedisClient;
  end(): unknown;
}

export type Connect = (port: number) => Promise<Connected>;

/** The common client libraries. */
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

/** A `describe` whose tests have a real Redis. Without one they are skipped with a warning; with `CI` set they fail. */
export function describeWithRedis(
  name: string,
  tests: (server: RedisServer) => void,
  args: readonly string[] = [],
): void {
  const command = findProgram('redis-server');
  describeWithProgram(command, MISSING, name, () => {
    const server = new RedisServer({ program: command, args: [...DURABLE, ...args] });
    beforeAll(() => server.start());
    afterAll(() => server.remove());
    tests(server);
  });
}

/** Ignores errors, which the tests cause on purpose. */
function quiet(client: IoRedis): IoRedis {
  return client.on('error', () => undefined);
}
