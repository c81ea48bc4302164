import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  ServerResponse,
} from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel, sse } from '../../lib';
import { Gate } from '../support/gate';
import { get, Wire } from '../support/wire';

const LIB = join(__dirname, '../../lib');
const END = 'event: end\nid: ~end\ndata: null\n\n';
const FETCH = 'GET / HTTP/1.1\r\nHost: test\r\n\r\n';

/** A runtime on which a response has less than in Node. */
interface Runtime {
  readonly name: string;
  /** The properties that a response does not have. */
  readonly missing?: readonly string[];
  readonly Response?: typeof ServerResponse;
}

/** Sends the head with the first bytes of the body, and not when it is asked to. */
class HeadWithBody<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  _send(data: unknown, ...others: unknown[]): boolean {
    const { _send } = ServerResponse.prototype as unknown as { _send(...values: unknown[]): boolean };
    return data === '' || _send.call(this, data, ...others);
  }
}

const NODE: Runtime = { name: 'as it is' };

/** Everything that the package uses and Node does not document, or has deprecated. `pipeline.test.ts` has the event 'socket'. */
const RUNTIMES: readonly Runtime[] = [
  NODE,
  { name: 'without res.finished', missing: ['finished'] },
  { name: 'without res.chunkedEncoding', missing: ['chunkedEncoding'] },
  { name: 'without res.destroyed and res.closed', missing: ['destroyed', 'closed'] },
  {
    name: 'without any of them',
    missing: ['finished', 'chunkedEncoding', 'destroyed', 'closed'],
  },
  { name: 'whose flushHeaders() does not send the head', Response: HeadWithBody },
];

/** The package compares these with those of Node, which need no `finished` themselves. */
const COMPARED = ['write', 'flushHeaders'];

