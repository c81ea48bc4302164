import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A proxy between a client and its server that can drop a response together with its connection, or hold responses back. */
export class LossyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isLossy = false;
  #holdFrom: string | undefined;
  #held = '';
  #release: () => void = () => undefined;
  #onHeld: () => void = () => undefined;

  constructor(port: number) {
    this.#server = createServer((client) => this.#connect(client, connect(port, '127.0.0.1')));
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Drops the next response. */
  dropNextResponse(): void {
    this.#isLossy = true;
  }

  /** Holds back the next response that contains a text, and all later ones of its connection. */
  holdFrom(text: string): void {
    this.#holdFrom = text;
  }

  /** Resolves when the held responses contain a text. */
  async holds(text: string): Promise<void> {
    while (!this.#held.includes(text)) {
      await new Promise<void>((resolve) => {
        this.#onHeld = resolve;
      });
    }
  }

  /** Sends the held responses at once. */
  release(): void {
    this.#release();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connect(client: Socket, server: Socket): void {
    const cut = () => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) this.#sockets.add(socket.on('error', cut).on('close', cut));
    client.pipe(server);
    let held: Buffer[] | undefined;
    server.on('data', (response) => {
      if (this.#holdFrom !== undefined && response.includes(this.#holdFrom)) {
        this.#holdFrom = undefined;
        held = [];
        this.#release = () => {
          client.write(Buffer.concat(held ?? []));
          held = undefined;
        };
      }
      if (this.#isLossy) cut();
      else if (held === undefined) client.write(response);
      else held.push(response);
      this.#isLossy = false;
      if (held === undefined) return;
      this.#held = Buffer.concat(held).toString();
      this.#onHeld();
    });
  }
}
