import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import { createSse, type Sse, type SseOptions } from '../../lib';
import { type OpenedStream, openStream, type StreamInit } from '../../lib/testing';
import { LibTimers } from './timers';

const LISTENER_NAMES = ['res close', 'res drain', 'res finish', 'socket drain', 'socket close'];

/** The listener counts of one response and its socket: now and at the start of the request. */
interface Listeners {
  readonly url: string;
  readonly now: () => number[];
  readonly before: number[];
}

/** A real Express server on a real socket, with its own `sse`. */
export class TestServer {
  readonly sse: Sse;
  readonly app = express();
  /** The errors that the app's error handler received. */
  readonly errors: unknown[] = [];
  /** For each of these errors: whether the response had already closed. */
  readonly closedBefore: boolean[] = [];
  /** The responses of all requests so far. */
  readonly responses: Response[] = [];
  /** The listener counts of each response and its socket. */
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

  /** Sends a request whose response may never start. */
  send(path: string): http.ClientRequest {
    return http
      .get(this.url(path), { agent: false })
      .on('error', () => undefined)
      .on('response', (response) => response.resume());
  }

  /** Resolves with the errors when the error handler has been called this many times. */
  async errorsHandled(count: number): Promise<unknown[]> {
    while (this.errors.length < count) await once(this.server, 'error-handled');
    return this.errors;
  }

  /** Whether the socket of the first client holds as much as a stream may leave there. */
  get isFull(): boolean {
    return (this.responses[0]?.socket?.writableLength ?? 0) >= 16_384;
  }

  /** Resolves when the socket of the first client is full. */
  async full(): Promise<void> {
    while (!this.isFull) await sleep(1);
  }

  /** Closes everything and asserts that no stream, listener, timer or socket remains. */
  async release(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.close()));
    this.server.close();
    while (this.sse.size > 0) await setImmediate();
    if (this.server.listening) await once(this.server, 'close');
    await this.#connectionsClosed();
    // A connection is not counted any more before its handle closes. The response emits 'close' in the closing phase.
    await setImmediate();
    await setImmediate();
    expect(this.#listeners.flatMap((each) => this.#leakedBy(each))).toEqual([]);
    await setImmediate();
    expect(this.#timers.stop()).toEqual([]);
  }

  /** Reports only additional listeners, because Node removes its own from a closed socket. */
  #leakedBy({ url, now, before }: Listeners): string[] {
    return now().flatMap((count, index) => {
      const max = (before[index] ?? 0) + this.#foreignListeners;
      return count > max ? [`${url}: ${count} for ${LISTENER_NAMES[index]}, at most ${max} expected`] : [];
    });
  }

  async #connectionsClosed(): Promise<void> {
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
  /** The defaults of the instance; the other options are those of the middleware. */
  readonly defaults?: SseOptions;
  /** Middleware that runs first. Its own listeners are not checked. */
  readonly outermost?: RequestHandler[];
  /** The number of listeners that this middleware may leave on a response. */
  readonly foreignListeners?: number;
}

const running: TestServer[] = [];

/** Starts an app with `app.use(sse())` before the routes of `build`; {@link releaseAll} ends it. */
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

/** For `afterEach`: ends every server and asserts that nothing of it remains. */
export async function releaseAll(): Promise<void> {
  for (const server of running.splice(0)) await server.release();
}
