import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Order, Remains } from '../support/leak-server';

const CYCLES = 10_000;
const AT_ONCE = 50;

/** A cycle may leave nothing, so growth is what the collector and the code's own warming up leave. */
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

async function ask(order: Order): Promise<unknown> {
  server.send(order);
  const [answer] = await once(server, 'message');
  return answer;
}

const measure = async () => (await ask('measure')) as Remains;

/** Connects, and asks for `url`. */
async function request(url: string): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const connected = await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(
      () => undefined,
    );
    if (connected?.length === 0) {
      socket.on('error', () => undefined);
      socket.write(`GET ${url} HTTP/1.1\r\nHost: test\r\n\r\n`);
      return socket;
    }
    // EAGAIN: the server's queue is full of those who have left already.
    await sleep(1);
  }
}

async function leave(socket: Socket): Promise<void> {
  socket.destroy();
  if (!socket.closed) await once(socket, 'close');
}

/** Runs `cycle` so many times, some of them at once. */
async function repeat(times: number, cycle: () => Promise<void>): Promise<void> {
  let left = times;
  const worker = async () => {
    while (left-- > 0) await cycle();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const PHASES: Array<[string, () => Promise<void>]> = [
  [
    'before the first value',
    async () => {
      const socket = await request('/before');
      await sleep(Math.random() * 3);
      await leave(socket);
    },
  ],
  [
    'while the generator is blocked',
    async () => {
      const socket = await request('/blocked');
      await once(socket, 'data');
      await leave(socket);
    },
  ],
  [
    'while it is back-pressured',
    async () => {
      const socket = await request('/flood');
      await once(socket, 'readable');
      await sleep(Math.random() * 3);
      await leave(socket);
    },
  ],
  [
    'in the middle of writes',
    async () => {
      const socket = await request('/ticks');
      await once(socket, 'data');
      for (let i = Math.random() * 5; i > 0; i--) await once(socket, 'data');
      await leave(socket);
    },
  ],
];

describe(`${CYCLES} clients that leave`, () => {
  it.each(PHASES)('%s leave nothing behind', async (phase, cycle) => {
    await repeat(CYCLES / 4, cycle);
    const before = await measure();

    await repeat(CYCLES, cycle);
    const after = await measure();

    report(phase, before, after);
    // Of those who left before the first value some had left before their request arrived.
    expect(after.started - before.started).toBeGreaterThan(CYCLES * 0.9);
    expectNothing(before, after);
  });

  it('during sse.close() leave nothing behind', async () => {
    const round = async () => {
      const sockets = await Promise.all(['/blocked', '/flood', '/ticks', '/before'].flatMap((url) => Array.from({ length: 25 }, () => request(url)))); // biome-ignore format: one line
      const closed = ask('close');
      await Promise.all(
        sockets.map(async (socket, index) => {
          if (index % 3 === 0) socket.resume();
          await sleep(Math.random() * 15);
          await leave(socket);
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
    expectNothing(before, after);
  });
});

function expectNothing(before: Remains, after: Remains): void {
  const { started: _, heapBytes, ...rest } = after;
  expect(rest).toEqual({ generators: 0, streams: 0, sockets: 0, timers: [], incidents: [] });
  expect(heapBytes - before.heapBytes).toBeLessThan(MAX_GROWTH_BYTES);
}

function report(phase: string, before: Remains, after: Remains): void {
  if (process.env.LEAK_FIGURES === undefined) return;
  const grown = ((after.heapBytes - before.heapBytes) / CYCLES).toFixed(1);
  const { generators, streams, sockets, timers, incidents } = after;
  const left = `${generators} generators, ${streams} streams, ${sockets} sockets, ${timers.length} timers`;
  process.stdout.write(`${phase}: ${after.started - before.started} generators ran; left: ${left}, ${incidents.length} incidents, ${grown} bytes of heap a cycle\n`); // biome-ignore format: one line
}
