import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import express, { type Express } from 'express';
import fastify, { type FastifyInstance } from 'fastify';
import { Hono } from 'hono';
import type { App, Controls } from './contender';

/** The types that `req.accepts()` chooses from. */
export const STREAM_OR_JSON = ['text/event-stream', 'json'];

/** All servers that a test has started. */
const running: Server[] = [];

export async function onExpress(add: (app: Express) => unknown, controls?: Partial<Controls>): Promise<App> {
  const app = express();
  app.get('/ping', (_req, res) => void res.send('pong'));
  add(app);
  return listen(createServer(app), controls);
}

export async function onFastify(
  add: (app: FastifyInstance) => unknown,
  controls?: Partial<Controls>,
): Promise<App> {
  const app = fastify();
  app.get('/ping', async () => 'pong');
  await add(app);
  await app.ready();
  return listen(app.server, controls);
}

export async function onHono(add: (app: Hono) => unknown, controls?: Partial<Controls>): Promise<App> {
  const app = new Hono();
  app.get('/ping', (c) => c.text('pong'));
  add(app);
  return listen(createAdaptorServer(app) as Server, controls);
}

async function listen(server: Server, controls: Partial<Controls> = {}): Promise<App> {
  running.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, publish: missing, subscribers: missing, end: missing, ...controls };
}

function missing(): never {
  throw new Error('Expected the app to have this control, for its topic needs it.');
}

/** For `afterEach`: closes all servers, and cuts off connections that a package keeps open. */
export async function releaseApps(): Promise<void> {
  for (const server of running.splice(0)) {
    server.closeAllConnections();
    if (!server.listening) continue;
    server.close();
    await once(server, 'close');
  }
}

/** Takes the first value of a source, which throws its early errors. @returns all of its values */
export async function started(source: AsyncGenerator<string>): Promise<AsyncGenerator<string>> {
  const first = await source.next();
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* source;
  })();
}

/** A signal for a package that reports a disconnect only by a callback. */
export function signalOf(onLeft: (listener: () => void) => unknown): AbortSignal {
  const controller = new AbortController();
  onLeft(() => controller.abort());
  return controller.signal;
}

/** Resolves when Node's response can be written to again, or the client has disconnected. */
export async function drained(res: ServerResponse): Promise<void> {
  if (!res.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const onWritable = () => {
      res.off('drain', onWritable).off('close', onWritable);
      resolve();
    };
    res.on('drain', onWritable).on('close', onWritable);
  });
}

export interface Entry {
  readonly data: string;
  readonly id: string;
}

/** What a replay by hand needs: all entries, and those after an id. */
export class History {
  readonly #entries: Entry[] = [];

  add(data: string, id: number): Entry {
    const entry = { data, id: `${id}` };
    this.#entries.push(entry);
    return entry;
  }

  after(id: string | null | undefined): readonly Entry[] {
    const index = this.#entries.findIndex((entry) => entry.id === id);
    return index === -1 ? [] : this.#entries.slice(index + 1);
  }
}
