import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel } from '../../lib';
import { Gate } from '../support/gate';
import { releaseAll, serve } from '../support/serve';
import { get, Wire } from '../support/wire';

const EVENT_SOURCE = 'Accept: text/event-stream\r\n';
const MIB = 2 ** 20;

afterEach(releaseAll);

/** A generator that sends one event and then waits; it opens `cleaned` in its `finally`. */
function oneEvent(data: string, cleaned: Gate) {
  return async function* (_req: unknown, res: { sse: { signal: AbortSignal } }) {
    try {
      yield data;
      await new Promise((resolve) => res.sse.signal.addEventListener('abort', resolve));
    } finally {
      cleaned.open();
    }
  };
}

/** Reads a response slowly but steadily, until `length` bytes have arrived. */
async function readSteadily(wire: Wire, length: number, pauseMs: number): Promise<number> {
  let received = 0;
  wire.socket.removeAllListeners('data');
  wire.socket.on('data', (chunk: string) => {
    received += chunk.length;
    wire.socket.pause();
  });
  while (received < length && !wire.socket.destroyed) {
    await sleep(pauseMs);
    wire.socket.resume();
    await setImmediate();
  }
  return received;
}

describe('a client that reads one large event slowly but steadily', () => {
  it.each([
    ['a generator', (data: string, cleaned: Gate) => oneEvent(data, cleaned)],
    [
      'a channel',
      (data: string, cleaned: Gate) => {
        const channel = new Channel<string>({ replay: true });
        void channel.publish(data);
        return (_req: unknown, res: { once(name: string, listener: () => void): void }) => {
          res.once('close', () => cleaned.open());
          return channel;
        };
      },
    ],
  ])(
    'is not stalled (%s)',
    async (_name, routeOf) => {
      const cleaned = new Gate();
      const data = 'x'.repeat(14 * MIB);
      const server = await serve((app) => void app.get('/', routeOf(data, cleaned)), {
        stallTimeoutMs: 2_000,
      });

      const wire = await Wire.open(server.port, get('/', EVENT_SOURCE));

      // Longer than the time-out in all, although each piece takes much less.
      expect(await readSteadily(wire, data.length, 12)).toBeGreaterThanOrEqual(data.length);
      expect(server.sse.size).toBe(1);
      wire.socket.destroy();
      await cleaned.promise;
    },
    20_000,
  );
});

describe('a client that reads nothing', () => {
  it.each([
    ['and stays', () => undefined],
    ['and sends FIN', (wire: Wire) => wire.socket.end()],
  ])('%s is disconnected after stallTimeoutMs, and finally runs', async (_name, act) => {
    const cleaned = new Gate();
    let pulled = 0;
    const server = await serve(
      (app) => {
        app.get('/', async function* () {
          try {
            for (;;) {
              pulled++;
              yield 'x'.repeat(100_000);
            }
          } finally {
            cleaned.open();
          }
        });
      },
      { stallTimeoutMs: 100 },
    );
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    socket.pause();
    socket.write(get('/', EVENT_SOURCE));
    act({ socket } as unknown as Wire);

    await cleaned.promise;

    // Not pulled any further than the buffers of two sockets hold.
    expect(pulled).toBeLessThan(200);
    expect(server.sse.size).toBe(0);
    socket.destroy();
  });
});

describe('after a blocked event loop', () => {
  it('a client that has read everything is not stalled', async () => {
    const [cleaned, blocked] = [new Gate(), new Gate()];
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          try {
            yield 'x'.repeat(3 * MIB);
            yield 'last';
            await new Promise((resolve) => res.sse.signal.addEventListener('abort', resolve));
          } finally {
            cleaned.open();
          }
        });
      },
      { stallTimeoutMs: 50 },
    );
    const wire = await Wire.open(server.port, get('/', EVENT_SOURCE));
    await once(wire.socket, 'data');

    const until = performance.now() + 120;
    while (performance.now() < until);
    blocked.open();

    await wire.until('data: last\n\n');
    await sleep(20);
    expect(server.sse.size).toBe(1);
    wire.socket.destroy();
    await cleaned.promise;
  });

  it('a check that has been answered meanwhile still becomes a status', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield* [];
        await sleep(5);
        throw Object.assign(new Error('no'), { status: 401 });
      });
    });
    const wire = await Wire.open(server.port, get('/', `${EVENT_SOURCE}Connection: close\r\n`));
    while (server.sse.size === 0) await setImmediate();
    await setImmediate();

    const until = performance.now() + 120;
    while (performance.now() < until);

    expect(await wire.ended()).toMatch(/^HTTP\/1.1 401 /);
    await server.errorsHandled(1);
  });
});

describe('a request with a large body that the handler does not read', () => {
  it('does not hide that its client has left', async () => {
    const cleaned = new Gate();
    const server = await serve((app) => void app.post('/', oneEvent('first', cleaned)), {
      keepAliveMs: false,
    });
    const length = 4 * MIB;
    const wire = await Wire.open(
      server.port,
      `POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${length}\r\n\r\n`,
    );
    wire.socket.write('x'.repeat(length));
    await wire.until('data: first\n\n');

    wire.socket.destroy();

    await cleaned.promise;
  });

  it('can still be read later if it is small', async () => {
    const server = await serve((app) => {
      app.post('/', async function* (req) {
        yield 'first';
        let body = '';
        for await (const chunk of req) body += String(chunk);
        return body;
      });
    });

    const response = await fetch(server.url('/'), { method: 'POST', body: 'hello' });

    expect(await response.text()).toBe('data: first\n\ndata: hello\n\n');
  });
});
