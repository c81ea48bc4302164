import { createServer, type Socket } from 'node:net';
import type { Route, Serve } from '../adapter';
import type { Audience, Broadcasts } from '../broadcast';
import { END_FRAME } from '../end';
import { listen } from '../listen';
import type { Quote } from '../sources';
import { keepAlive } from './keep-alive';
import { type Query, queryOf } from './query';
import { viewer } from './viewer';
import { waitsOf } from './waits';
import { type Accepts, acceptsOf } from './wanted';

type Handler = (query: Query, socket: Socket) => unknown;

const HEAD = [
  'HTTP/1.1 200 OK',
  'Content-Type: text/event-stream',
  'Cache-Control: no-cache, no-transform',
  'X-Accel-Buffering: no',
  'Transfer-Encoding: chunked',
  '\r\n',
].join('\r\n');

const LAST = `${chunkOf(END_FRAME)}0\r\n\r\n`;

/**
 * No HTTP server: reads as much of a request's head as necessary, and writes ready-made chunks to the socket. Not for
 * production; it shows the cost of Node's sockets and the kernel.
 */
export const serve: Serve = (routes, broadcasts) => {
  const handlers = new Map(routes.map((route) => [route.path, handlerOf(route, broadcasts)]));
  return listen(
    createServer({ noDelay: true }, (socket) => {
      let head = '';
      socket.setEncoding('latin1');
      // A client that disconnects during a write resets the connection.
      socket.on('error', () => socket.destroy());
      socket.on('data', (text) => {
        head += text;
        if (!head.endsWith('\r\n\r\n')) return;
        const { path, query } = queryOf(head.split(' ', 2)[1] ?? '');
        head = '';
        socket.write(HEAD);
        handlers.get(path)?.(query, socket);
      });
    }),
  );
};

function handlerOf(route: Route, broadcasts: Broadcasts): Handler {
  const handler = route.run === 'shared' ? subscriberOf(route, broadcasts) : streamerOf(route);
  return (query, socket) => {
    keepAlive(socket, route.keepAliveMs, chunkOf(': \n\n'));
    return handler(query, socket);
  };
}

function streamerOf(route: Route): Handler {
  return async (query, socket) => {
    const writable = waitsOf(socket);
    try {
      const source = route.source(viewer(query.events, (listener) => socket.on('close', listener)));
      for await (const value of source) {
        if (!writeCorked(socket, chunkOf(`data: ${JSON.stringify(value)}\n\n`))) await writable();
        if (socket.destroyed) return;
      }
    } catch (error) {
      if (socket.destroyed) return;
      throw error;
    }
    socket.end(LAST);
  };
}

function subscriberOf(route: Route, broadcasts: Broadcasts): Handler {
  const broadcast = broadcasts.of(route.source, () => new SocketAudience());
  return (query, socket) => broadcast.audienceFor({ query }).add(socket, acceptsOf(query.symbol));
}

/** A map of all sockets, and a loop; the chunk is made once per event, as bytes. */
class SocketAudience implements Audience {
  readonly #subscribers = new Map<Socket, Accepts | undefined>();
  #published = 0;

  get size(): number {
    return this.#subscribers.size;
  }

  add(socket: Socket, accepts?: Accepts): void {
    socket.write(chunkOf(`id: bare0socket0by-${this.#published}\n\n`));
    this.#subscribers.set(socket, accepts);
    socket.on('close', () => this.#subscribers.delete(socket));
  }

  publish(quote: Quote): void {
    const frame = `id: bare0socket0by-${++this.#published}\ndata: ${JSON.stringify(quote)}\n\n`;
    const chunk = Buffer.from(chunkOf(frame));
    for (const [socket, accepts] of this.#subscribers) {
      if (accepts === undefined || accepts(quote)) socket.write(chunk);
    }
  }

  end(): void {
    for (const socket of this.#subscribers.keys()) socket.end(LAST);
  }
}

/** Joins the writes of one turn of the event loop, like Node's own HTTP. */
function writeCorked(socket: Socket, chunk: string): boolean {
  if (socket.writableCorked === 0) {
    socket.cork();
    process.nextTick(() => socket.uncork());
  }
  return socket.write(chunk);
}

function chunkOf(frame: string): string {
  return `${Buffer.byteLength(frame).toString(16)}\r\n${frame}\r\n`;
}
