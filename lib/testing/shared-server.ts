import { type EventEmitter, once } from 'node:events';
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';

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

export function isLeased(server: Server): boolean {
  return LEASES.has(server);
}

/**
 * Starts a server on a free port of 127.0.0.1, unless it has been started here already.
 *
 * @returns what gives it back, once for each lease, when it listens; the last one ends it
 */
export async function lease(server: Server): Promise<() => Promise<void>> {
  while (LEASES.get(server)?.stopped !== undefined) await LEASES.get(server)?.stopped;
  const lease = LEASES.get(server) ?? start(server);
  lease.streams++;
  try {
    await lease.started;
  } catch (error) {
    LEASES.delete(server);
    throw error;
  }
  return async () => {
    if (--lease.streams === 0) await stop(server, lease);
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
