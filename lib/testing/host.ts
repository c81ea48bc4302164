import http, { type RequestListener, type Server } from 'node:http';
import tls, { type ConnectionOptions } from 'node:tls';
import { describe, wrongType } from '../errors';
import { setImmediate } from './clock';
import { isLeased, lease } from './shared-server';

/**
 * What a stream is opened on: an Express app or any request listener, a server, or the URL of one.
 *
 * @example
 * const targets: StreamTarget[] = [app, http.createServer(app), 'http://localhost:3000'];
 */
export type StreamTarget = RequestListener | Server | URL | string;

/** Where the target of a stream is, and how it is let go. */
export interface Host {
  readonly url: string | URL;
  readonly tls?: ConnectionOptions;
  release(): Promise<void>;
}

export async function hostOf(target: StreamTarget): Promise<Host> {
  if (typeof target === 'string' || target instanceof URL) return elsewhere(target);
  if (typeof target === 'function') return served(http.createServer(target));
  if (typeof target?.address !== 'function') throw notTarget(target);
  // One whose `listen()` has just been called has its address a turn later.
  if (target.address() === null) await new Promise((resolve) => setImmediate(resolve));
  if (isLeased(target) || target.address() === null) return served(target);
  return { ...placeOf(target), release: async () => undefined };
}

function elsewhere(target: string | URL): Host {
  if (!URL.canParse(String(target)) || !/^https?:/.test(String(target))) throw notTarget(target);
  return { url: target, release: async () => undefined };
}

async function served(server: Server): Promise<Host> {
  const release = await lease(server);
  return { ...placeOf(server), release };
}

function placeOf(server: Server): Omit<Host, 'release'> {
  const address = server.address();
  if (address === null || typeof address === 'string') throw notTarget(server);
  const isAny = address.address === '::' || address.address === '0.0.0.0';
  const host = isAny ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  if (!(server instanceof tls.Server)) return { url: `http://${host}:${address.port}` };
  return { url: `https://${host}:${address.port}`, tls: { rejectUnauthorized: false } };
}

function notTarget(target: unknown): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected a target to open a stream on, got ${describe(target)}. Pass an Express app, a server on a port, or a URL that begins with http: or https:.`,
  );
}
