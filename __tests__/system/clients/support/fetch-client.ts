import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import express, { type Express, type Request, type Response } from 'express';
import type { SseOptions } from '../../../../lib';
import type { OpenedStream } from '../../../../lib/testing';
import { Matrix } from '../../../support/field-matrix';
import { aborted, Gate } from '../../../support/gate';
import { releaseAll, type ServeOptions, serve, type TestServer } from '../../../support/serve';

/** The text of every answer, in the two halves in which the server sends it. */
export const HALVES = ['Héllo, ', 'wörld ✓ 東京 🚀'] as const;
export const TEXT = HALVES.join('');

/** An answer in the protocol of a client. */
export interface Answer {
  /** The values that carry the first half of the text. */
  readonly first: Iterable<unknown>;
  /** The values that carry the second half. */
  readonly rest: Iterable<unknown>;
  /** What the generator returns, such as `'[DONE]'`. */
  readonly last?: unknown;
}

/** How a test reads an answer. */
export interface Reading {
  readonly signal: AbortSignal;
  /** How often the client may send its request again. */
  readonly maxRetries: number;
  /** Called with the text so far, each time the client has given some of it to the application. */
  readonly onText: (text: string) => void;
}

/** A client that reads one response and has no automatic reconnection: an SDK, or a library for `fetch`. */
export interface FetchClient {
  readonly name: string;
  readonly method: 'get' | 'post';
  readonly path: string;
  /** What the route needs for this client beside the defaults. */
  readonly options?: SseOptions;
  answer(req: Request): Answer;
  /** Other routes that the client requests first. */
  addRoutes?(app: Express, base: () => string): void;
  /**
   * Sends one request.
   *
   * @returns the text, if the client reports a complete answer
   * @throws (rejects with) the error that the client reports
   */
  read(base: string, reading: Reading): Promise<string>;
  /** The status of the response in an error of this client. Omitted if its errors have none. */
  statusOf?(error: unknown): number | undefined;
  /** Whether the client sends its request again after a 429. */
  readonly retries: boolean;
}

/** What a route does between the two halves; it ends the answer by throwing. */
type Middle = (context: { readonly req: Request; readonly res: Response }) => Promise<void>;

interface Steps {
  /** Runs before the first value. */
  readonly before?: Middle;
  readonly middle?: Middle;
  /** Whether the last event is yielded, so that the generator returns nothing. */
  readonly yieldsLast?: boolean;
}

/** A route whose generator answers in the protocol of a client, and counts its runs. */
class Conversation {
  started = 0;
  finished = 0;
  /** The generators that have yielded all of their values. */
  completed = 0;
  /** Opened when the client has given the first half to the application. */
  readonly received = new Gate();
  /** Opened by the `finally` block of the generator. */
  readonly cleanedUp = new Gate();
  signal: AbortSignal | undefined;
  accept: string | undefined;
  text = '';
  readonly leaving = new AbortController();
  readonly server: TestServer;
  readonly #client: FetchClient;
  #occupied: OpenedStream | undefined;

  static async start(client: FetchClient, steps: Steps = {}, options?: ServeOptions): Promise<Conversation> {
    let conversation: Conversation | undefined;
    let base = '';
    const server = await serve(
      (app) => {
        client.addRoutes?.(app, () => base);
        app[client.method](client.path, express.json(), (req, res) => conversation?.answer(req, res, steps));
        app.get('/occupied', async function* (_req, res) {
          yield 'occupied';
          await aborted(res.sse.signal);
        });
      },
      { ...client.options, ...options },
    );
    base = server.url('');
    conversation = new Conversation(client, server);
    running.push(conversation);
    return conversation;
  }

  private constructor(client: FetchClient, server: TestServer) {
    this.#client = client;
    this.server = server;
  }

  async *answer(req: Request, res: Response, steps: Steps): AsyncGenerator<unknown, unknown> {
    const { before, middle, yieldsLast = false } = steps;
    this.started++;
    this.signal = res.sse.signal;
    this.accept = req.headers.accept;
    try {
      await before?.({ req, res });
      const { first, rest, last } = this.#client.answer(req);
      yield* first;
      await middle?.({ req, res });
      yield* rest;
      if (yieldsLast && last !== undefined) yield last;
      this.completed++;
      return yieldsLast ? undefined : last;
    } finally {
      this.finished++;
      this.cleanedUp.open();
    }
  }

