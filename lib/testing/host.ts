import http, { type RequestListener, type Server } from 'node:http';
import tls, { type ConnectionOptions } from 'node:tls';
import { describe, wrongType } from '../errors';
import { setImmediate } from './clock';
import { acquireSharedServer, isSharedServer } from './shared-server';

/**
 * The server of a stream: an Express app or any other request listener, a `Server`, or a URL.
 *
 * @example
 * const targets: StreamTarget[] = [app, http.createServer(app), 'http://localhost:3000'];
 */
export type StreamTarget = RequestListener | Server | URL | string;

/** The address of a stream's server. */
export interface Host {
  readonly url: string | URL;
  readonly tls?: ConnectionOptions;
  /** Stops the server if this package has started it and no other stream uses it. Must be called once. */
  release(): Promise<void>;
}

export async function hostOf(target: StreamTarget): Promise<Host> {
  if (typeof target === 'string' || target instanceof URL) return remoteHost(target);
  if (typeof target === 'function') return sharedHost(http.createServer(target));
  if (typeof target?.address !== 'function') throw targetError(target);
  // A server has its address one turn of the event loop after `listen()` was called.
  if (target.address() === null) await new Promise((resolve) => setImmediate(resolve));
  if (isSharedServer(target) || target.address() === null) return sharedHost(target);
  return { ...addressOfServer(target), release: async () => undefined };
}

function remoteHost(target: string | URL): Host {
  if (!URL.canParse(String(target)) || !/^https?:/.test(String(target))) throw targetError(target);
  return { url: target, release: async () => undefined };
}

async function sharedHost(server: Server): Promise<Host> {
  const release = await acquireSharedServer(server);
  return { ...addressOfServer(server), release };
}

function addressOfServer(server: Server): Omit<Host, 'release'> {
  const address = server.address();
  if (address === null || typeof address === 'string') throw targetError(server);
  const isAny = address.address === '::' || address.address === '0.0.0.0';
  const host = isAny ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  if (!(server instanceof tls.Server)) return { url: `http://${host}:${address.port}` };
  return { url: `https://${host}:${address.port}`, tls: { rejectUnauthorized: false } };
}

function targetError(target: unknown): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected target to be an app, a server or a URL, got ${describe(target)}. Pass an Express app, a server on a port, or a URL that begins with http: or https:.`,
  );
}
