import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Channel, createSse, memoryLog } from '../../lib';
import { runWithGc } from '../support/gc-process';
import { releaseAll, serve, type TestServer } from '../support/serve';

afterEach(releaseAll);

/** A server on a Unix socket, whose small buffers make backpressure cheap. */
class SmallServer {
  static async start(listener: RequestListener): Promise<SmallServer> {
    const folder = mkdtempSync(join(tmpdir(), 'express-yield-'));
    const server = createServer(listener).listen(join(folder, 'socket'));
    await once(server, 'listening');
    return new SmallServer(folder, server);
  }

  readonly #folder: string;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  private constructor(folder: string, server: Server) {
    this.#folder = folder;
    this.#server = server;
  }

  /** Connects and requests a stream without reading it. */
  async connect(): Promise<Socket> {
    const socket = connect(join(this.#folder, 'socket')).on('error', () => undefined);
    await once(socket, 'connect');
    socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
    this.#sockets.push(socket);
    return socket;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.#folder, { recursive: true });
  }
}

/** Publishes until the socket of the first client is full. */
async function fill(server: TestServer, channel: Channel<string>): Promise<void> {
  while (!server.isFull) {
    void channel.publish('x'.repeat(60_000));
    await setImmediate();
  }
}

describe('100 of 1,000 clients that never read', () => {
  it('cost only their socket buffers, delay no other client, and are disconnected when the log is trimmed past them', async () => {
    const channel = new Channel<string>({ log: memoryLog({ maxEvents: 40 }) });
    const sse = createSse({ stallTimeoutMs: false });
    const responses: ServerResponse[] = [];
    const handler = sse((_req: unknown, res: ServerResponse) => {
      responses.push(res);
      return channel;
    });
    const server = await SmallServer.start((req, res) => handler(req, res));
    const tails = new Array<string>(900).fill('');
    for (let n = 0; n < 100; n++) await server.connect();
    for (let n = 0; n < 900; n++) {
      const socket = (await server.connect()).setEncoding('latin1');
      socket.on('data', (text) => {
        tails[n] = `${tails[n]}${text}`.slice(-100);
      });
    }
    while (channel.size < 1_000) await setImmediate();

    for (let n = 0; n < 150; n++) await channel.publish('x'.repeat(4_000));
    const last = await channel.publish('last');
    while (tails.some((tail) => !tail.endsWith(`id: ${last}\ndata: last\n\n\r\n`))) await setImmediate();

    expect(channel.size).toBe(900);
    const bufferedBytes = responses.slice(0, 100).map((res) => res.socket?.writableLength ?? 0);
    // One batch in the socket, and one that the connection already had when the socket needed a drain.
    expect(Math.max(...bufferedBytes)).toBeLessThan(200_000);
    await channel.close();
    await server.stop();
    while (sse.size > 0) await setImmediate();
  });
});

describe('a client that reads nothing for a while', () => {
  it('is disconnected when the log is trimmed past it, also if it is the only client', async () => {
    const channel = new Channel<string>({ log: memoryLog({ maxEvents: 4 }) });
    const server = await serve((app) => app.get('/', () => channel), { stallTimeoutMs: false });
    const client = await server.openStream('/');
    client.stall();

    await fill(server, channel);
    for (let n = 0; n < 20; n++) await channel.publish('late');

    while (channel.size + server.sse.size > 0) await setImmediate();
    expect(server.errors).toEqual([]);
  });

  it('receives one gap and the retained events with overflow: skip', async () => {
    const channel = new Channel<string>({ overflow: 'skip', log: memoryLog({ maxEvents: 4 }) });
    const server = await serve((app) => app.get('/', () => channel), { stallTimeoutMs: false });
    const client = await server.openStream('/');
    const other = await server.openStream('/');
    client.stall();

    await fill(server, channel);
    for (let n = 0; n < 2_000; n++) await channel.publish(`late ${n}`);
    client.resume();
    await client.untilText('data: late 1999');

    const [before = '', after = ''] = client.text.split('event: gap\n');
    expect(client.text.split('event: gap\n')).toHaveLength(2);
    expect(before).not.toContain('late');
    const ids = [...after.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
    expect(after).toMatch(/^data: \{"lastEventId":".*","oldest":"(.*)"\}\n\nid: \1\ndata: late 1996\n\n/);
    expect(ids).toHaveLength(4);
    expect(other.text).toContain('data: late 1999');
  });

  it('continues without a gap if the log still retains its next event', async () => {
    const channel = new Channel<string>();
    const server = await serve((app) => app.get('/', () => channel));
    const client = await server.openStream('/');
    client.stall();

    await fill(server, channel);
    for (let n = 0; n < 50; n++) await channel.publish('late');
    client.resume();
    await channel.end();
    const body = await client.ended();

    const numbers = [...body.matchAll(/^id: .*-(\d+)\ndata/gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(body).toMatch(/data: late\n\nevent: end\nid: ~end\ndata: null\n\n$/);
  });

  it('can disconnect while it is stalled', async () => {
    const channel = new Channel<string>();
    const server = await serve((app) => app.get('/', () => channel));
    const client = await server.openStream('/');
    client.stall();

    await fill(server, channel);
    client.drop();
    while (channel.size > 0) await setImmediate();
    await channel.publish('after');

    expect(server.sse.size).toBe(0);
  });
});

describe('a publisher that awaits', () => {
  it('does not overflow readers that keep up', async () => {
    const channel = new Channel<number>({ log: memoryLog({ maxEvents: 10 }) });
    const readers = Array.from({ length: 300 }, async () => {
      let sum = 0;
      for await (const { data } of channel) sum += data as number;
      return sum;
    });
    while (channel.size < 300) await setImmediate();

    for (let n = 1; n <= 500; n++) await channel.publish(n);
    await channel.end();

    expect(new Set(await Promise.all(readers))).toEqual(new Set([125_250]));
  });

  it('completes although another publisher floods the channel', async () => {
    const channel = new Channel<number>();
    const readers = Array.from({ length: 1_000 }, async () => {
      for await (const _ of channel);
    });
    let flooding = true;
    const flood = (async () => {
      for (let n = 0; flooding; n++) {
        void channel.publish(n);
        await setImmediate();
      }
    })();
    for (let turn = 0; turn < 300; turn++) await setImmediate();

    for (let n = 0; n < 10; n++) await channel.publish(n);

    flooding = false;
    await flood;
    await channel.end();
    await Promise.all(readers);
    expect(channel.size).toBe(0);
  });

  it('completes when the readers that it waits for unsubscribe', async () => {
    const channel = new Channel<number>({ log: memoryLog({ maxEvents: 4 }) });
    const subscriptions = Array.from({ length: 10 }, () => channel.subscribe());
    const reading = subscriptions.map((subscription) => subscription.next());

    const publishing = Array.from({ length: 50 }, (_, n) => channel.publish(n));
    await Promise.all(subscriptions.map((subscription) => subscription.return()));
    await Promise.all([...publishing, ...reading]);

    expect(channel.size).toBe(0);
  });

  it('is not blocked by a client that reads nothing', async () => {
    const channel = new Channel<string>();
    const server = await serve((app) => app.get('/', () => channel));
    const client = await server.openStream('/');
    client.stall();
    await fill(server, channel);

    for (let n = 0; n < 500; n++) await channel.publish('x');

    expect(channel.size).toBe(1);
  });
});

describe('many channels', () => {
  it('without subscribers and events cost less than 200 bytes each', async () => {
    const bytes = await runWithGc(`
      const { Channel, memoryLog } = lib;
      const channels = [new Channel()];
      const before = await heap();
      for (let i = 0; i < 100_000; i++) channels.push(new Channel());
      const after = await heap();
      return (after - before) / (channels.length - 1);
    `);

    expect(bytes).toBeGreaterThan(50);
    expect(bytes).toBeLessThan(200);
  });

  it('whose only subscriber has left cost less than 1,500 bytes each', async () => {
    const bytes = await runWithGc(`
      const { Channel, memoryLog } = lib;
      const usedChannel = async () => {
        const channel = new Channel({ log: memoryLog() });
        const subscription = channel.subscribe();
        const next = subscription.next();
        await turn();
        await subscription.return();
        await next;
        return channel;
      };
      const channels = [await usedChannel()];
      const before = await heap();
      for (let i = 0; i < 2_000; i++) channels.push(await usedChannel());
      return ((await heap()) - before) / (channels.length - 1);
    `);

    // By then, the log has an epoch and a window.
    expect(bytes).toBeLessThan(1_500);
  });

  it('that are used and released leave nothing in the heap', async () => {
    const bytes = await runWithGc(`
      const { Channel, memoryLog } = lib;
      const cycle = async (n) => {
        const channel = new Channel({ log: memoryLog({ maxAgeMs: 1 }) });
        const readers = [channel, channel.filter(() => true)].map(async (each) => {
          try { for await (const { data } of each) if (n % 3 === 0) break; } catch {}
        });
        const controller = new AbortController();
        const aborted = channel.subscribe({ signal: controller.signal }).next().catch(() => 0);
        for (let i = 0; i < 3; i++) await channel.publish({ n, i });
        controller.abort();
        if (n % 3 === 1) await channel.end();
        if (n % 3 === 2) await channel.close();
        await Promise.all([...readers, aborted]);
        if (channel.size !== 0) throw new Error('left');
      };
      // Long enough for what Node 22 compiles once: 400 kB between the 3,000th and the 13,000th (measured).
      for (let n = 0; n < 13_000; n++) await cycle(n);
      await new Promise((resolve) => setTimeout(resolve, 20));
      const before = await heap();
      for (let n = 0; n < 10_000; n++) await cycle(n);
      await new Promise((resolve) => setTimeout(resolve, 20));
      return ((await heap()) - before) / 10_000;
    `);

    expect(bytes).toBeLessThan(30);
  });
});
