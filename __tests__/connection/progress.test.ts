import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
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
      // Much more than the system holds for two sockets, so that the server has to wait for the client.
      const data = 'x'.repeat(32 * MIB);
      const stallTimeoutMs = 500;
      const server = await serve((app) => void app.get('/', routeOf(data, cleaned)), { stallTimeoutMs });
      const wire = await Wire.open(server.port, get('/', EVENT_SOURCE));
      const [from, waits] = [performance.now(), server.full()];

      const received = readSteadily(wire, data.length, 10);
      await waits;
      while (server.responses[0]?.socket?.writableNeedDrain) await sleep(5);
      const waitedMs = performance.now() - from;

      // Longer than the time-out in all, although each piece takes much less.
      expect(waitedMs).toBeGreaterThan(stallTimeoutMs);
      expect(await received).toBeGreaterThanOrEqual(data.length);
      expect(server.sse.size).toBe(1);
      wire.socket.destroy();
      await cleaned.promise;
    },
    20_000,
  );
});

describe('a client that reads nothing', () => {
  /** A connection that stays open in the direction of the client after it has ended its own. */
  async function connectPaused(port: number): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    socket.pause();
    socket.write(get('/', EVENT_SOURCE));
    return socket;
  }

  it('is disconnected after stallTimeoutMs, and finally runs', async () => {
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
    const socket = await connectPaused(server.port);

    await cleaned.promise;

    // Not pulled any further than the buffers of two sockets hold.
    expect(pulled).toBeLessThan(200);
    expect(server.sse.size).toBe(0);
    socket.destroy();
  });

  it.each([
    ['directly', false],
    ['through a wrapped res.write', true],
  ])('and has sent FIN is disconnected after stallTimeoutMs, although no write has asked to wait: %s', async (_how, isWrapped) => {
    const [filled, cleaned] = [new Gate(), new Gate()];
    let pulled = 0;
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          const socket = res.socket as Socket;
          const write = res.write.bind(res);
          if (isWrapped) res.write = ((...args: Parameters<typeof write>) => write(...args)) as typeof write;
          try {
            // Until the system takes no more. What waits in the process is less than its high-water mark.
            while (socket.writableLength === 0) {
              yield 'x'.repeat(5_000);
              await setImmediate();
            }
            expect(socket.writableNeedDrain).toBe(false);
            const ended = once(socket, 'end');
            filled.open();
            await ended;
            for (; pulled < 200; pulled++) {
              yield 'after the end of the client';
              await setImmediate();
            }
          } finally {
            cleaned.open();
          }
        });
      },
      { stallTimeoutMs: 100, keepAliveMs: false },
    );
    const socket = await connectPaused(server.port);
    await filled.promise;

    socket.end();
    await cleaned.promise;

    expect(pulled).toBeLessThan(3);
    expect(server.sse.size).toBe(0);
    socket.destroy();
  }); // biome-ignore format: one line

  it('and has sent FIN is disconnected after stallTimeoutMs, although no write has asked to wait: from a channel', async () => {
    const channel = new Channel<string>();
    const server = await serve((app) => app.get('/', () => channel), {
      stallTimeoutMs: 100,
      keepAliveMs: false,
    });
    const client = await connectPaused(server.port);
    while (channel.size === 0) await setImmediate();
    const socket = server.responses[0]?.socket as Socket;
    while (socket.writableLength === 0) {
      await channel.publish('x'.repeat(5_000));
      await setImmediate();
    }
    expect(socket.writableNeedDrain).toBe(false);

    const ended = once(socket, 'end');
    client.end();
    await ended;
    await channel.publish('after the end of the client');

    while (channel.size > 0) await sleep(1);
    expect([server.sse.size, socket.destroyed]).toEqual([0, true]);
    client.destroy();
  });
});

/** A client in a process of its own, which reads while this process is blocked. It prints the last text that it receives. */
function spawnReader(port: number): ChildProcess {
  const code = `
    const socket = require('node:net').connect(${port}, '127.0.0.1').setEncoding('utf8');
    socket.write(${JSON.stringify(get('/', EVENT_SOURCE))});
    let text = '';
    socket.on('data', (piece) => {
      text = (text + piece).slice(-100);
      if (text.includes('data: last')) process.stdout.write('last');
    });
    socket.on('close', () => process.exit());`;
  return spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
}

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('after a blocked event loop', () => {
  it('a client that has read everything is not stalled', async () => {
    const stallTimeoutMs = 1_000;
    const cleaned = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          try {
            yield 'x'.repeat(32 * MIB);
            yield 'last';
            await new Promise((resolve) => res.sse.signal.addEventListener('abort', resolve));
          } finally {
            cleaned.open();
          }
        });
      },
      { stallTimeoutMs },
    );
    const reader = spawnReader(server.port);
    await server.full();

    // In this phase of the event loop: timers come next, and then what was read.
    await setImmediate();
    block(stallTimeoutMs + 500);

    expect(String((await once(reader.stdout as Readable, 'data'))[0])).toBe('last');
    expect(server.sse.size).toBe(1);
    reader.kill();
    await cleaned.promise;
  });

  it('a check that has been answered meanwhile still becomes a status', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield* [];
        const checking = access(__filename);
        // After the time-out for the first value has been set. Another thread does the check.
        void setImmediate().then(() => block(120));
        await checking;
        throw Object.assign(new Error('no'), { status: 401 });
      });
    });

    const client = await server.openStream('/');

    expect(client.status).toBe(401);
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
