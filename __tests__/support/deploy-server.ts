/**
 * One of two servers of a deploy: `deploy-server.ts <name> <port of redis> <spreadMs>`. Its channel is on Redis, or in
 * memory if the port is 0. It publishes until it is told to stop, and on SIGTERM it does as the README says.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { Channel, createSse, memoryLog } from '../../lib';
import { redisLogs } from '../../lib/redis';
import type { Counted, Counts } from '../../soak/crowd';
import { CLIENTS } from './redis';

/** What its parent wants. */
export type DeployWish =
  | { readonly kind: 'listen'; readonly port: number }
  | { readonly kind: 'publish' }
  /** Has the channel's closing event tell how many events others have published. */
  | { readonly kind: 'end'; readonly others: Counts };

/** What it tells. */
export type DeployWord =
  | { readonly kind: 'ready' | 'released' }
  | { readonly kind: 'listening'; readonly port: number }
  /** So many events are acknowledged by the log. */
  | { readonly kind: 'published'; readonly count: number }
  | { readonly kind: 'incident'; readonly text: string };

/** Each event is 5,000 deliveries, which take a part of a second of a core in each process. */
const PUBLISH_EACH_MS = 700;

/** The clients of a whole process come at once after a deploy without a spread; nobody should be turned away for that. */
const BACKLOG = 4_096;

const [, , name = '', redisPort = '0', spreadMs = '0'] = process.argv;

function tell(word: DeployWord): void {
  process.send?.(word);
}

process.on('unhandledRejection', (error) =>
  tell({ kind: 'incident', text: `unhandledRejection ${String(error)}` }),
);
process.on('uncaughtException', (error) =>
  tell({ kind: 'incident', text: `uncaughtException ${error.stack}` }),
);
process.on('warning', (warning) => tell({ kind: 'incident', text: `warning ${warning.stack}` }));

/** The channel's log, and how what is behind it ends. */
async function openLog() {
  const bounds = { maxEvents: 10_000 };
  if (redisPort === '0') return { log: memoryLog(bounds), end: () => undefined };
  const [[, connect]] = CLIENTS as readonly [(typeof CLIENTS)[number]];
  const { client, end } = await connect(Number(redisPort));
  const logs = redisLogs(client);
  return { log: logs('deploy', bounds), end: () => logs.close().then(end) };
}

/** Publishes until it is stopped. */
class Publisher {
  readonly #channel: Channel<Counted>;
  readonly #stopping = new AbortController();
  readonly #publishing: Promise<void>;
  #count = 0;

  constructor(channel: Channel<Counted>) {
    this.#channel = channel;
    this.#publishing = this.#publish();
  }

  /** @returns how many events it has published */
  async stop(): Promise<number> {
    this.#stopping.abort();
    await this.#publishing;
    return this.#count;
  }

  async #publish(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#channel.publish({ from: name, n: this.#count + 1 });
      tell({ kind: 'published', count: ++this.#count });
      await sleep(PUBLISH_EACH_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function main(): Promise<void> {
  const { log, end } = await openLog();
  const channel = new Channel<Counted>({ log });
  const sse = createSse({ retryMs: 300 });
  const app = express();
  app.use(sse());
  app.get('/', () => channel);
  const server = createServer(app);
  let publisher: Publisher | undefined;

  async function listen(port: number): Promise<void> {
    server.listen(port, '127.0.0.1', BACKLOG);
    await once(server, 'listening');
    tell({ kind: 'listening', port: (server.address() as AddressInfo).port });
  }

  async function finish(others: Counts): Promise<void> {
    const count = (await publisher?.stop()) ?? 0;
    await channel.end({ ...others, [name]: count });
  }

  process.on('message', (wish: DeployWish) => {
    if (wish.kind === 'listen') void listen(wish.port);
    else if (wish.kind === 'end') void finish(wish.others);
    else publisher = new Publisher(channel);
  });

  process.once('SIGTERM', async () => {
    server.close();
    tell({ kind: 'released' });
    await sse.close({ spreadMs: Number(spreadMs) });
    server.closeAllConnections();
    await publisher?.stop();
    await channel.close();
    await end();
    process.disconnect?.();
  });
  tell({ kind: 'ready' });
}

void main();
