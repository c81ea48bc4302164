import { type EventEmitter, once } from 'node:events';
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** A server that this package has started. It is stopped when its last stream is closed. */
interface SharedServer {
  readonly listening: Promise<unknown>;
  readonly sockets: Set<Duplex>;
  streams: number;
  /** Removes the listeners that maintain `sockets`. */
  readonly untrackSockets: () => void;
  stopped?: Promise<unknown>;
}

const SHARED_SERVERS = new WeakMap<Server, SharedServer>();

/** Whether this package has started `server`. */
export function isSharedServer(server: Server): boolean {
  return SHARED_SERVERS.has(server);
}

/**
 * Starts a server on a free port of 127.0.0.1, unless this package has already started it.
 *
 * @returns resolves when the server listens, with a function that releases it; the last release stops the server
 */
export async function acquireSharedServer(server: Server): Promise<() => Promise<void>> {
  while (SHARED_SERVERS.get(server)?.stopped !== undefined) await SHARED_SERVERS.get(server)?.stopped;
  const sharedServer = SHARED_SERVERS.get(server) ?? start(server);
  sharedServer.streams++;
  try {
    await sharedServer.listening;
  } catch (error) {
    SHARED_SERVERS.delete(server);
    throw error;
  }
  return async () => {
    if (--sharedServer.streams === 0) await stop(server, sharedServer);
  };
}

function start(server: Server): SharedServer {
  const sockets = new Set<Duplex>();
  const track = (socket: Duplex) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  // Over TLS both are needed: 'secureConnection' has the socket with which a response closes, but only after the handshake.
  const events = ['connection', 'secureConnection'];
  for (const event of events) server.on(event, track);
  const untrackSockets = () => {
    for (const event of events) server.off(event, track);
  };
  const sharedServer = { listening: once(server, 'listening'), sockets, streams: 0, untrackSockets };
  SHARED_SERVERS.set(server, sharedServer);
  // A stream that is never closed must not keep the process alive.
  server.listen(0, '127.0.0.1').unref();
  return sharedServer;
}

/** Resolves when every socket has closed, because a server emits 'close' before its responses do. */
async function stop(server: Server, sharedServer: SharedServer): Promise<void> {
  const { sockets, untrackSockets } = sharedServer;
  sharedServer.stopped = Promise.all([server, ...sockets].map(untilClose));
  server.close().ref();
  for (const socket of sockets) socket.destroy();
  await sharedServer.stopped;
  untrackSockets();
  SHARED_SERVERS.delete(server);
}

/** Not `once()` of node:events, which rejects on an error; the error is handled elsewhere. */
function untilClose(emitter: EventEmitter): Promise<void> {
  return new Promise((resolve) => emitter.once('close', () => resolve()));
}
