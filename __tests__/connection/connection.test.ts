import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import compression from 'compression';
import type { Express, RequestHandler } from 'express';
import { sse } from '../../lib';
import { aborted, Gate } from '../support/gate';
import { HandlerServer } from '../support/handler';
import { releaseAll, serve } from '../support/serve';
import { get, Wire } from '../support/wire';

afterEach(releaseAll);

const END = 'event: end\nid: ~end\ndata: null\n\n';
const END_CHUNK = `20\r\n${END}\r\n0\r\n\r\n`;

type Generator = () => AsyncGenerator<unknown, unknown, undefined>;

/** Requests a stream over a plain socket, and waits for the end of the response. */
async function wireOf(generator: Generator, request = get()): Promise<Wire> {
  const server = await HandlerServer.start(sse(generator));
  const wire = await Wire.open(server.port, request);
  await wire.ended();
  await server.close();
  return wire;
}

/** A middleware that wraps `res.write` and calls `onWrite` with each text. */
function wrappedWrite(onWrite: (text: string) => void): RequestHandler {
  return (_req, res, next) => {
    const { write } = res;
    res.write = ((text: string) => {
      onWrite(text);
      return write.call(res, text, 'utf8');
    }) as ServerResponse['write'];
    next();
  };
}

function route(generator: Generator): (app: Express) => void {
  return (app) => app.get('/', generator);
}

async function* oneTwo() {
  yield 'one';
  await setImmediate();
  yield 'two';
  await setImmediate();
}

describe('bytes on the wire', () => {
  it('are HTTP chunks of frames, the same before and after the first write', async () => {
    const wire = await wireOf(async function* () {
      yield* oneTwo();
      yield 'drei ü ✓ 🚀';
      await setImmediate();
    });

    const chunks = ['b\r\ndata: one\n\n\r\n', 'b\r\ndata: two\n\n\r\n', '18\r\ndata: drei ü ✓ 🚀\n\n\r\n'];
    expect(wire.body).toBe(chunks.join('') + END_CHUNK);
  });

  it('are not chunked on HTTP/1.0', async () => {
    const wire = await wireOf(oneTwo, get('/', '', '1.0'));

    expect(wire.body).toBe(`data: one\n\ndata: two\n\n${END}`);
  });

  it('of a pipelined response follow those of the response before it', async () => {
    const server = await HandlerServer.start(
      sse(async function* (req) {
        for (let i = 0; i < 3; i++) {
          await sleep(req.url === '/first' ? 10 : 1);
          yield `${req.url} ${i}`;
        }
      }),
    );

    const wire = await Wire.open(server.port, get('/first', '') + get('/second'));
    const order = [...(await wire.ended()).matchAll(/data: (\/\w+ \d)/g)].map(([, data]) => data);

    expect(order).toEqual(['/first 0', '/first 1', '/first 2', '/second 0', '/second 1', '/second 2']);
    await server.close();
  });

  it('all pass through a wrapped res.write', async () => {
    const texts: string[] = [];
    const server = await serve(route(oneTwo), { outermost: [wrappedWrite((text) => texts.push(text))] });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`data: one\n\ndata: two\n\n${END}`);
    expect(texts).toEqual(['data: one\n\n', 'data: two\n\n']);
  });

  it('do not wait for a drain when a wrapped res.write returns undefined', async () => {
    const withoutReturnValue: RequestHandler = (_req, res, next) => {
      const { write } = res;
      res.write = ((text: string) =>
        void write.call(res, text, 'utf8')) as unknown as ServerResponse['write'];
      next();
    };
    const server = await serve(route(oneTwo), { outermost: [withoutReturnValue] });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`data: one\n\ndata: two\n\n${END}`);
  });

  it('do not change when a middleware has set res.stream', async () => {
    const setResStream: RequestHandler = (_req, res, next) => {
      Object.assign(res, { stream: () => 1 });
      next();
    };
    const server = await serve(route(oneTwo), { outermost: [setResStream] });

    const client = await server.openStream('/');

    expect(await client.ended()).toBe(`data: one\n\ndata: two\n\n${END}`);
  });

  it.each([
    ['directly to the socket', []],
    ['through a wrapped res.write', [wrappedWrite(() => undefined)]],
  ])('stay whole and in order while a socket fills and drains (%s)', async (_how, outermost) => {
    const server = await serve(
      route(async function* () {
        for (let i = 0; i < 20_000; i++) yield `${i} ${'ü'.repeat(i % 300)}`;
      }),
      { outermost },
    );
    const client = await server.openStream('/');
    client.stall();
    await server.full();
    client.resume();

    const events = [...(await client.ended()).matchAll(/^data: (\d+) (ü*)$/gm)];

    expect(events).toHaveLength(20_000);
    expect(events.every(([, n, text], i) => Number(n) === i && text?.length === i % 300)).toBe(true);
  });
});

