import { type EventEmitter, once } from 'node:events';
import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type Server,
} from 'node:http';
import https, { type RequestOptions } from 'node:https';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import timers from 'node:timers';
import tls, { type ConnectionOptions } from 'node:tls';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { describe, outOfRange, wrongType } from './errors';
import { type DispatchedEvent, EventStreamParser } from './event-stream/parse';

export { eventLogContract, type LogCase, type MakeLog } from './channel/log-contract';
export type { DispatchedEvent } from './event-stream/parse';
export type { OpenedStream };

// Taken now, and not from the globals: a test may put fake timers in their place, whose clock is not that of these waits.
const { setTimeout, clearTimeout, setImmediate } = timers;

/** Below the 5,000 ms after which Jest and Vitest give a test up, without a word of what had arrived. */
const TIMEOUT_MS = 3_000;

/** What a stream is opened on: an Express app or any request listener, a server, or the URL of one. */
export type StreamTarget = RequestListener | Server | URL | string;

/** How a stream is opened. */
export interface StreamInit {
  /** @default 'GET', or 'POST' if there is a body */
  readonly method?: string;
  /** `Accept: text/event-stream` is sent unless one is given. */
  readonly headers?: Readonly<OutgoingHttpHeaders>;
  /** Sent as it is; say of what type in `headers`. */
  readonly body?: string | Uint8Array;
  /** Sent as `Last-Event-ID`, as by a browser that comes back. */
  readonly lastEventId?: string;
  /**
   * Milliseconds after which a wait fails, with a message that shows what had arrived.
   * @default 3_000
   */
  readonly timeoutMs?: number;
  /**
   * How an `https:` target is met, such as `{ ca }`.
   * @default Node's own checks for a URL; none for a server of this process, whose certificate is hardly ever a real one
   */
  readonly tls?: ConnectionOptions;
}

/**
 * Opens an event stream in a test, over a real socket, and reads it as a browser would.
 *
 * An app is served on a free port of 127.0.0.1 until the stream is closed; so is a server that does not listen yet. Any
 * answer is a stream: of one that is not `200 text/event-stream`, as of an error, there are no events but `status`,
 * `headers` and `text`. Redirects are not followed.
 *
 * @param target an Express app, a server, or a URL
 * @param path the path on it, from `/`, with a query if there is one; left out, that of the URL
 * @returns resolves when the head has arrived, whatever its status
 * @throws `TypeError` `ERR_SSE_INVALID_OPTION` (rejects) if `target`, `path` or `init` is none
 * @throws (rejects) if there is no head after `timeoutMs`, or no server
 * @example
 * const stream = await openStream(app, '/clock');
 * expect(await stream.next()).toEqual({ type: 'message', data: 'tick', lastEventId: '' });
 * await stream.close(); // the route's signal has aborted
 */
