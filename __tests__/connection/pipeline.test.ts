import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { sse } from '../../lib';
import { Gate } from '../support/gate';
import { get, Wire } from '../support/wire';

/** A response that does not emit 'socket', which Node documents for requests only. */
class WithoutSocketEvent<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  override emit(name: string | symbol, ...values: unknown[]): boolean {
    return name !== 'socket' && super.emit(name, ...values);
  }
}

/** A server that answers `/slow` when `go` opens, and passes other requests to `listener`. */
class PipelineServer {
  static async start(listener: RequestListener, Response = ServerResponse): Promise<PipelineServer> {
    const server = new PipelineServer(listener, Response);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  readonly go = new Gate();
  readonly sockets: Socket[] = [];
  #listeners = 0;
  readonly #server: Server;

  private constructor(listener: RequestListener, Response: typeof ServerResponse) {
    const onRequest: RequestListener = async (req, res) => {
      if (req.url !== '/slow') return listener(req, res);
      this.#listeners = req.socket.listenerCount('close');
      await this.go.promise;
      res.end('slow');
    };
    this.#server = createServer({ ServerResponse: Response }, onRequest);
    this.#server.on('connection', (socket: Socket) => this.sockets.push(socket));
  }

  /** Sends these requests, in one write, after one for `/slow`. */
  open(...paths: string[]): Promise<Wire> {
    const { port } = this.#server.address() as AddressInfo;
    return Wire.open(port, ['/slow', ...paths].map((path) => get(path, '')).join(''));
  }

  /** Asserts that nothing of the package is left, and resolves when the last connection has closed. */
  async close(): Promise<void> {
    expect(channel('http.server.response.finish').hasSubscribers).toBe(false);
    this.#server.close();
    await once(this.#server, 'close');
    expect(this.sockets[0]?.listenerCount('close')).toBeLessThanOrEqual(this.#listeners);
  }
}

/** A source that can be asked whether it was started or closed. */
function observed(started: () => void) {
  const returned = new Gate();
  async function* values() {
    started();
    yield 1;
  }
  const source = values();
  const original = source.return.bind(source);
  source.return = () => {
    returned.open();
    return original();
  };
  return { source, returned };
}

describe('a response that is destroyed while it waits in a pipeline', () => {
  // Since 24.16 and 26.1, Node itself leaves the connection open.
  it('closes the connection after the previous response, and its source never starts', async () => {
    const started = jest.fn();
    const { source, returned } = observed(started);
    const destroyed = new Gate();
    const server = await PipelineServer.start(
      sse((_req: IncomingMessage, res: ServerResponse) => {
        global.setImmediate(() => {
          res.destroy();
          destroyed.open();
        });
        return source;
      }),
    );
    const wire = await server.open('/stream');
    await destroyed.promise;

    server.go.open();

    expect(await wire.ended()).toMatch(/\r\n\r\nslow$/);
    await returned.promise;
    expect(started).not.toHaveBeenCalled();
    await server.close();
  });

  it('closes the connection also where no error can be sent', async () => {
    const failed = new Gate<unknown>();
    const server = await PipelineServer.start(
      sse(
        (_req: IncomingMessage, res: ServerResponse) => {
          res.statusMessage = 'cannot\nbe sent';
          throw new Error('the handler failed');
        },
        { onError: failed.open },
      ),
    );
    const wire = await server.open('/stream');
    expect(await failed.promise).toMatchObject({ message: 'the handler failed' });

    server.go.open();

    expect(await wire.ended()).toMatch(/\r\n\r\nslow$/);
    await server.close();
  });

  it('leaves nothing behind if the client closes the connection first', async () => {
    const { source, returned } = observed(() => undefined);
    const waiting = new Gate();
    const server = await PipelineServer.start(
      sse((_req: IncomingMessage, res: ServerResponse) => {
        global.setImmediate(() => {
          res.destroy();
          waiting.open();
        });
        return source;
      }),
    );
    const wire = await server.open('/stream');
    await waiting.promise;

    wire.socket.destroy();

    await once(server.sockets[0] as Socket, 'close');
    await returned.promise;
    server.go.open();
    await server.close();
  });
});

describe('the turn of a response that waits in a pipeline', () => {
  it.each([
    ["the event 'socket'", ServerResponse],
    ['the diagnostics channel alone', WithoutSocketEvent],
  ])('is known from %s', async (_how, Response) => {
    const waiting = new Gate();
    const server = await PipelineServer.start(
      sse((req: IncomingMessage) => {
        if (req.url === '/2') waiting.open();
        return observed(() => undefined).source;
      }),
      Response,
    );
    const wire = await server.open('/1', '/2');
    await waiting.promise;

    server.go.open();

    await wire.until('slow');
    while (wire.text.split('id: ~end').length < 3) await once(wire.socket, 'data');
    wire.socket.destroy();
    await server.close();
  });
});