describe('text that is not ASCII', () => {
  // Since Node 24.22 and 26.9, `res.write(string)` counts bytes and the socket characters, so that 'drain' may never follow.
  it.each<[string, RequestHandler]>([
    ['a wrapped res.write', wrappedWrite(() => undefined)],
    ['compression()', compression()],
  ])('arrives whole at a client that reads late, through %s, and finally runs', async (_how, wrapper) => {
    // One, two, three and four bytes in UTF-8. The frames are short, so that a write has more bytes than the high-water mark,
    // but fewer characters.
    const texts = Array.from({ length: 15_000 }, (_, i) => `${i} ${'aé✓🚀'.repeat(40 + (i % 40))}`);
    const done = new Gate();
    const server = await serve(
      route(async function* () {
        try {
          yield* texts;
        } finally {
          done.open();
        }
      }),
      { outermost: [wrapper] },
    );
    const client = await server.openStream('/', { headers: { 'Accept-Encoding': 'gzip' } });
    client.stall();
    while (!server.responses[0]?.writableNeedDrain) await sleep(1);

    client.resume();

    const events = (await client.ended()).split('\n\n');
    expect(events.findIndex((event, i) => event !== `data: ${texts[i]}`)).toBe(texts.length);
    expect(`${events.slice(texts.length).join('\n\n')}`).toBe(END);
    await done.promise;
  });
});

describe('coalescing', () => {
  it('puts the frames that become ready in one turn into one chunk', async () => {
    const wire = await wireOf(async function* () {
      yield 0;
      await setImmediate();
      yield 1;
      yield 2;
      yield 3;
      await setImmediate();
      yield 4;
      await setImmediate();
    });

    const chunks = [
      '9\r\ndata: 0\n\n\r\n',
      '1b\r\ndata: 1\n\ndata: 2\n\ndata: 3\n\n\r\n',
      '9\r\ndata: 4\n\n\r\n',
    ];
    expect(wire.body).toBe(chunks.join('') + END_CHUNK);
  });

  it('writes a single event before any timer or immediate runs', async () => {
    const order: string[] = [];
    const server = await serve(
      route(async function* () {
        yield 'first';
        await sleep(2);
        setTimeout(() => order.push('timer'));
        global.setImmediate(() => order.push('immediate'));
        yield 'single';
        await sleep(5);
      }),
      { outermost: [wrappedWrite((text) => order.push(text))] },
    );

    await (await server.openStream('/')).ended();

    expect(order.slice(0, 2)).toEqual(['data: first\n\n', 'data: single\n\n']);
    expect(order).toHaveLength(4);
  });

  it('writes 1,000 events of 100 bytes in fewer than 20 writes', async () => {
    const write = jest.spyOn(Socket.prototype, 'write');

    await wireOf(async function* () {
      for (let i = 0; i < 1_000; i++) yield 'x'.repeat(92);
    });

    expect(write.mock.calls.length).toBeLessThan(20);
    write.mockRestore();
  });

  it('lets the event loop run other work while a generator never waits', async () => {
    let turns = 0;
    const server = await serve(
      route(async function* () {
        const timer = setInterval(() => undefined, 1_000);
        const onTurn = () => {
          turns++;
          turn = global.setImmediate(onTurn);
        };
        let turn = global.setImmediate(onTurn);
        try {
          for (let i = 0; i < 5_000; i++) yield 'x'.repeat(100);
        } finally {
          clearInterval(timer);
          clearImmediate(turn);
        }
      }),
    );

    await (await server.openStream('/')).ended();

    // 540,000 bytes, with one turn of the event loop per 64 KiB.
    expect(turns).toBeGreaterThanOrEqual(8);
  });
});

describe('backpressure', () => {
  it('pulls no more values than the socket accepts', async () => {
    let pulled = 0;
    const done = new Gate();
    const server = await serve(
      route(async function* () {
        try {
          for (;;) {
            pulled++;
            yield 'x'.repeat(10_000);
          }
        } finally {
          done.open();
        }
      }),
    );
    const client = await server.openStream('/');
    client.stall();
    await server.full();
    const before = pulled;
    for (let turn = 0; turn < 100; turn++) await setImmediate();

    expect(pulled - before).toBeLessThanOrEqual(2);
    // Two writes, also where the high-water mark of Node is 64 KiB.
    expect(server.responses[0]?.socket?.writableLength).toBeLessThan(40_000);
    client.drop();
    await done.promise;
  });

  it('sends no keep-alive to a client that does not read', async () => {
    const done = new Gate();
    const texts: string[] = [];
    const server = await serve(
      route(async function* () {
        try {
          for (;;) yield 'x'.repeat(50_000);
        } finally {
          done.open();
        }
      }),
      { keepAliveMs: 1, outermost: [wrappedWrite((text) => texts.push(text.slice(0, 20)))] },
    );
    const client = await server.openStream('/');
    client.stall();
    while (!server.responses[0]?.writableNeedDrain) await sleep(1);
    // More than twice the idle time, which is at least 16 ticks of 1 ms.
    await sleep(60);

    expect(texts).not.toContain(': keep-alive\n\n');
    client.drop();
    await done.promise;
  });
});

