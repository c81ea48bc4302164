/**
 * One of the two servers of a deploy: `deploy-server.ts <name> <redis port> <spreadMs>`. Its channel is on Redis, or in
 * memory if the port is 0. It publishes until the `end` command, and handles SIGTERM as the README describes.
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

/** The commands of the parent process. */
export type DeployCommand =
  | { readonly kind: 'listen'; readonly port: number }
  | { readonly kind: 'publish' }
  /** Ends the channel; the closing event contains the number of events that each server has published. */
  | { readonly kind: 'end'; readonly others: Counts };

/** The messages to the parent process. */
export type DeployMessage =
  | { readonly kind: 'ready' | 'released' }
  | { readonly kind: 'listening'; readonly port: number }
  /** The log has acknowledged this number of events. */
  | { readonly kind: 'published'; readonly count: number }
  | { readonly kind: 'incident'; readonly text: string };

/** Each event is delivered 5,000 times, which takes a fraction of a second of CPU time in each process. */
const PUBLISH_EVERY_MS = 700;

/** Without a spread, all clients of a process reconnect at the same time. The backlog must hold them all. */
const BACKLOG = 4_096;

const [, , name = '', redisPort = '0', spreadMs = '0'] = process.argv;

function report(message: DeployMessage): void {
  process.send?.(message);
}

process.on('unhandledRejection', (error) =>
  report({ kind: 'incident', text: `unhandledRejection ${String(error)}` }),
);
process.on('uncaughtException', (error) =>
  report({ kind: 'incident', text: `uncaughtException ${error.stack}` }),
);
process.on('warning', (warning) => report({ kind: 'incident', text: `warning ${warning.stack}` }));

/** The log of the channel, and a function that closes its connections. */
async function openLog() {
  const bounds = { maxEvents: 10_000 };
  if (redisPort === '0') return { log: memoryLog(bounds), end: () => undefined };
  const [[, connect]] = CLIENTS as readonly [(typeof CLIENTS)[number]];
  const { client, end } = await connect(Number(redisPort));
  const logs = redisLogs(client);
  return { log: logs('deploy', bounds), end: () => logs.close().then(end) };
}

/** Publishes until `stop()`. */
class Publisher {
  readonly #channel: Channel<Counted>;
  readonly #stopping = new AbortController();
  readonly #publishing: Promise<void>;
  #count = 0;

  constructor(channel: Channel<Counted>) {
    this.#channel = channel;
    this.#publishing = this.#publish();
  }

  /** @returns the number of published events */
  async stop(): Promise<number> {
    this.#stopping.abort();
    await this.#publishing;
    return this.#count;
  }

  async #publish(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#channel.publish({ from: name, n: this.#count + 1 });
      report({ kind: 'published', count: ++this.#count });
      await sleep(PUBLISH_EVERY_MS, undefined, { signal }).catch(() => undefined);
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
    report({ kind: 'listening', port: (server.address() as AddressInfo).port });
  }

  async function finish(others: Counts): Promise<void> {
    const count = (await publisher?.stop()) ?? 0;
    await channel.end({ ...others, [name]: count });
  }

  process.on('message', (command: DeployCommand) => {
    if (command.kind === 'listen') void listen(command.port);
    else if (command.kind === 'end') void finish(command.others);
    else publisher = new Publisher(channel);
  });

  process.once('SIGTERM', async () => {
    server.close();
    report({ kind: 'released' });
    await sse.close({ spreadMs: Number(spreadMs) });
    server.closeAllConnections();
    await publisher?.stop();
    await channel.close();
    await end();
    process.disconnect?.();
  });
  report({ kind: 'ready' });
}

void main();
