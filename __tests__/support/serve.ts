import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import { createSse, type Sse, type SseOptions } from '../../lib';
import { type OpenedStream, openStream, type StreamInit } from '../../lib/testing';
import { LibTimers } from './timers';

const LISTENED = ['res close', 'res drain', 'res finish', 'socket drain', 'socket close'];

/** How many listeners one response and its socket have, now and when it began. */
interface Listeners {
  readonly url: string;
  readonly now: () => number[];
  readonly before: number[];
}

/** A real Express server on a real socket, with an `sse` of its own. */
export class TestServer {
  readonly sse: Sse;
  readonly app = express();
  /** What reached the app's error handler. */
  readonly errors: unknown[] = [];
  /** Whether the response was over each time. */
  readonly closedBefore: boolean[] = [];
  /** The responses of all requests so far. */
  readonly responses: Response[] = [];
  /** Says how many listeners of somebody else's each response and its socket have. */
  readonly #listeners: Listeners[] = [];
  readonly server: http.Server;
  readonly #streams: OpenedStream[] = [];
  readonly #foreignListeners: number;
  readonly #timers = new LibTimers();
  #base = '';

  constructor(defaults?: SseOptions, outermost: RequestHandler[] = [], foreignListeners = 0) {
    this.#foreignListeners = foreignListeners;
    this.sse = createSse(defaults);
    this.app.set('env', 'test');
    this.app.use(...outermost, (req, res, next) => {
      this.responses.push(res);
      const { socket } = res;
      const now = () => [
        res.listenerCount('close'),
        res.listenerCount('drain'),
        res.listenerCount('finish'),
        socket?.listenerCount('drain') ?? 0,
        socket?.listenerCount('close') ?? 0,
      ];
      this.#listeners.push({ url: req.originalUrl, now, before: now() });
      next();
    });
    this.server = http.createServer(this.app);
  }

  async listen(build: (app: Express, sse: Sse) => void): Promise<void> {
    build(this.app, this.sse);
    this.app.use(this.#onError);
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.#base = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return this.#base + path;
  }

  async openStream(path: string, init?: StreamInit): Promise<OpenedStream> {
    const stream = await openStream(this.server, path, init);
    this.#streams.push(stream);
    return stream;
  }

  /** Sends a request whose response may never begin. */
  send(path: string): http.ClientRequest {
    return http
      .get(this.url(path), { agent: false })
      .on('error', () => undefined)
      .on('response', (response) => response.resume());
  }

  /** Resolves once the error handler has been called so many times. */
  async heard(count: number): Promise<unknown[]> {
    while (this.errors.length < count) await once(this.server, 'error-handled');
    return this.errors;
  }

  /** Resolves once the first client's socket holds all that it can. */
  async full(): Promise<void> {
    while (!this.responses[0]?.socket?.writableNeedDrain) await sleep(1);
  }

  /** Ends everything, and shows that no stream, listener, timer or socket is left. */
  async release(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.close()));
    this.server.close();
    while (this.sse.size > 0) await setImmediate();
    if (this.server.listening) await once(this.server, 'close');
    await this.#connectionsGone();
    // A connection no longer counts before its handle is closed; its response hears of that in the loop's closing phase.
    await setImmediate();
    await setImmediate();
    expect(this.#listeners.flatMap((each) => this.#leftOf(each))).toEqual([]);
    await setImmediate();
    expect(this.#timers.stop()).toEqual([]);
  }

  /** Node takes its own listeners off a socket that has closed. */
  #leftOf({ url, now, before }: Listeners): string[] {
    return now().flatMap((count, index) => {
      const most = (before[index] ?? 0) + this.#foreignListeners;
      return count > most ? [`${url}: ${count} for ${LISTENED[index]}, ${most} at the most`] : [];
    });
  }

  async #connectionsGone(): Promise<void> {
    const count = () =>
      new Promise<number>((resolve, reject) => {
        this.server.getConnections((error, connections) => (error ? reject(error) : resolve(connections)));
      });
    while ((await count()) > 0) {
      this.server.closeIdleConnections();
      await setImmediate();
    }
  }

  readonly #onError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
    this.errors.push(error);
    this.closedBefore.push(res.closed);
    this.server.emit('error-handled');
    if (res.headersSent) return next(error);
    const { status = 500, message } = error as { status?: number; message?: string };
    res.status(status).json({ error: message });
  };
}

export interface ServeOptions extends SseOptions {
  /** Those of the instance; the other options are those of the middleware. */
  readonly defaults?: SseOptions;
  /** Middleware in front of everything else, whose listeners are its own affair. */
  readonly outermost?: RequestHandler[];
  /** How many listeners that middleware may leave on a response. */
  readonly foreignListeners?: number;
}

const running: TestServer[] = [];

/** Starts an app with `app.use(sse())` in front of what `build` adds; {@link releaseAll} ends it. */
export async function serve(
  build: (app: Express, sse: Sse) => void,
  { defaults, outermost, foreignListeners, ...options }: ServeOptions = {},
): Promise<TestServer> {
  const server = new TestServer(defaults, outermost, foreignListeners);
  running.push(server);
  await server.listen((app, sse) => {
    app.use(sse(options));
    build(app, sse);
  });
  return server;
}

/** For `afterEach`: each server shows that nothing of it is left. */
export async function releaseAll(): Promise<void> {
  for (const server of running.splice(0)) await server.release();
}
