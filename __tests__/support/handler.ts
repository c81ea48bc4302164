import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type OpenedStream, openStream, type StreamInit } from '../../lib/testing';

/** A real server for any request listener, for tests without Express 5. */
export class HandlerServer {
  static async start(listener: RequestListener): Promise<HandlerServer> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HandlerServer(server);
  }

  readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  openStream(path?: string, init?: StreamInit): Promise<OpenedStream> {
    return openStream(this.server, path, init);
  }

  /** Resolves when the last connection has closed. Closes only idle connections. */
  async close(): Promise<void> {
    this.server.close();
    this.server.closeIdleConnections();
    await once(this.server, 'close');
  }
}
