import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate, setTimeout } from 'node:timers/promises';
import express, { type ErrorRequestHandler } from 'express';
import express4 from 'express4';
import { Channel, createSse, event, memoryLog } from '../../lib';

const PAGE = readFileSync(join(__dirname, '../../docs/error-codes.md'), 'utf8');

/** One section of docs/error-codes.md. */
export interface Section {
  readonly code: string;
  /** The code with the mistake; `undefined` if there is none that runs. */
  readonly mistake: string | undefined;
  /** The same code after the cure. */
  readonly cure: string | undefined;
}

/** Every section of the page. Blocks of JavaScript run; those in another language need something that a test has not. */
export const SECTIONS: readonly Section[] = PAGE.split(/^### /m)
  .slice(1)
  .map((text) => {
    const [mistake, cure] = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
    return { code: text.slice(0, text.indexOf('\n')), mistake, cure };
  });

/** What the documented code may use besides what it declares. */
const GLOBALS = {
  clock,
  Channel,
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

/** Runs a piece of documented code in a real server, and collects the codes of its errors and warnings. */
export class DocumentedApp {
  readonly #codes: string[] = [];
  readonly #changes = new EventEmitter();
  readonly #app = express().set('env', 'test');
  readonly #sse = createSse({ cleanupWarnMs: 50 });
  readonly #emitWarning = jest.spyOn(process, 'emitWarning');
  #listener: RequestListener = this.#app;
  #server: Server | undefined;

  /** The codes so far: of errors that the code has thrown or that an error handler has received, and of warnings. */
  get codes(): readonly string[] {
    return this.#codes;
  }

  /** Resolves when an error or warning with the code has appeared. @throws if it has not within two seconds */
  async has(code: string): Promise<void> {
    const signal = AbortSignal.timeout(2_000);
    while (!this.#codes.includes(code)) await once(this.#changes, 'code', { signal });
  }

  async run(code: string): Promise<void> {
    this.#emitWarning.mockImplementation((_message, options) => this.#note(options));
    const console = { log: () => undefined };
    const names = { ...GLOBALS, app: this.#app, sse: this.#sse, createServer: this.#createServer, console };
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
    try {
      await new AsyncFunction(...Object.keys(names), code)(...Object.values(names));
    } catch (error) {
      this.#note(error);
    }
    this.#app.use(this.#onError);
    this.#server = createServer(this.#listener).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Requests the first path of the code, as an EventSource does. @returns the response, as soon as its head has arrived */
  fetch(code: string, { headers, signal }: RequestInit): Promise<Response> {
    const path = /app\.\w+\('([^']+)'/.exec(code)?.[1] ?? '/';
    const { port } = (this.#server as Server).address() as AddressInfo;
    const accept = { Accept: 'text/event-stream' };
    return fetch(`http://127.0.0.1:${port}${path}`, { headers: { ...accept, ...headers }, signal });
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    await this.#sse.close({ spreadMs: 0, graceMs: 0 });
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

  #note(source: unknown): void {
    const { code } = source as { code?: unknown };
    if (!String(code).includes('SSE_')) return;
    this.#codes.push(String(code));
    this.#changes.emit('code');
  }
}