  /** Has the client send its request. @returns what the client reports */
  read(maxRetries = 0): Promise<string> {
    const onText = (text: string) => {
      this.text = text;
      if (text.startsWith(HALVES[0])) this.received.open();
    };
    const reading = this.#client.read(this.server.url(''), {
      signal: this.leaving.signal,
      maxRetries,
      onText,
    });
    reading.then(
      (text) => this.received.fail(new Error(`Expected half an answer before its end, got '${text}'.`)),
      (error: unknown) => this.received.fail(error),
    );
    return reading;
  }

  /** Opens a stream that takes a slot of `maxStreams`. */
  async occupy(): Promise<void> {
    this.#occupied = await this.server.openStream('/occupied');
    await this.#occupied.next();
  }

  /** Resolves when all of its streams have closed. */
  async released(): Promise<void> {
    await this.#occupied?.close();
    while (this.server.sse.size > 0 || this.finished < this.started) await setImmediate();
    // After an abort, Node's fetch opens a connection in advance, and keeps it for seconds.
    this.server.server.closeAllConnections();
  }

  get abortCode(): unknown {
    return (this.signal?.reason as { code?: unknown } | undefined)?.code;
  }
}

const running: Conversation[] = [];

/** Asserts that every generator of the test has finished, that no stream is open, and that nothing of it remains. */
async function releaseConversations(): Promise<void> {
  const conversations = running.splice(0);
  for (const conversation of conversations) await conversation.released();
  await releaseAll();
  for (const { started, finished, server } of conversations) {
    expect([finished, server.sse.size]).toEqual([started, 0]);
  }
}

/** Ends a route's wait with the reason of its signal, as an awaited call with the signal does. */
const untilAborted: Middle = async ({ res }) => {
  await aborted(res.sse.signal);
  res.sse.signal.throwIfAborted();
};

function failure(status: number, message: string): Error {
  return Object.assign(new Error(message), { status });
}

/** What a client reports: its answer, or that it failed. */
async function outcomeOf(reading: Promise<string>): Promise<string> {
  return reading.then(
    (text) => `success: ${text}`,
    () => 'error',
  );
}

async function errorOf(reading: Promise<string>): Promise<unknown> {
  return reading.then(
    (text) => Promise.reject(new Error(`Expected an error, got the answer '${text}'.`)),
    (error: unknown) => error,
  );
}

