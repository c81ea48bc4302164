import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Filling, ReplayCommand, ReplayMemory } from '../support/replay-server';

jest.setTimeout(120_000);

const MIB = 2 ** 20;

let folder: string;
let server: ChildProcess;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-'));
  // The young generation of Node 20, in MiB: that of newer versions has more garbage, which would count as memory in use.
  const execArgv = ['--expose-gc', '--max-semi-space-size=16', '--import', 'tsx'];
  server = fork(join(__dirname, '../support', 'replay-server.ts'), [join(folder, 'socket')], { execArgv });
  await once(server, 'message');
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  if (server.exitCode === null && server.kill()) await once(server, 'exit');
  rmSync(folder, { recursive: true });
});

async function request(command: ReplayCommand): Promise<unknown> {
  const ended = once(server, 'exit').then(([code, signal]) => {
    throw new Error(`The server has ended: ${code ?? signal}.`);
  });
  server.send(command);
  const [response] = await Promise.race([once(server, 'message'), ended]);
  return response;
}

/** A client that asks for everything after an id and reads nothing. */
async function replay(url: string, lastEventId: string): Promise<void> {
  while (server.exitCode === null) {
    const socket = connect(join(folder, 'socket')).on('error', () => undefined);
    const connected = await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(
      () => undefined,
    );
    if (connected?.length === 0) {
      socket.write(`GET ${url} HTTP/1.1\r\nHost: test\r\nLast-Event-ID: ${lastEventId}\r\n\r\n`);
      sockets.push(socket);
      return;
    }
    // EAGAIN: the accept queue of the server is full.
    await sleep(1);
  }
}

async function replayToClients(url: string, clients: number, filling: Filling): Promise<ReplayMemory> {
  const id = (await request(filling)) as string;
  // Ids that were made up are those of no event, so each client asks for the whole log.
  for (let n = 0; n < clients; n++) await replay(url, n % 2 === 0 ? id : `made-up-${n}`);
  const memory = (await request({ clients })) as ReplayMemory;
  const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;
  console.log(
    `${url}: ${clients} clients, ${filling.events} events of ${filling.bytesPerEvent} bytes: ` +
      `RSS ${mib(memory.rssBytes)}, buffers ${mib(memory.bufferBytes)}`,
  );
  return memory;
}

describe.each(['/', '/filter', '/map'])(
  'the memory of a replay at %s to clients that read nothing',
  (url) => {
    it('of 16 MiB to 1,000 clients is less than 64 MiB', async () => {
      const filling = { events: 16_000, bytesPerEvent: 1_024 };

      const { subscribers, rssBytes, bufferBytes } = await replayToClients(url, 1_000, filling);

      expect(subscribers).toBe(1_000);
      expect(rssBytes).toBeLessThan(64 * MIB);
      expect(bufferBytes).toBeLessThan(32 * MIB);
    });

    it('of one event of 12 MB to 100 clients is less than four times its size', async () => {
      const filling = { events: 1, bytesPerEvent: 12_000_000 };

      const { subscribers, bufferBytes } = await replayToClients(url, 100, filling);

      expect(subscribers).toBe(100);
      expect(bufferBytes).toBeLessThan(4 * 12_000_000);
    });
  },
);