export async function openStream(
  target: StreamTarget,
  path = '',
  init: StreamInit = {},
): Promise<OpenedStream> {
  checkPath(path);
  checkTimeout(init.timeoutMs);
  const stream = new OpenedStream(await hostOf(target), path, init);
  try {
    return await stream.reconnect();
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
  /**
   * Milliseconds after which the request fails, with a message that shows what had arrived.
   * @default 3_000
   */
  readonly timeoutMs?: number;
}

/** Of a response's headers, what decides how it is read. */
interface ContentType {
  readonly 'content-type'?: string;
}

/** What superagent, and so supertest, hands to a parser: Node's response, decompressed. */
export interface ParsedResponse {
  statusCode?: number;
  headers?: ContentType;
  text?: string;
  on(event: 'data' | 'end' | 'close', listener: (bytes: Buffer | string) => void): unknown;
  destroy?(): unknown;
}

/** What superagent, and so supertest, takes as a parser. */
export type ResponseParser = (
  res: ParsedResponse,
  callback: (error: Error | null, body: DispatchedEvent[]) => void,
) => void;

/**
 * A parser for supertest, which by itself waits for the end of a response: it ends the request as soon as it has the
 * events that it was asked for, and leaves them in `res.body`; fewer, if the response ends before. Without options it
 * reads to the end. What has arrived is also in `res.text`, so that the body of an error can be read.
 *
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` if an option is wrong, or both `take` and `until` are given
 * @example
 * const res = await request(app).get('/clock').buffer().parse(eventStream({ take: 3 }));
 * expect(res.body).toHaveLength(3);
 */
export function eventStream(options: EventStreamOptions = {}): ResponseParser {
  checkWanted(options);
  return (res, callback) => new Collection(options, res, callback).read();
}

/** What {@link eventStream} makes of one response. */
class Collection {
  readonly #options: EventStreamOptions;
  readonly #res: ParsedResponse;
  readonly #callback: Parameters<ResponseParser>[1];
  readonly #events: DispatchedEvent[] = [];
  readonly #parser = new EventStreamParser({ onEvent: (event) => this.#onEvent(event) });
  readonly #decoder = new StringDecoder();
  #timer: NodeJS.Timeout | undefined;
  #isDone = false;

  constructor(options: EventStreamOptions, res: ParsedResponse, callback: Parameters<ResponseParser>[1]) {
    this.#options = options;
    this.#res = res;
    this.#callback = callback;
  }

  read(): void {
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    this.#timer = setTimeout(() => this.#onTimeout(timeoutMs), timeoutMs);
    this.#res.text = '';
    this.#res.on('data', (bytes: Buffer | string) => this.#onBytes(bytes));
    this.#res.on('end', () => this.#finish(null));
    // After the end, after destroy() and after an error; of which superagent hears by itself, and must not hear twice.
    this.#res.on('close', () => clearTimeout(this.#timer));
  }

  #onBytes(bytes: Buffer | string): void {
    if (this.#isDone) return;
    const text = typeof bytes === 'string' ? bytes : this.#decoder.write(bytes);
    this.#res.text += text;
    if (!isEventStream(this.#res.statusCode, this.#res.headers)) return;
    try {
      this.#parser.push(text);
    } catch (error) {
      // The predicate is the test's own, and may throw.
      this.#finish(error as Error);
    }
  }

  #onEvent(event: DispatchedEvent): void {
    if (this.#isDone) return;
    this.#events.push(event);
    const { take, until } = this.#options;
    if (this.#events.length === take || until?.(event)) this.#finish(null);
  }

  #onTimeout(timeoutMs: number): void {
    const { statusCode: status = 0, headers = {}, text = '' } = this.#res;
    const { take, until } = this.#options;
    const what = until !== undefined ? UNTIL : take !== undefined ? amountOf(take) : THE_END;
    const got = arrived({ status, headers, text }, this.#events.length);
    this.#finish(new Error(`Expected ${what}, but ${timeoutMs} ms have passed. ${got}`));
  }

  #finish(error: Error | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#callback(error, this.#events);
    this.#res.destroy?.();
  }
}

/** Those that take events do so one after another; the others only look; one that outlasts the response waits on after it. */
type WaitKind = 'takes' | 'looks' | 'outlasts';

/** Something that is waited for. */
interface Wait {
  readonly kind: WaitKind;
  /** @returns whether what it waits for has come */
  look(): boolean;
  /** @param why the end of a sentence, or an error that is the test's own */
  fail(why: string | Error): void;
}

/**
 * One client's event stream, over one connection or several. Every wait fails after `timeoutMs`, or as soon as what it waits
 * for can no longer come, with a message that shows what had arrived. Waits that overlap get their events in the order in
 * which they began.
 */
class OpenedStream implements AsyncIterable<DispatchedEvent> {
  /** All events so far, over all connections, taken or not. */
  readonly events: DispatchedEvent[] = [];
  /** The texts of all comments so far, over all connections, such as `'keep-alive'`. */
  readonly comments: string[] = [];
  readonly #host: Host;
  readonly #url: URL;
  /** As it was given: a URL would take `//` for the beginning of a host. */
  readonly #path: string;
  readonly #init: StreamInit;
  readonly #parser: EventStreamParser;
  readonly #waits = new Set<Wait>();
  #takenEvents = 0;
  #exchange: Exchange | undefined;
  #closing: Promise<void> | undefined;

  constructor(host: Host, path: string, init: StreamInit) {
    this.#host = host;
    this.#url = new URL(host.url);
    this.#path = path === '' ? this.#url.pathname + this.#url.search : path;
    this.#init = init;
    const listener = {
      onEvent: (event: DispatchedEvent) => void this.events.push(event),
      onComment: (text: string) => void this.comments.push(text),
    };
    this.#parser = new EventStreamParser(listener, init.lastEventId);
  }

  /** Of the latest connection; `0` as long as there is no head. */
  get status(): number {
    return this.#exchange?.status ?? 0;
  }

  /** Of the latest connection. */
  get headers(): IncomingHttpHeaders {
    return this.#exchange?.headers ?? {};
  }

  /** The body of the latest connection so far, byte for byte as it came. */
  get raw(): Buffer {
    return Buffer.concat(this.#exchange?.chunks ?? []);
  }

  /** The body of the latest connection so far, decompressed if its head says so, and decoded as UTF-8. */
  get text(): string {
    return this.#exchange?.text ?? '';
  }

  /** What a browser would send as `Last-Event-ID`. */
  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** The reconnection time that the server has set last, in milliseconds. */
  get retryMs(): number | undefined {
    return this.#parser.retryMs;
  }

  /** The next event. */
  next(): Promise<DispatchedEvent> {
    return this.#wait('takes', amountOf(1), () => this.#handOut(1)?.[0]);
  }

  /** The next `count` events; all or, if they do not come, none. */
  take(count: number): Promise<DispatchedEvent[]> {
    checkAmount('count', count, 0);
    return this.#wait('takes', amountOf(count), () => this.#handOut(count));
  }

  /** The next events up to the first for which `predicate` holds, and that one; all or, if it does not come, none. */
  until(predicate: (event: DispatchedEvent) => boolean): Promise<DispatchedEvent[]> {
    checkPredicate('predicate', predicate);
    let seen = 0;
    const look = () => {
      for (const event of this.events.slice(this.#takenEvents + seen)) {
        seen++;
        if (predicate(event)) return this.#handOut(seen);
      }
      return undefined;
    };
    return this.#wait('takes', UNTIL, look);
  }

  /** Resolves with {@link OpenedStream.text} once that contains `text`, such as a comment or a line. */
  untilText(text: string): Promise<string> {
    return this.#wait('looks', JSON.stringify(text), () =>
      this.text.includes(text) ? this.text : undefined,
    );
  }

  /**
   * Resolves with {@link OpenedStream.text} once the server has ended the response.
   *
   * @throws (rejects) if the connection was cut off instead
   */
  ended(): Promise<string> {
    return this.#wait('looks', THE_END, () => (this.#exchange?.state === 'ENDED' ? this.text : undefined));
  }

  /** Resolves with {@link OpenedStream.text} when the connection is gone, whoever has ended it and how. */
  closed(): Promise<string> {
    const exchange = this.#exchange;
    return this.#wait('outlasts', 'the connection to close', () =>
      exchange?.isGone ? exchange.text : undefined,
    );
  }

  /** Stops reading: what the server sends fills the buffers between, and at last its own. */
  stall(): void {
    this.#exchange?.stall();
  }

  /** Reads on. */
  resume(): void {
    this.#exchange?.resume();
  }

  /** Leaves without a word, as a browser does whose tab is closed; {@link OpenedStream.reconnect} comes back. */
  drop(): void {
    void this.#exchange?.leave();
    this.#check();
  }

  /**
   * Leaves if it has not, and comes back with its last event ID.
   *
   * @returns itself, when the head has arrived, whatever its status
   * @throws if the stream is closed
   * @throws (rejects) if there is no head after `timeoutMs`
   */
  reconnect(): Promise<this> {
    if (this.#closing !== undefined) throw new Error('Cannot reconnect: the stream is CLOSED.');
    void this.#exchange?.leave();
    this.#parser.reset();
    this.#exchange = this.#connect();
    return this.#wait('looks', 'a response', () => (this.status === 0 ? undefined : this));
  }

  /**
   * Leaves, and ends the server that was started for this stream, with every other connection to it. Waits fail.
   *
   * @returns always the same promise, which resolves when both are gone
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#leave();
      this.#check();
    }
    return this.#closing;
  }

  /** The events that have not been taken, up to the end of the response; whoever leaves the loop before closes the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DispatchedEvent, void, undefined> {
    for (;;) {
      const [event] = await this.#wait(
        'takes',
        'an event or the end',
        () => this.#handOut(1) ?? this.#none(),
      );
      if (event === undefined) return;
      let isLeft = true;
      try {
        yield event;
        isLeft = false;
      } finally {
        if (isLeft) await this.close();
      }
    }
  }

  async #leave(): Promise<void> {
    await this.#exchange?.leave();
    await this.#host.release();
  }

  get #method(): string {
    const { body, method = body === undefined ? 'GET' : 'POST' } = this.#init;
    return method;
  }

  #connect(): Exchange {
    const { body, headers, tls } = this.#init;
    const own: OutgoingHttpHeaders = { Accept: 'text/event-stream', ...headers };
    // Spec 9.2.3: as UTF-8. Node writes each character of a header as one byte; of two spellings of a name, the later wins.
    if (this.lastEventId !== '') own['Last-Event-ID'] = Buffer.from(this.lastEventId).toString('latin1');
    const options = { ...this.#host.tls, ...tls, method: this.#method, path: this.#path, headers: own };
    return new Exchange(this.#url, options, body, (exchange, text) => {
      if (exchange !== this.#exchange) return;
      if (isEventStream(exchange.status, exchange.headers)) this.#parser.push(text);
      this.#check();
    });
  }

  /** The next `count` events, or `undefined` if they have not all come. */
  #handOut(count: number): DispatchedEvent[] | undefined {
    const end = this.#takenEvents + count;
    if (this.events.length < end) return undefined;
    const events = this.events.slice(this.#takenEvents, end);
    this.#takenEvents = end;
    return events;
  }

  /** No event, if there will be none. */
  #none(): [] | undefined {
    return this.#exchange?.state === 'ENDED' ? [] : undefined;
  }

  #wait<Value>(kind: WaitKind, what: string, find: () => Value | undefined): Promise<Value> {
    const begun = new Error();
    const promise = new Promise<Value>((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#waits.delete(wait);
      };
      const wait: Wait = {
        kind,
        look: () => {
          const found = find();
          if (found === undefined) return false;
          settle();
          resolve(found);
          return true;
        },
        fail: (error) => {
          settle();
          reject(error instanceof Error ? error : this.#disappointed(what, error, begun));
        },
      };
      const timer = this.#giveUpLater(wait);
      this.#waits.add(wait);
    });
    // Who awaits it hears of the error; one that nobody awaits, as in a test that has failed elsewhere, ends no process.
    promise.catch(() => undefined);
    this.#check();
    return promise;
  }

  /** Not unref'd: when a stalled stream is waited for, nothing else may keep the process alive to say so. */
  #giveUpLater(wait: Wait): NodeJS.Timeout {
    const { timeoutMs = TIMEOUT_MS } = this.#init;
    return setTimeout(() => {
      wait.fail(this.#whyLate(timeoutMs));
      this.#check();
    }, timeoutMs);
  }

  /** Looks for each wait whether what it waits for has come, or can no longer come. */
  #check(): void {
    const over = this.#whyOver();
    let isHeld = false;
    for (const wait of this.#waits) {
      if ((wait.kind === 'takes' && isHeld) || hasCome(wait)) continue;
      if (over !== undefined && wait.kind !== 'outlasts') wait.fail(over);
      else isHeld ||= wait.kind === 'takes';
    }
  }

  #whyLate(timeoutMs: number): string {
    const late = `${timeoutMs} ms have passed`;
    return this.#exchange?.isStalled ? `${late}, in which this client did not read: it is stalled` : late;
  }

  /** `undefined` as long as something may come. */
  #whyOver(): string | undefined {
    if (this.#closing !== undefined) return 'the stream has been closed';
    const { state, failure } = this.#exchange ?? { state: 'CONNECTING' };
    if (state === 'ENDED') return 'the server has ended the response';
    if (state === 'CUT') {
      const what = this.status === 0 ? 'the request has failed' : 'the connection was cut off';
      return `${what} (${failure?.message ?? 'without an error'})`;
    }
    return state === 'LEFT' ? 'this client has left' : undefined;
  }

  /** With the stack of the wait's beginning, which is the line of the test; a timer's or a socket's would say nothing. */
  #disappointed(what: string, why: string, begun: Error): Error {
    const got = arrived(this, this.events.length, this.#takenEvents);
    const from = `${this.#method} ${this.#path}`;
    begun.message = `Expected ${what} from ${from}, but ${why}. ${got}`;
    begun.stack = begun.stack?.replace(/^Error\n/, () => `Error: ${begun.message}\n`);
    const cause = this.#exchange?.failure;
    return cause === undefined ? begun : Object.assign(begun, { cause });
  }
}