/** The behaviour that every client must have with the default options. */
export function describeFetchClient(client: FetchClient, matrix: Matrix): void {
  const note = (column: string, seen: string) => matrix.note(client.name, column, seen);
  const start = (steps?: Steps, options?: ServeOptions) => Conversation.start(client, steps, options);
  const expectStatus = (status: number, error: unknown, { server }: Conversation) => {
    expect(server.responses.at(-1)?.statusCode).toBe(status);
    if (client.statusOf !== undefined) expect(client.statusOf(error)).toBe(status);
  };

  describe(client.name, () => {
    afterEach(releaseConversations);

    it('receives a whole answer, each part before the next is yielded', async () => {
      const proceed = new Gate();
      const conversation = await start({ middle: () => proceed.promise });

      const reading = conversation.read();
      await conversation.received.promise;
      expect(conversation.text).toBe(HALVES[0]);
      proceed.open();

      expect(await reading).toBe(TEXT);
      await conversation.cleanedUp.promise;
      expect(conversation.signal?.aborted).toBe(false);
      note('Accept', conversation.accept === undefined ? 'none' : `\`${conversation.accept}\``);
      note('whole answer', 'yes');
    });

    it('receives nothing after the last event of a generator that returns nothing', async () => {
      const conversation = await start({ yieldsLast: true });

      expect(await conversation.read()).toBe(TEXT);
    });

    it('ignores keep-alives before the first value and in the middle', async () => {
      const conversation = await start(
        { before: () => sleep(60), middle: () => sleep(60) },
        { keepAliveMs: 16 },
      );

      expect(await conversation.read()).toBe(TEXT);
      note('keep-alives', 'ignored');
    });

    it('aborts the signal and runs finally when it aborts its request', async () => {
      const conversation = await start({ middle: untilAborted });
      const reading = conversation.read();
      await conversation.received.promise;

      const from = performance.now();
      conversation.leaving.abort();
      await conversation.cleanedUp.promise;

      note('abort → `finally`', `${(performance.now() - from).toFixed(1)} ms`);
      expect(conversation.abortCode).toBe('ERR_SSE_CLIENT_LEFT');
      expect(await outcomeOf(reading)).not.toBe(`success: ${TEXT}`);
    });

    it('aborts the signal and runs finally when it aborts its request before the first value', async () => {
      const started = new Gate();
      const conversation = await start({
        before: async (context) => {
          started.open();
          await untilAborted(context);
        },
      });
      const reading = conversation.read();
      await started.promise;

      conversation.leaving.abort();
      await conversation.cleanedUp.promise;

      expect(conversation.abortCode).toBe('ERR_SSE_CLIENT_LEFT');
      expect(await outcomeOf(reading)).not.toBe(`success: ${TEXT}`);
    });

    it('receives the status of an error that is thrown 150 ms after the request', async () => {
      const conversation = await start({
        before: async () => {
          await sleep(150);
          throw failure(401, 'Unauthorized');
        },
      });

      const error = await errorOf(conversation.read());

      expectStatus(401, error, conversation);
      note('401 after 150 ms', 'error');
    });

    if (client.retries) {
      it('sends its request again after a 429 that is thrown after 150 ms', async () => {
        let isFirst = true;
        const conversation = await start({
          before: async ({ res }) => {
            if (!isFirst) return;
            isFirst = false;
            await sleep(150);
            // Headers that the SDKs read, so that they retry immediately.
            res.set({ 'Retry-After-Ms': '1', 'Retry-After': '0' });
            throw failure(429, 'Too many requests');
          },
        });

        expect(await conversation.read(1)).toBe(TEXT);
        expect(conversation.started).toBe(2);
        note('429', 'retried');
      });
    }

    it('reports an error, not half an answer, when the generator throws in the middle', async () => {
      const conversation = await start({
        middle: async () => {
          await conversation.received.promise;
          throw failure(500, 'The model broke off.');
        },
      });

      expect(await outcomeOf(conversation.read())).toBe('error');
      expect(conversation.text).toBe(HALVES[0]);
      await conversation.server.errorsHandled(1);
      note('error in the middle', 'error');
    });

    it('reports an error when the generator throws directly after the first half', async () => {
      const conversation = await start({
        middle: async () => {
          throw failure(500, 'The model broke off.');
        },
      });

      expect(await outcomeOf(conversation.read())).toBe('error');
      await conversation.server.errorsHandled(1);
    });

    it('reports an error, not half an answer, when sse.close() ends the stream', async () => {
      const conversation = await start({ middle: untilAborted });
      const reading = conversation.read();
      await conversation.received.promise;

      await conversation.server.sse.close({ drainMs: 0, spreadMs: 0, graceMs: 0 });

      expect(await outcomeOf(reading)).toBe('error');
      expect(conversation.abortCode).toBe('ERR_SSE_CLOSING');
      note('`sse.close()` in the middle', 'error');
    });

    it('reports an error, not half an answer, when maxDurationMs ends the stream', async () => {
      const conversation = await start({ middle: untilAborted }, { maxDurationMs: 200 });

      expect(await outcomeOf(conversation.read())).toBe('error');
      expect(conversation.abortCode).toBe('ERR_SSE_EXPIRED');
      note('`maxDurationMs`', 'error');
    });

    it('receives the whole answer when sse.close() is called 300 ms before its end', async () => {
      const conversation = await start({
        middle: ({ res }) => sleep(300, undefined, { signal: res.sse.signal }),
      });
      const reading = conversation.read();
      await conversation.received.promise;

      const closing = conversation.server.sse.close();

      expect(await reading).toBe(TEXT);
      await closing;
      expect([conversation.completed, conversation.signal?.aborted]).toEqual([1, false]);
      note('deploy in the middle', 'whole answer');
    });

    it('receives a 503 when maxStreams streams are open', async () => {
      const conversation = await start({}, { maxStreams: 1 });
      await conversation.occupy();

      const error = await errorOf(conversation.read());

      expectStatus(503, error, conversation);
      expect(conversation.server.responses.at(-1)?.getHeader('Retry-After')).toMatch(/^\d+$/);
      expect(conversation.started).toBe(0);
      note('full', 'error');
    });

    it('receives a 503 from a closing server', async () => {
      const conversation = await start();
      await conversation.server.sse.close();

      const error = await errorOf(conversation.read());

      expectStatus(503, error, conversation);
      expect(conversation.started).toBe(0);
      note('closing', 'error');
    });
  });
}

/** Starts a matrix that is printed after the tests of the file. */
export function clientMatrix(): Matrix {
  const matrix = new Matrix('fetch client');
  afterAll(() => matrix.print());
  return matrix;
}
