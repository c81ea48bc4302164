import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and its server. Answers can be made to get lost on the way, with their connection. */
export class LossyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isLossy = false;

  constructor(port: number) {
    this.#server = createServer((client) => this.#join(client, connect(port, '127.0.0.1')));
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next answer does not arrive. */
  loseNextAnswer(): void {
    this.#isLossy = true;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    const cut = () => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) this.#sockets.add(socket.on('error', cut).on('close', cut));
    client.pipe(server);
    server.on('data', (answer) => {
      if (this.#isLossy) cut();
      else client.write(answer);
      this.#isLossy = false;
    });
  }
}
