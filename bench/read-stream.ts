import { connect, type Socket } from 'node:net';
import { constants, createGunzip } from 'node:zlib';
import { EventCounter } from './count-events';
import { Dechunker } from './dechunk';
import type { Latencies } from './latency';

export interface Reading {
  readonly port: number;
  readonly path: string;
  /** How many events the request asks for and expects. */
  readonly events: number;
  readonly gzip: boolean;
  /** Disconnect after the last event, before the stream ends. */
  readonly leavesEarly: boolean;
  /** Stay connected after the last event, until this resolves. */
  readonly held?: Promise<unknown>;
  /** Called for each comment. */
  readonly onComment?: () => void;
  readonly latencies: Latencies;
  /** For a shared run. */
  readonly shared?: Sharing;
}

/** What a subscriber to a shared run sends in addition, and what it reports. */
export interface Sharing {
  /** How many subscribers there will be. */
  readonly streams: number;
  /** Requests only the events of this symbol. */
  readonly symbol: string | undefined;
  /** Called when the response head has arrived. */
  onOpen(): void;
  /** Called when all events have arrived, before the end. */
  onReceived(): void;
}

/** Without chunks, a body ends when the connection closes; the client closes it after the closing event. */
const CHUNKED = /\r\ntransfer-encoding: chunked/i;

/** A stream without a byte for this long has failed: it is longer than any pause, even with 10,000 clients on a busy machine. */
const SILENCE_MS = 60_000;

/**
 * Reads one stream over its own connection.
 *
 * @returns the number of events, after the connection has closed
 * @throws if an event is missing, duplicated or out of order, or the stream does not end as it should
 */
export function readStream(reading: Reading): Promise<number> {
  const socket = connect(reading.port, '127.0.0.1');
  const counter = new EventCounter(reading.latencies, reading.shared?.symbol, reading.onComment);
  return new Promise((resolve, reject) => {
    const body = reading.gzip
      ? gunzipTo(counter, socket)
      : (bytes: Buffer) => counter.take(bytes.toString('latin1'));
    socket.on('connect', () => socket.write(requestOf(reading)));
    socket.on('data', bodyOf(socket, reading, counter, body));
    socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error('Expected an event, got silence.')));
    void reading.held?.then(() => socket.destroy());
    socket.on('error', reject);
    socket.on('close', () => {
      if (isComplete(reading, counter)) return resolve(counter.events);
      reject(new Error(`Expected ${reading.events} events and the end, got ${counter.events}.`));
    });
  });
}

function requestOf({ path, events, gzip, shared }: Reading): string {
  const encoding = gzip ? 'Accept-Encoding: gzip\r\n' : '';
  return `GET ${path}?${queryOf(events, shared)} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n${encoding}\r\n`;
}

/** The query of a request; `shared` for a shared run. */
export function queryOf(events: number, shared?: Pick<Sharing, 'streams' | 'symbol'>): URLSearchParams {
  const query = new URLSearchParams({ events: String(events) });
  if (shared !== undefined) query.set('streams', String(shared.streams));
  if (shared?.symbol !== undefined) query.set('symbol', shared.symbol);
  return query;
}

type Take = (bytes: Buffer) => void;

/** Skips the head and passes on the body. Closes the connection when all events have arrived, or on an error. */
function bodyOf(socket: Socket, reading: Reading, counter: EventCounter, body: Take): Take {
  let dechunker: Dechunker | undefined;
  const onReceived = once(() => reading.shared?.onReceived());
  let head: string | undefined = '';
  return (received) => {
    try {
      let bytes = received;
      if (head !== undefined) {
        head += received.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        checkHead(head.slice(0, end), reading);
        if (CHUNKED.test(head.slice(0, end))) dechunker = new Dechunker();
        bytes = Buffer.from(head.slice(end + 4), 'latin1');
        head = undefined;
        reading.shared?.onOpen();
      }
      const content = dechunker?.take(bytes) ?? bytes;
      if (content.length > 0) body(content);
      if (counter.events === reading.events) onReceived();
      if (isComplete(reading, counter) && (dechunker?.ended !== false || leavesNow(reading)))
        socket.destroy();
    } catch (error) {
      socket.destroy(error as Error);
    }
  };
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}

function checkHead(head: string, { gzip }: Reading): void {
  const fields = head.toLowerCase();
  const good =
    fields.startsWith('http/1.1 200 ') &&
    fields.includes('\r\ncontent-type: text/event-stream') &&
    fields.includes('\r\ncontent-encoding: gzip') === gzip;
  if (!good) throw new Error(`Expected the head of an event stream, got:\n${head}`);
}

/** Decompresses the body. Output can arrive later than its chunk, so this closes the connection. */
function gunzipTo(counter: EventCounter, socket: Socket): Take {
  const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
  gunzip.on('data', (bytes: Buffer) => {
    try {
      counter.take(bytes.toString('latin1'));
      if (counter.ended) socket.destroy();
    } catch (error) {
      socket.destroy(error as Error);
    }
  });
  gunzip.on('error', (error) => socket.destroy(error));
  return (bytes) => gunzip.write(Buffer.from(bytes));
}

function leavesNow({ leavesEarly, held }: Reading): boolean {
  return leavesEarly && held === undefined;
}

function isComplete({ events, leavesEarly }: Reading, counter: EventCounter): boolean {
  return counter.events === events && (leavesEarly || counter.ended);
}
