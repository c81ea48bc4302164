import { once } from 'node:events';
import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { describe, wrongType } from './errors';
import { type DispatchedEvent, EventStreamParser } from './event-stream/parse';

export { eventLogContract, type LogCase, type MakeLog } from './channel/log-contract';
export type { DispatchedEvent } from './event-stream/parse';

/** What a stream is opened on: an Express app or any request listener, a server, or the URL of one. */
export type StreamTarget = RequestListener | Server | URL | string;

/** How a stream is opened. */
export interface StreamInit {
  /** @default 'GET' */
  readonly method?: string;
  /** `Accept: text/event-stream` is sent unless one is given. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is; say of what type in `headers`. */
  readonly body?: string;
  /** Sent as `Last-Event-ID`, as a browser does that comes back. */
  readonly lastEventId?: string;
  /**
   * Milliseconds after which a wait fails, with a message that shows what had arrived.
   * @default 5_000
   */
  readonly timeoutMs?: number;
}

/**
 * Opens an event stream in a test, over a real socket, and reads it as a browser would.
 *
 * An app that is given is served on a free port until the stream is closed; so is a server that does not listen yet.
 *
 * @param target an Express app, a server, or a URL
 * @param path the path on it, with a query if there is one
 * @returns resolves when the head has arrived, whatever its status
 * @throws (rejects) if nothing has arrived after `timeoutMs`
 * @example
 * const stream = await openStream(app, '/clock');
 * expect(await stream.next()).toEqual({ type: 'message', data: 'tick', lastEventId: '' });
 * await stream.close(); // the generator's `finally` runs
 */
export async function openStream(
  target: StreamTarget,
  path = '/',
  init: StreamInit = {},
): Promise<OpenedStream> {
  const host = await hostOf(target);
  const stream = new OpenedStream(new URL(path, host.url), init, host.release);
  try {
    await stream.reconnect();
    return stream;
  } catch (error) {
    await stream.close();
    throw error;
  }
}

/** Which events {@link eventStream} waits for. */
export interface EventStreamOptions {
  /** So many events. */
  readonly take?: number;
  /** All up to the first for which this holds, and that one. */
  readonly until?: (event: DispatchedEvent) => boolean;
}

/** What superagent, and so supertest, takes as a parser. */
export type ResponseParser = (
  res: NodeJS.ReadableStream & { destroy?(): unknown },
  callback: (error: Error | null, body: DispatchedEvent[]) => void,
) => void;

/**
 * A parser for supertest, which by itself waits for the end of a response: it ends the request as soon as it has the
 * events that it was asked for, and leaves them in `res.body`. Without options it reads to the end.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_OPTION` if both or neither of the right type are given
 * @example
 * const res = await request(app).get('/clock').buffer().parse(eventStream({ take: 3 }));
 * expect(res.body).toHaveLength(3);
 */
export function eventStream({ take, until }: EventStreamOptions = {}): ResponseParser {
  checkWanted(take, until);
  return (res, callback) => {
    const events: DispatchedEvent[] = [];
    let done = false;
    const finish = (error: Error | null) => {
      if (done) return;
      done = true;
      callback(error, events);
      res.destroy?.();
    };
    const decoder = new StringDecoder('utf8');
    const parser = new EventStreamParser({
      onEvent(event) {
        if (done) return;
        events.push(event);
        if (events.length === take || until?.(event)) finish(null);
      },
    });
    res.on('data', (bytes: Buffer | string) => {
      if (!done) parser.push(typeof bytes === 'string' ? bytes : decoder.write(bytes));
    });
    res.on('end', () => finish(null));
    res.on('error', finish);
  };
}

/** Each wait, and what it waits for. */
interface Wait<Value> {
  /** Named in the message of a wait that fails. */
  readonly what: string;
  /** @returns what was waited for, `undefined` as long as it has not come */
  readonly look: () => Value | undefined;
}

/**
 * One client's event stream, over one connection or several. Every wait fails after `timeoutMs`, or when the stream is over
 * before that for which it waits, with a message that shows what had arrived.
 */
export class OpenedStream implements AsyncIterable<DispatchedEvent> {
  /** Of the latest connection. */
  status = 0;
  /** Of the latest connection. */
  headers: IncomingHttpHeaders = {};
  /** All events so far, over all connections. */
  readonly events: DispatchedEvent[] = [];
  /** The texts of all comments so far, such as `'keep-alive'`. */
  readonly comments: string[] = [];
  readonly #url: URL;
  readonly #init: StreamInit;
  readonly #release: () => Promise<void>;
  readonly #chunks: Buffer[] = [];
  /** How many events have been handed out. */
  #taken = 0;
  #request: http.ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #parser: EventStreamParser;
  #state: 'CONNECTING' | 'OPEN' | 'ENDED' | 'CUT' | 'CLOSED' = 'CONNECTING';
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;
  readonly #wakes = new Set<() => void>();

