import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate, setTimeout } from 'node:timers/promises';
import express, { type ErrorRequestHandler, type Express } from 'express';
import express4 from 'express4';
import { createClient } from 'redis';
import { Channel, createRuns, createSse, event, memoryLog } from '../../lib';
import { type RedisLogs, redisLogs } from '../../lib/redis';

const PAGE = readFileSync(join(__dirname, '../../docs/error-codes.md'), 'utf8');

/** One section of docs/error-codes.md. */
export interface Section {
  readonly code: string;
  /** The prose above the code. */
  readonly cause: string;
  /** The code with the mistake. */
  readonly mistake: string;
  /** The same code after the cure. */
  readonly cure: string;
  /** Whether the cure runs in a test. One in TypeScript needs something that a test has not. */
  readonly isCureRun: boolean;
}

/** Every section of the page. */
export const SECTIONS: readonly Section[] = PAGE.split(/^##+ /m)
  .slice(1)
  .filter((text) => /^(ERR_)?SSE_\w+\n/.test(text))
  .map((text) => {
    const [code = '', cause = ''] = text.split(/\n+/, 2);
    const [mistake, cure] = [...text.matchAll(/^```(js|ts)\n(.*?)^```$/gms)];
    return { code, cause, mistake: mistake?.[2] ?? '', cure: cure?.[2] ?? '', isCureRun: cure?.[1] === 'js' };
  });

/** What the documented code may use besides what it declares. */
const GLOBALS = {
  clock,
  Channel,
  createClient,
  createRuns,
  createSse,
  event,
  express4,
  memoryLog,
  once,
  readFile,
  Readable,
  setTimeout,
  work,
};

async function* clock() {
  yield 'done';
}

async function* work() {
  await setTimeout(200);
  yield 'done';
}

/** Runs a piece of documented code in a real server, and collects its errors and warnings. */
export class DocumentedApp {
  readonly #reports: Array<{ code: string; message: string }> = [];
  readonly #changes = new EventEmitter();
  #app: Express = express().set('env', 'test');
  readonly #sse = createSse({ cleanupWarnMs: 50 });
  readonly #emitWarning = jest.spyOn(process, 'emitWarning');
  #listener: RequestListener = this.#app;
  #server: Server | undefined;
  #logs: RedisLogs | undefined;
  #headers: RequestInit['headers'] = { Accept: 'text/event-stream' };

  /** The codes so far: of errors that the code has thrown or logged, or that an error handler has received, and of warnings. */
  get codes(): readonly string[] {
    return this.#reports.map(({ code }) => code);
  }

  /** Resolves with the message of the first error or warning with the code. @throws if there is none within two seconds */
  async reported(code: string): Promise<string> {
    const signal = AbortSignal.timeout(2_000);
    while (!this.codes.includes(code)) await once(this.#changes, 'report', { signal });
    return this.#reports.find((report) => report.code === code)?.message ?? '';
  }

  async run(code: string): Promise<void> {
    this.#emitWarning.mockImplementation((message, options) => this.#note({ ...Object(options), message }));
    const names = {
      ...GLOBALS,
      app: this.#app,
      sse: this.#sse,
      createServer: this.#createServer,
      express: this.#createApp,
      fetch: this.#setHeaders,
      redisLogs: this.#createLogs,
      console: { log: () => undefined, error: (...values: unknown[]) => values.forEach(this.#note) },
      process: new EventEmitter(),
    };
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
    try {
      // A block, in which the code may declare a name of these itself.
      await new AsyncFunction(...Object.keys(names), `{ ${code} }`)(...Object.values(names));
    } catch (error) {
      this.#note(error);
    }
    this.#app.use(this.#onError);
    this.#server = createServer(this.#listener).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Requests the first path of the code, as an EventSource or the `fetch()` of the code does. @returns the response, as soon as its head has arrived */
  fetch(code: string, { headers, signal }: RequestInit): Promise<Response> {
    const path = /app\.\w+\('([^']+)'/.exec(code)?.[1] ?? '/';
    const { port } = (this.#server as Server).address() as AddressInfo;
    return fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { ...this.#headers, ...headers } as Headers,
      signal,
    });
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    await this.#sse.close({ spreadMs: 0, graceMs: 0 });
    await this.#logs?.close();
    if (this.#server?.listening) await once(this.#server, 'close');
    await setImmediate();
    this.#emitWarning.mockRestore();
  }

  readonly #createServer = (listener: RequestListener): void => {
    this.#listener = listener;
  };

  readonly #onError: ErrorRequestHandler = (error, _req, res, next) => {
    this.#note(error);
    if (res.headersSent) return next(error);
    res.status(error.status ?? 500).end();
  };

  /** An app of Express 4. */
  readonly #createApp = (): Express => {
    this.#app = express4();
    this.#listener = this.#app;
    return this.#app;
  };

  readonly #createLogs = (...client: Parameters<typeof redisLogs>): RedisLogs => {
    this.#logs = redisLogs(...client);
    return this.#logs;
  };

  readonly #setHeaders = (_path: string, { headers }: RequestInit): void => {
    this.#headers = headers;
  };

  readonly #note = (source: unknown): void => {
    const { code, message } = Object(source) as { code?: unknown; message?: unknown };
    if (!String(code).includes('SSE_')) return;
    this.#reports.push({ code: String(code), message: String(message) });
    this.#changes.emit('report');
  };
}
