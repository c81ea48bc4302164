import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Service } from './adapter';

/** So many connections wait to be accepted; with Node's 511, some of 10,000 would have to try again. */
const BACKLOG = 4_096;

/** Lets a server listen where there is room. */
export async function listen(server: Server): Promise<Service> {
  server.listen(0, '127.0.0.1', BACKLOG);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}