  /** Use {@link openStream}. */
  constructor(url: URL, init: StreamInit, release: () => Promise<void>) {
    this.#url = url;
    this.#init = init;
    this.#release = release;
    this.#parser = new EventStreamParser(this.#listener, init.lastEventId);
  }

  /** The bytes of the body so far, over all connections. */
  get raw(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** {@link OpenedStream.raw} as text. */
  get text(): string {
    return this.raw.toString();
  }

  /** What a browser would send as `Last-Event-ID`. */
  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** The reconnection time that the server has set, in milliseconds. */
  get retryMs(): number | undefined {
    return this.#parser.retryMs;
  }

  /** The next event. */
  async next(): Promise<DispatchedEvent> {
    const [event] = await this.take(1);
    return event as DispatchedEvent;
  }

  /** The next `count` events. */
  async take(count: number): Promise<DispatchedEvent[]> {
    const end = this.#taken + count;
    await this.#wait({
      what: `${count} more event${count === 1 ? '' : 's'}`,
      look: () => (this.events.length >= end ? true : undefined),
    });
    return this.#handOut(end);
  }

  /** The next events up to the first for which `predicate` holds, and that one. */
  async until(predicate: (event: DispatchedEvent) => boolean): Promise<DispatchedEvent[]> {
    let at = this.#taken;
    const end = await this.#wait({
      what: 'an event as asked for',
      look: () => {
        while (at < this.events.length) if (predicate(this.events[at++] as DispatchedEvent)) return at;
        return undefined;
      },
    });
    return this.#handOut(end);
  }

  /** Resolves with {@link OpenedStream.text} once that contains `text`, such as a comment. */
  async untilText(text: string): Promise<string> {
    await this.#wait({
      what: JSON.stringify(text),
      look: () => (this.text.includes(text) ? true : undefined),
    });
    return this.text;
  }

  /**
   * Resolves with the events that have not been taken once the server has ended the response.
   *
   * @throws (rejects) if the connection was cut off instead
   */
  async ended(): Promise<DispatchedEvent[]> {
    await this.#wait({ what: 'the end', look: () => (this.#state === 'ENDED' ? true : undefined) });
    return this.#handOut(this.events.length);
  }

  /** Resolves when the connection is over, whoever has ended it and how. */
  async closed(): Promise<void> {
    await this.#wait({
      what: 'the connection to close',
      look: () => (this.#state === 'OPEN' ? undefined : true),
    });
  }

  /** Stops reading; what the server sends then fills the buffers between, and at last its own. */
  stall(): void {
    this.#response?.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#response?.resume();
  }

  /** Leaves, as a browser does that loses its connection, without waiting for anything. */
  drop(): void {
    const request = this.#request;
    this.#request = undefined;
    if (this.#state === 'OPEN') this.#state = 'CUT';
    request?.destroy();
    this.#wake();
  }

  /**
   * Leaves if it has not, and comes back with its last event ID.
   *
   * @returns itself, when the head has arrived
   */
  async reconnect(): Promise<this> {
    this.drop();
    this.#state = 'CONNECTING';
    this.#failure = undefined;
    const { lastEventId } = this;
    this.#parser = new EventStreamParser(this.#listener, lastEventId);
    this.#connect(lastEventId);
    await this.#wait({ what: 'a response', look: () => (this.#state === 'CONNECTING' ? undefined : true) });
    return this;
  }

  /** Leaves, and ends the server that was started for it. @returns a promise, always the same, that resolves when both are gone */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The events that have not been taken yet, and those to come, up to the end of the response; leaving the loop closes it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DispatchedEvent, void, undefined> {
    try {
      for (;;) {
        const isMore = await this.#wait({
          what: 'an event or the end',
          look: () => (this.events.length > this.#taken ? true : this.#state === 'ENDED' ? false : undefined),
        });
        if (!isMore) return;
        yield this.#handOut(this.#taken + 1)[0] as DispatchedEvent;
      }
    } finally {
      await this.close();
    }
  }

  get #listener() {
    return {
      onEvent: (event: DispatchedEvent) => void this.events.push(event),
      onComment: (text: string) => void this.comments.push(text),
    };
  }

  #connect(lastEventId: string): void {
    const { method, body, headers } = this.#init;
    const own: Record<string, string> = { Accept: 'text/event-stream' };
    // Browsers send it as UTF-8 (spec 9.2.3), and Node writes a header's characters as bytes.
    if (lastEventId !== '') own['Last-Event-ID'] = Buffer.from(lastEventId).toString('latin1');
    const { request: send } = this.#url.protocol === 'https:' ? https : http;
    const request = send(this.#url, { method, headers: { ...own, ...headers }, agent: false });
    this.#request = request;
    request.on('response', (response) => {
      if (this.#request === request) this.#open(response);
    });
    request.on('error', (error) => {
      if (this.#request === request) this.#cut(error);
    });
    request.end(body);
  }

  #open(response: IncomingMessage): void {
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.#state = 'OPEN';
    const decoder = new StringDecoder('utf8');
    response.on('data', (bytes: Buffer) => {
      if (this.#response !== response || this.#state !== 'OPEN') return;
      this.#chunks.push(bytes);
      this.#parser.push(decoder.write(bytes));
      this.#wake();
    });
    response.on('end', () => this.#end(response));
    response.on('error', (error) => {
      if (this.#response === response && this.#state === 'OPEN') this.#cut(error);
    });
    this.#wake();
  }

  #end(response: IncomingMessage): void {
    if (this.#response !== response || this.#state !== 'OPEN') return;
    this.#state = 'ENDED';
    this.#wake();
  }

  #cut(error: Error): void {
    this.#state = 'CUT';
    this.#failure = error;
    this.#wake();
  }

  async #close(): Promise<void> {
    const request = this.#request;
    this.drop();
    this.#state = 'CLOSED';
    this.#wake();
    if (request !== undefined && !request.closed) await once(request, 'close').catch(() => undefined);
    await this.#release();
  }

  #handOut(end: number): DispatchedEvent[] {
    const events = this.events.slice(this.#taken, end);
    this.#taken = Math.max(this.#taken, end);
    return events;
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
  }

  async #wait<Value>({ what, look }: Wait<Value>): Promise<Value> {
    const { timeoutMs = 5_000 } = this.#init;
    const timeOutAt = performance.now() + timeoutMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#state !== 'CONNECTING' && this.#state !== 'OPEN')
        throw this.#disappointed(what, this.#howOver());
      const leftMs = timeOutAt - performance.now();
      if (leftMs <= 0) throw this.#disappointed(what, `nothing more came within ${timeoutMs} ms`);
      await this.#change(leftMs);
    }
  }

  /** Resolves when anything has happened, or after so long. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#wakes.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#wakes.add(wake);
    });
  }

  #howOver(): string {
    if (this.#state === 'ENDED') return 'the server has ended the response';
    if (this.#state === 'CUT')
      return `the connection was cut off (${this.#failure?.message ?? 'by this client'})`;
    return 'the stream was closed here';
  }

  #disappointed(what: string, why: string): Error {
    const { status, text } = this;
    const got = status === 0 ? 'no response' : `status ${status} and ${this.events.length} events`;
    const shown = text.length > 2_000 ? `… ${text.slice(-2_000)}` : text;
    return new Error(
      `Expected ${what} from ${this.#url.pathname}, but ${why}. Got ${got}${text === '' ? '.' : `:\n${shown}`}`,
      { cause: this.#failure },
    );
  }
}

interface Host {
  readonly url: string;
  release(): Promise<void>;
}

async function hostOf(target: StreamTarget): Promise<Host> {
  if (typeof target === 'string' || target instanceof URL)
    return { url: String(target), release: async () => undefined };
  if (typeof target === 'function') return serve(http.createServer(target));
  if (typeof target?.address !== 'function') throw notTarget(target);
  const address = target.address();
  if (address === null) return serve(target);
  return { url: urlOf(target), release: async () => undefined };
}

async function serve(server: Server): Promise<Host> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: urlOf(server),
    release: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      await closed;
    },
  };
}

function urlOf(server: Server): string {
  const { port } = server.address() as AddressInfo;
  return `${server instanceof https.Server ? 'https' : 'http'}://127.0.0.1:${port}`;
}

function notTarget(target: unknown): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected a target to open a stream on, got ${describe(target)}. Pass an Express app, a server, or a URL.`,
  );
}

function checkWanted(take: unknown, until: unknown): void {
  const isTake = take === undefined || (Number.isInteger(take) && Number(take) > 0);
  const isUntil = until === undefined || typeof until === 'function';
  if (isTake && isUntil && (take === undefined || until === undefined)) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected eventStream() to get { take: 3 } or { until: (event) => boolean }, got take ${describe(take)} and until ${describe(until)}.`,
  );
}
