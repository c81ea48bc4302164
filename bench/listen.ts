import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Service } from './adapter';

/** The accept queue's length. With Node's default of 511, some of 10,000 connections would have to retry. */
const BACKLOG = 4_096;

/** Listens on a free port. */
export async function listen(server: Server): Promise<Service> {
  server.listen(0, '127.0.0.1', BACKLOG);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}
