import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenedStream, openStream } from '../../../lib/testing';
import { freePort } from '../../../tools/free-port';
import { endDemos, runDemo } from '../../support/demo';
import { postJson } from '../../support/recipe';
import { describeWithRedis } from '../../support/redis';

const WORKERS = 2;
const CLIENTS = 6;

afterEach(() => endDemos('SIGKILL'));

/** A client that reconnects after every end, as an `EventSource` does. */
class Reader {
  readonly #stream: OpenedStream;
  #isDone = false;

  private constructor(stream: OpenedStream) {
    this.#stream = stream;
    void this.#keepConnected();
  }

  static async open(url: string): Promise<Reader> {
    return new Reader(await openStream(url, '/prices', { timeoutMs: 20_000 }));
  }

  get pid(): number {
    return Number(this.#stream.headers['x-process']);
  }

  /** Resolves with all received prices when this price has arrived. */
  async until(price: number): Promise<number[]> {
    await this.#stream.until(({ data }) => JSON.parse(data).price === price);
    return this.#stream.events.map(({ data }) => JSON.parse(data).price);
  }

  async close(): Promise<void> {
    this.#isDone = true;
    await this.#stream.close();
  }

  async #keepConnected(): Promise<void> {
    for (;;) {
      await this.#stream.closed();
      if (this.#isDone) return;
      await this.#stream.reconnect().catch(() => sleep(20));
    }
  }
}

/** Publishes increasing prices, one after another. Every request must succeed. */
class Publisher {
  readonly #url: string;
  readonly #publishing: Promise<void>;
  #isStopping = false;
  /** The last published price. */
  price = 0;

  constructor(url: string) {
    this.#url = url;
    this.#publishing = this.#publish();
  }

  async stop(): Promise<number> {
    this.#isStopping = true;
    await this.#publishing;
    return this.price;
  }

  async #publish(): Promise<void> {
    while (!this.#isStopping) {
      expect(await publish(this.#url, ++this.price)).toBe(201);
      await sleep(10);
    }
  }
}

async function publish(url: string, price: number): Promise<number> {
  const headers = { 'Content-Type': 'application/json', Connection: 'close' };
  return (await postJson(`${url}/prices`, { price }, { headers })).status;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    // There is no such process.
    return false;
  }
}

function countTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

describeWithRedis('docs/many-processes.ts', (redis) => {
  it('replaces its processes, and a killed process, without lost or duplicate events', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const REDIS_URL = `redis://127.0.0.1:${redis.port}`;
    const recipe = runDemo('docs/many-processes.ts', { PORT: `${port}`, REDIS_URL, WORKERS: `${WORKERS}` });
    const readers = await openAll(url);
    const pids = new Set(readers.map(({ pid }) => pid));
    expect(pids.size).toBe(WORKERS);

    const publisher = new Publisher(url);
    recipe.child.kill('SIGHUP');
    while ([...pids].some(isAlive)) await sleep(10);
    const last = await publisher.stop();

    for (const reader of readers) expect(await reader.until(last)).toEqual(countTo(last));
    for (const { pid } of readers) expect(pids).not.toContain(pid);

    const [{ pid } = { pid: 0 }] = readers;
    process.kill(pid, 'SIGKILL');
    while (isAlive(pid)) await sleep(10);
    expect(await publish(url, last + 1)).toBe(201);
    for (const reader of readers) expect(await reader.until(last + 1)).toEqual(countTo(last + 1));
    while ((await distinct(url)) < WORKERS) await sleep(20);

    await Promise.all(readers.map((reader) => reader.close()));
    recipe.child.kill('SIGTERM');
    expect(await recipe.exited).toEqual([0, null]);
    expect(recipe.stderr).toBe('');
  });
});

/** Opens readers until each worker has one, because the operating system assigns connections. */
async function openAll(url: string): Promise<Reader[]> {
  while ((await distinct(url)) < WORKERS) await sleep(20);
  const readers: Reader[] = [];
  while (readers.length < CLIENTS || new Set(readers.map(({ pid }) => pid)).size < WORKERS) {
    readers.push(await Reader.open(url));
  }
  return readers;
}

/** The number of processes that respond. */
async function distinct(url: string): Promise<number> {
  const open = () => openStream(url, '/prices').catch(() => undefined);
  const streams = await Promise.all(Array.from({ length: 2 * WORKERS }, open));
  await Promise.all(streams.map((stream) => stream?.close()));
  return new Set(streams.flatMap((stream) => stream?.headers['x-process'] ?? [])).size;
}