describe('compression()', () => {
  it('does not compress the stream by default, and each event arrives immediately', async () => {
    const gate = new Gate();
    const server = await serve(
      route(async function* () {
        yield 'one';
        await gate.promise;
        yield 'two';
      }),
      { outermost: [compression()] },
    );

    const client = await server.openStream('/', { headers: { 'Accept-Encoding': 'gzip' } });
    await client.untilText('data: one\n\n');
    gate.open();

    expect(client.headers).not.toHaveProperty('content-encoding');
    expect(await client.ended()).toBe(`data: one\n\ndata: two\n\n${END}`);
  });

  it.each(['gzip', 'br'])(
    'compresses with compress: true (%s), and each event and keep-alive arrives immediately',
    async (encoding) => {
      const gate = new Gate();
      const server = await serve(
        route(async function* () {
          yield 'one';
          await gate.promise;
          yield 'two';
        }),
        { outermost: [compression()], foreignListeners: 1, compress: true, keepAliveMs: 16 },
      );

      const client = await server.openStream('/', { headers: { 'Accept-Encoding': encoding } });

      expect(client.headers).toMatchObject({
        'content-encoding': encoding,
        'cache-control': 'private, no-cache, no-store',
      });
      await client.untilText('data: one\n\n: keep-alive\n\n');
      gate.open();
      const text = await client.ended();
      expect(text.replaceAll(': keep-alive\n\n', '')).toBe(`data: one\n\ndata: two\n\n${END}`);
    },
  );

  it('is not required for compress: true', async () => {
    const server = await serve(route(oneTwo), { compress: true });

    const client = await server.openStream('/', { headers: { 'Accept-Encoding': 'gzip' } });

    expect(await client.ended()).toBe(`data: one\n\ndata: two\n\n${END}`);
  });

  it('applies backpressure with compress: true, and runs finally when the client disconnects', async () => {
    const done = new Gate();
    let pulled = 0;
    const server = await serve(
      route(async function* () {
        try {
          for (;;) {
            pulled++;
            yield randomBytes(20_000).toString('hex');
          }
        } finally {
          done.open();
        }
      }),
      { outermost: [compression()], foreignListeners: 1, compress: true },
    );
    const client = await server.openStream('/', { headers: { 'Accept-Encoding': 'gzip' } });
    client.stall();
    await server.full();
    for (let before = -1; before !== pulled; await sleep(20)) before = pulled;

    client.drop();
    await done.promise;
    expect(pulled).toBeLessThan(1_000);
  });
});

describe('a write that throws', () => {
  it('passes its error to next, and runs finally', async () => {
    const done = new Gate();
    const server = await serve(
      (app) => {
        app.get('/', async function* (_req, res) {
          try {
            yield* oneTwo();
            await aborted(res.sse.signal);
          } finally {
            done.open();
          }
        });
      },
      {
        outermost: [
          wrappedWrite((text) => {
            if (text.includes('two')) throw new Error('broken middleware');
          }),
        ],
      },
    );

    const client = await server.openStream('/');

    expect(await server.errorsHandled(1)).toEqual([
      expect.objectContaining({ message: 'broken middleware' }),
    ]);
    await done.promise;
    await client.closed();
  });
});

describe('an incomplete answer of a fetch client', () => {
  const broken: Generator = async function* () {
    yield 'ü'.repeat(40_000);
    throw new Error('in the middle');
  };
  const all = `data: ${'ü'.repeat(40_000)}\n\n`;
  const FETCH = { headers: { Accept: '*/*', 'Accept-Encoding': 'gzip' } };

  it.each([
    ['without compression', { outermost: [] }],
    ['beside compression()', { outermost: [compression()], foreignListeners: 1 }],
    ['with compress: true', { outermost: [compression()], foreignListeners: 1, compress: true }],
  ])('is cut after its last bytes %s', async (_where, options) => {
    const server = await serve((app) => app.get('/', broken), options);

    const client = await server.openStream('/', FETCH);

    await expect(client.ended()).rejects.toThrow('the connection was lost');
    expect(client.text).toBe(all);
    await server.errorsHandled(1);
  });

  it('has no last chunk', async () => {
    const server = await serve((app) => app.get('/', async function* () {
      yield 1;
      throw new Error('in the middle');
    })); // biome-ignore format: short

    const wire = await Wire.open(server.port, 'GET / HTTP/1.1\r\nHost: test\r\n\r\n');

    expect((await wire.ended()).endsWith('\r\n\r\n9\r\ndata: 1\n\n\r\n')).toBe(true);
  });

  it('ends with a reset on HTTP/1.0, where the end of the connection is that of the response', async () => {
    const server = await serve((app) => app.get('/', async function* () {
      yield 1;
      throw new Error('in the middle');
    })); // biome-ignore format: short
    const wire = await Wire.open(server.port, 'GET / HTTP/1.0\r\nHost: test\r\n\r\n');
    const failed = once(wire.socket, 'close').then(
      () => 'closed',
      (error: NodeJS.ErrnoException) => error.code,
    );

    expect(await failed).toBe('ECONNRESET');
    expect(wire.body).toBe('data: 1\n\n');
  });
});