function hasCome(wait: Wait): boolean {
  try {
    return wait.look();
  } catch (error) {
    // A predicate is the test's own, and may throw.
    wait.fail(error as Error);
    return true;
  }
}

/** In this order; from `CONNECTING` or `OPEN` to any of the last three. */
type ExchangeState = 'CONNECTING' | 'OPEN' | 'ENDED' | 'CUT' | 'LEFT';

/** One request and what comes back, until it is left; after that it is silent. */
class Exchange {
  state: ExchangeState = 'CONNECTING';
  failure: Error | undefined;
  status = 0;
  headers: IncomingHttpHeaders = {};
  text = '';
  /** Whether its connection is gone. */
  isGone = false;
  readonly chunks: Buffer[] = [];
  readonly #request: http.ClientRequest;
  readonly #gone: Promise<void>;
  readonly #onChange: (exchange: Exchange, text: string) => void;
  #body: Readable | undefined;

  constructor(
    url: URL,
    options: RequestOptions,
    body: StreamInit['body'],
    onChange: (exchange: Exchange, text: string) => void,
  ) {
    this.#onChange = onChange;
    const { request } = url.protocol === 'https:' ? https : http;
    this.#request = request(url, { ...options, agent: false })
      .on('response', (response) => this.#open(response))
      .on('error', (error) => this.#over('CUT', error));
    this.#gone = new Promise((resolve) => {
      this.#request.on('close', () => {
        this.isGone = true;
        this.#onChange(this, '');
        resolve();
      });
    });
    // As bytes: Node writes a head together with a text in the encoding of the text, which would encode an id twice.
    this.#request.end(typeof body === 'string' ? Buffer.from(body) : body);
  }

  get isStalled(): boolean {
    return this.#body?.isPaused() ?? false;
  }

  stall(): void {
    this.#body?.pause();
  }

  resume(): void {
    this.#body?.resume();
  }

  /** @returns a promise that resolves when the connection is gone */
  leave(): Promise<void> {
    if (this.#isOn) this.state = 'LEFT';
    this.#request.destroy();
    return this.#gone;
  }

  get #isOn(): boolean {
    return this.state === 'CONNECTING' || this.state === 'OPEN';
  }

  #open(response: IncomingMessage): void {
    // Destroyed already, and this came in the same turn.
    if (this.state !== 'CONNECTING') return;
    this.state = 'OPEN';
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    const decoder = new StringDecoder();
    response.on('data', (bytes: Buffer) => this.chunks.push(bytes));
    response.on('error', (error) => this.#over('CUT', error));
    this.#body = decompressed(response)
      .on('data', (bytes: Buffer) => this.#onText(decoder.write(bytes)))
      .on('end', () => this.#onText(decoder.end()))
      .on('end', () => this.#over('ENDED'))
      .on('error', (error) => this.#over('CUT', error));
    this.#onChange(this, '');
  }

  #onText(text: string): void {
    if (this.state !== 'OPEN') return;
    this.text += text;
    this.#onChange(this, text);
  }

  #over(state: 'ENDED' | 'CUT', failure?: Error): void {
    if (!this.#isOn) return;
    this.state = state;
    this.failure = failure;
    this.#onChange(this, '');
  }
}

const DECOMPRESSORS = new Map<string | undefined, () => Duplex>([
  ['br', createBrotliDecompress],
  ['deflate', createInflate],
  ['gzip', createGunzip],
]);

function decompressed(response: IncomingMessage): Readable {
  const decompressor = DECOMPRESSORS.get(response.headers['content-encoding'])?.();
  // The listeners on both hear of errors.
  return decompressor === undefined ? response : pipeline(response, decompressor, () => undefined);
}

/** Where the target of a stream is, and how it is let go. */
interface Host {
  readonly url: string | URL;
  readonly tls?: ConnectionOptions;
  release(): Promise<void>;
}

async function hostOf(target: StreamTarget): Promise<Host> {
  if (typeof target === 'string' || target instanceof URL) return elsewhere(target);
  if (typeof target === 'function') return lease(http.createServer(target));
  if (typeof target?.address !== 'function') throw notTarget(target);
  // One whose `listen()` has just been called has its address a turn later.
  if (target.address() === null) await new Promise((resolve) => setImmediate(resolve));
  if (LEASES.has(target) || target.address() === null) return lease(target);
  return { ...placeOf(target), release: async () => undefined };
}

function elsewhere(target: string | URL): Host {
  if (!URL.canParse(String(target)) || !/^https?:/.test(String(target))) throw notTarget(target);
  return { url: target, release: async () => undefined };
}

/** A server that was started here, and ends with the last of the streams on it. */
interface Lease {
  readonly started: Promise<unknown>;
  readonly sockets: Set<Duplex>;
  streams: number;
  /** Takes the listeners off that keep `sockets`. */
  readonly unhear: () => void;
  stopped?: Promise<unknown>;
}

const LEASES = new WeakMap<Server, Lease>();

async function lease(server: Server): Promise<Host> {
  while (LEASES.get(server)?.stopped !== undefined) await LEASES.get(server)?.stopped;
  const lease = LEASES.get(server) ?? start(server);
  lease.streams++;
  try {
    await lease.started;
  } catch (error) {
    LEASES.delete(server);
    throw error;
  }
  return {
    ...placeOf(server),
    release: async () => {
      if (--lease.streams === 0) await stop(server, lease);
    },
  };
}

function start(server: Server): Lease {
  const sockets = new Set<Duplex>();
  const hear = (socket: Duplex) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  // Over TLS both: responses close with the second, which there is only after the handshake.
  const events = ['connection', 'secureConnection'];
  for (const event of events) server.on(event, hear);
  const unhear = () => {
    for (const event of events) server.off(event, hear);
  };
  const lease = { started: once(server, 'listening'), sockets, streams: 0, unhear };
  LEASES.set(server, lease);
  // A stream that nobody closes does not keep a process alive.
  server.listen(0, '127.0.0.1').unref();
  return lease;
}

/** Resolves when every socket has closed: a server says that it has before its responses do. */
async function stop(server: Server, lease: Lease): Promise<void> {
  const { sockets, unhear } = lease;
  lease.stopped = Promise.all([server, ...sockets].map(closeOf));
  server.close().ref();
  for (const socket of sockets) socket.destroy();
  await lease.stopped;
  unhear();
  LEASES.delete(server);
}

/** Also after an error, of which others hear. */
function closeOf(closing: EventEmitter): Promise<void> {
  return new Promise((resolve) => closing.once('close', () => resolve()));
}

function placeOf(server: Server): Omit<Host, 'release'> {
  const address = server.address();
  if (address === null || typeof address === 'string') throw notTarget(server);
  const isAny = address.address === '::' || address.address === '0.0.0.0';
  const host = isAny ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  if (!(server instanceof tls.Server)) return { url: `http://${host}:${address.port}` };
  return { url: `https://${host}:${address.port}`, tls: { rejectUnauthorized: false } };
}

/** As in a browser: anything else has no events. */
function isEventStream(status = 0, headers: ContentType = {}): boolean {
  return status === 200 && /^text\/event-stream\s*(;|$)/i.test(headers['content-type'] ?? '');
}

const UNTIL = 'an event for which the predicate holds';
const THE_END = 'the end of the response';

function amountOf(events: number): string {
  return `${events} more event${events === 1 ? '' : 's'}`;
}

/** What had arrived, for the message of a wait that fails. */
function arrived(
  { status, headers, text }: { status: number; headers: ContentType; text: string },
  events: number,
  takenEvents = 0,
): string {
  if (status === 0) return 'No response has arrived.';
  const type = headers['content-type'] ?? 'no content type';
  const got = isEventStream(status, headers)
    ? `${events} event${events === 1 ? '' : 's'}${takenEvents > 0 ? `, ${takenEvents} taken` : ''}`
    : `which is no event stream (200 text/event-stream)`;
  const shown = text.length > 2_000 ? `… ${text.slice(-2_000)}` : text;
  return `Arrived: ${status} ${type}, ${got}${shown === '' ? '.' : `:\n${shown}`}`;
}

function notTarget(target: unknown): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected a target to open a stream on, got ${describe(target)}. Pass an Express app, a server on a port, or a URL that begins with http: or https:.`,
  );
}

function checkPath(path: unknown): void {
  if (typeof path === 'string' && (path === '' || path.startsWith('/'))) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected path to begin with '/', got ${describe(path)}. The server is the target before it.`,
  );
}

function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs !== undefined) checkAmount('timeoutMs', timeoutMs, 1);
}

function checkAmount(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && Number(value) >= least) return;
  const expected = least > 0 ? 'a positive integer' : 'a non-negative integer';
  const message = `Expected ${name} to be ${expected}, got ${describe(value)}.`;
  if (typeof value === 'number') throw outOfRange('ERR_SSE_INVALID_OPTION', message);
  throw wrongType('ERR_SSE_INVALID_OPTION', message);
}

function checkPredicate(name: string, value: unknown): void {
  if (typeof value === 'function') return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected ${name} to be a function of an event, got ${describe(value)}.`,
  );
}

function checkWanted({ take, until, timeoutMs }: EventStreamOptions): void {
  if (take !== undefined) checkAmount('take', take, 1);
  if (until !== undefined) checkPredicate('until', until);
  checkTimeout(timeoutMs);
  if (take === undefined || until === undefined) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    'Expected either take or until, got both. Count in the predicate of until.',
  );
}
