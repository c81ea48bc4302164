import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command, Remaining } from '../support/leak-server';

const CYCLES = Number(process.env.LEAK_CYCLES ?? 10_000);
const CONCURRENCY = 50;

/** A cycle must leave nothing. This tolerance covers the garbage collector and the warm-up of the code. */
const MAX_GROWTH_BYTES = 1_000_000;

jest.setTimeout(120_000);

let folder: string;
let path: string;
let server: ChildProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-'));
  path = join(folder, 'socket');
  const execArgv = ['--expose-gc', '--import', 'tsx'];
  server = fork(join(__dirname, '../support', 'leak-server.ts'), [path], { execArgv });
  await once(server, 'message');
});

afterAll(async () => {
  server.disconnect();
  server.kill();
  await once(server, 'exit');
  rmSync(folder, { recursive: true });
});

async function request(command: Command): Promise<unknown> {
  server.send(command);
  const [response] = await once(server, 'message');
  return response;
}

const measure = async () => (await request('measure')) as Remaining;

let requests = 0;

/** Connects and sends a GET request for `url`: every second time as an EventSource, otherwise as a fetch client. */
async function get(url: string): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const connected = await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(
      () => undefined,
    );
    if (connected?.length === 0) {
      socket.on('error', () => undefined);
      const accept = requests++ % 2 === 0 ? 'text/event-stream' : '*/*';
      socket.write(`GET ${url} HTTP/1.1\r\nHost: test\r\nAccept: ${accept}\r\n\r\n`);
      return socket;
    }
    // EAGAIN: the accept queue of the server is full of closed connections.
    await sleep(1);
  }
}

async function disconnect(socket: Socket): Promise<void> {
  socket.destroy();
  if (!socket.closed) await once(socket, 'close');
}

/** Runs `cycle` this many times, some of them concurrently. */
async function repeat(times: number, cycle: () => Promise<void>): Promise<void> {
  let left = times;
  const worker = async () => {
    while (left-- > 0) await cycle();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

const PHASES: Array<[string, () => Promise<void>]> = [
  [
    'before the first value',
    async () => {
      const socket = await get('/before');
      await sleep(Math.random() * 3);
      await disconnect(socket);
    },
  ],
  [
    'while the generator is blocked',
    async () => {
      const socket = await get('/blocked');
      await once(socket, 'data');
      await disconnect(socket);
    },
  ],
  [
    'while the stream is under backpressure',
    async () => {
      const socket = await get('/flood');
      await once(socket, 'readable');
      await sleep(Math.random() * 3);
      await disconnect(socket);
    },
  ],
  [
    'between writes',
    async () => {
      const socket = await get('/ticks');
      await once(socket, 'data');
      for (let i = Math.random() * 5; i > 0; i--) await once(socket, 'data');
      await disconnect(socket);
    },
  ],
];

describe(`${CYCLES} clients that disconnect`, () => {
  it.each(PHASES)('%s leave no resource in use', async (phase, cycle) => {
    await repeat(CYCLES / 4, cycle);
    const before = await measure();

    await repeat(CYCLES, cycle);
    const after = await measure();

    report(phase, before, after);
    // Some clients disconnect before their request arrives.
    expect(after.started - before.started).toBeGreaterThan(CYCLES * 0.9);
    expectNoLeak(before, after);
  });

  it('during sse.close() leave no resource in use', async () => {
    const round = async () => {
      const sockets = await Promise.all(['/blocked', '/flood', '/ticks', '/before'].flatMap((url) => Array.from({ length: 25 }, () => get(url)))); // biome-ignore format: one line
      const closed = request('close');
      await Promise.all(
        sockets.map(async (socket, index) => {
          if (index % 3 === 0) socket.resume();
          await sleep(Math.random() * 15);
          await disconnect(socket);
        }),
      );
      await closed;
    };
    for (let i = 0; i < 25; i++) await round();
    const before = await measure();

    for (let i = 0; i < CYCLES / 100; i++) await round();
    const after = await measure();

    report('during sse.close()', before, after);
    expect(after.started - before.started).toBeGreaterThan(CYCLES * 0.9);
    expectNoLeak(before, after);
  });
});

function expectNoLeak(before: Remaining, after: Remaining): void {
  const { started: _, heapBytes, ...rest } = after;
  expect(rest).toEqual({ generators: 0, streams: 0, sockets: 0, timers: [], incidents: [] });
  expect(heapBytes - before.heapBytes).toBeLessThan(MAX_GROWTH_BYTES);
}

function report(phase: string, before: Remaining, after: Remaining): void {
  if (process.env.LEAK_FIGURES === undefined) return;
  const grown = ((after.heapBytes - before.heapBytes) / CYCLES).toFixed(1);
  const { generators, streams, sockets, timers, incidents } = after;
  const left = `${generators} generators, ${streams} streams, ${sockets} sockets, ${timers.length} timers`;
  process.stdout.write(`${phase}: ${after.started - before.started} generators ran; remaining: ${left}, ${incidents.length} incidents, ${grown} bytes of heap per cycle\n`); // biome-ignore format: one line
}