function without(res: ServerResponse, missing: readonly string[]): ServerResponse {
  return new Proxy(res, {
    get(target, name) {
      if (missing.includes(String(name))) return undefined;
      const value = Reflect.get(target, name, target);
      const isCompared = COMPARED.includes(String(name)) && String(missing) === 'finished';
      return typeof value === 'function' && !isCompared ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

let server: Server;
/** The sockets of the server, in the order of their connections. */
let sockets: Socket[];

async function listen(handler: RequestListener, { missing = [], Response = ServerResponse }: Runtime = NODE) {
  sockets = [];
  server = createServer({ ServerResponse: Response }, (req, res) =>
    handler(req, missing.length === 0 ? res : without(res, missing)),
  );
  server.on('connection', (socket: Socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function open(request = get()): Promise<Wire> {
  return Wire.open((server.address() as AddressInfo).port, request);
}

/** The text of a chunked body (RFC 9112 7.1), and whether it has its last chunk. */
function decoded(wire: Wire): { text: string; complete: boolean } {
  let [text, rest] = ['', Buffer.from(wire.body)];
  for (;;) {
    const length = Number.parseInt(rest.toString('latin1', 0, 20), 16);
    if (!(length > 0)) return { text, complete: rest.equals(Buffer.from('0\r\n\r\n')) };
    const start = rest.indexOf('\n') + 1;
    text += rest.toString('utf8', start, start + length);
    rest = rest.subarray(start + length + 2);
  }
}

afterEach(async () => {
  while (sse.size > 0) await setImmediate();
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

describe.each(RUNTIMES)('a response $name', (runtime) => {
  it('has every byte, also for a client that reads late', async () => {
    const texts = Array.from({ length: 3_000 }, (_, i) => `${i} ${'aé✓🚀'.repeat(i % 500)}`);
    texts.splice(1_000, 0, 'x'.repeat(2_000_000), 'ü'.repeat(500_000));
    const done = new Gate();
    let pulled = 0;
    await listen(
      sse(async function* () {
        try {
          for (const text of texts) {
            pulled++;
            yield text;
          }
        } finally {
          done.open();
        }
      }),
      runtime,
    );
    const wire = await open();
    wire.socket.pause();
    for (let before = -1; before !== pulled || pulled === 0; await sleep(20)) before = pulled;

    wire.socket.resume();
    await wire.ended();

    expect(pulled).toBeGreaterThan(1_000);
    const { text, complete } = decoded(wire);
    const events = text.split('\n\n');
    expect(events.findIndex((event, i) => event !== `data: ${texts[i]}`)).toBe(texts.length);
    expect([events.slice(texts.length).join('\n\n'), complete]).toEqual([END, true]);
    await done.promise;
  });

  it('ends its generator when the client disconnects', async () => {
    const done = new Gate();
    await listen(
      sse(async function* () {
        try {
          for (;;) {
            yield 'again';
            await sleep(5);
          }
        } finally {
          done.open();
        }
      }),
      runtime,
    );
    const wire = await open();
    await wire.until('data: again\n\n');

    wire.socket.destroy();

    await done.promise;
    while (sse.size > 0) await setImmediate();
  });

  it('closes its source if the client has left before the handler returns', async () => {
    const closed = new Gate();
    const handled = new Gate();
    const source = {
      next: jest.fn(async () => ({ done: false, value: 'never' })),
      return: async () => {
        closed.open();
        return { done: true as const, value: undefined };
      },
      [Symbol.asyncIterator]: () => source,
    };
    await listen(
      sse(async () => {
        handled.open();
        await once(sockets[0] as Socket, 'close');
        await setImmediate();
        return source;
      }),
      runtime,
    );
    const wire = await open();
    await handled.promise;

    wire.socket.destroy();

    await closed.promise;
    expect(source.next).not.toHaveBeenCalled();
  });

  it('is cut after its last bytes if it is an incomplete answer of a fetch client', async () => {
    await listen(
      sse(
        async function* () {
          yield 'half an answer ü';
          throw new Error('in the middle');
        },
        { onError: () => undefined },
      ),
      runtime,
    );
    const wire = await open(FETCH);

    await wire.ended();

    expect(decoded(wire)).toEqual({ text: 'data: half an answer ü\n\n', complete: false });
  });

  it('that the handler has begun by writeHead() is used if it is an event stream', async () => {
    const missing = [...(runtime.missing ?? []), '_header'];
    const values = sse(async function* () {
      yield 'after the head';
    });
    await listen((req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      values(req, without(res, missing));
    }, runtime);
    const wire = await open();

    await wire.ended();

    expect(decoded(wire)).toEqual({ text: `data: after the head\n\n${END}`, complete: true });
  });
});

/** Records what is written to the sockets of the server: by each write, and by each call of their handles. */
class WriteRecorder {
  readonly writes: unknown[][] = [];
  calls = 0;
  #stopped = false;
  readonly #spy = jest.spyOn(Socket.prototype, 'write');

  start(): void {
    this.#spy.mockClear();
    for (const socket of sockets) this.#countCalls(socket);
  }

  stop(): void {
    this.#stopped = true;
    const isServers = (socket: unknown) => sockets.includes(socket as Socket);
    for (const [index, socket] of this.#spy.mock.contexts.entries()) {
      if (isServers(socket)) this.writes.push((this.#spy.mock.calls[index] ?? []).slice(0, 2));
    }
    this.#spy.mockRestore();
  }

  /** Each call of these methods is one system call, as long as the kernel takes the bytes. */
  #countCalls(socket: Socket): void {
    const { _handle: handle } = socket as unknown as {
      _handle: Record<string, (...values: unknown[]) => unknown>;
    };
    for (const name of [
      'writeBuffer',
      'writeLatin1String',
      'writeUtf8String',
      'writeAsciiString',
      'writev',
    ]) {
      const original = handle[name]?.bind(handle);
      handle[name] = (...values) => {
        if (!this.#stopped) this.calls++;
        return original?.(...values);
      };
    }
  }
}

describe('the hot path', () => {
  let recorder: WriteRecorder;
  beforeEach(() => {
    recorder = new WriteRecorder();
  });

  /** Sends four events, each in a turn of its own, after the head. */
  async function sendFour(runtime: Runtime): Promise<void> {
    const go = new Gate();
    const recorded = new Gate();
    await listen(
      sse(async function* () {
        yield 'first';
        await go.promise;
        for (const text of ['one', 'two', 'drei ü', 'four']) {
          yield text;
          await setImmediate();
        }
        await recorded.promise;
      }),
      runtime,
    );
    const wire = await open();
    await wire.until('first');
    recorder.start();
    go.open();
    await wire.until('four');
    recorder.stop();
    recorded.open();
    await wire.ended();
  }

  it('is one write of one ready-made chunk, and one system call, for each event', async () => {
    await sendFour(NODE);

    expect(recorder.writes).toEqual([
      ['b\r\ndata: one\n\n\r\n', 'latin1'],
      ['b\r\ndata: two\n\n\r\n', 'latin1'],
      ['f\r\ndata: drei ü\n\n\r\n', 'utf8'],
      ['c\r\ndata: four\n\n\r\n', 'latin1'],
    ]);
    expect(recorder.calls).toBe(4);
  });

  it.each(RUNTIMES.filter(({ missing }) => missing?.includes('finished')))(
    'is not used $name: each event has several writes',
    async (runtime) => {
      await sendFour(runtime);

      expect(recorder.writes.length).toBeGreaterThanOrEqual(4 * 3);
    },
  );

  it('writes the same bytes of a channel, made once, to each client', async () => {
    const channel = new Channel<string>();
    await listen(sse(() => channel));
    const wires = [await open(), await open(), await open()];
    while (channel.size < 3) await setImmediate();
    await Promise.all(wires.map((wire) => wire.until('\r\n\r\n')));
    recorder.start();

    await channel.publish('shared');
    await Promise.all(wires.map((wire) => wire.until('shared')));

    recorder.stop();
    const [[chunk]] = recorder.writes as [[Buffer]];
    expect(chunk.toString()).toMatch(/^[0-9a-f]+\r\nid: \S+\ndata: shared\n\n\r\n$/);
    expect(recorder.writes.map(([written]) => written === chunk)).toEqual([true, true, true]);
    expect(recorder.calls).toBe(3);
    await channel.close();
    await Promise.all(wires.map((wire) => wire.ended()));
  });

  it('is chosen by what a runtime can do: the package asks nowhere for its name or version', () => {
    const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /\.m?ts$/.test(file),
    );
    const asking = files.filter((file) =>
      /process\.(version|release|features)|navigator\.|\b(Bun|Deno)\b\.?/.test(
        readFileSync(join(LIB, file), 'utf8').replace(/\/\*.*?\*\/|\/\/.*$/gms, ''),
      ),
    );

    expect(files.length).toBeGreaterThan(50);
    expect(asking).toEqual([]);
  });
});
