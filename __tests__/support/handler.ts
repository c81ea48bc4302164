import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, type Init } from './client';

/** A real server around any request listener, for what is not Express 5. */
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

  open(path = '/', init?: Init): Promise<Client> {
    return Client.open(`http://127.0.0.1:${this.port}${path}`, init);
  }

  /** Resolves when the last connection is gone by itself. */
  async close(): Promise<void> {
    this.server.close();
    this.server.closeIdleConnections();
    await once(this.server, 'close');
  }
}
