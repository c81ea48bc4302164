import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { openStream } from '../../lib/testing';
import { describeInChromium } from '../support/chromium';
import {
  countTo,
  type DemoProcess,
  endDemos,
  pricesOf,
  RECORD,
  runDemo,
  stepsOf,
  tallyOf,
} from '../support/demo';
import { describeWithRedis } from '../support/redis';

afterEach(() => endDemos('SIGTERM'));

describeWithRedis('npm run demo:cluster', (redis) => {
  describeInChromium('the pages of the cluster', (tabs) => {
    it('show the same events, their process, and a link to the other process', async () => {
      const cluster = await runCluster();
      const [one, two] = cluster.workers();
      const pages = await openBoth(cluster);

      for (const page of pages) await page.locator('#chart .line').waitFor();
      for (const page of pages) await morePrices(page, 5);

      const [mine, theirs] = await Promise.all(pages.map(pricesOf));
      expectSame(mine, theirs);
      expect(await pages[0].locator('#pid').textContent()).toBe(one.pid);
      expect(await pages[1].locator('#pid').textContent()).toBe(two.pid);
      const link = await pages[0].evaluate<string>("document.querySelector('.masthead a.there').href");
      expect(link).toBe(two.url);
    });

    it('miss no event when a connection is dropped and both processes are killed, one after the other', async () => {
      const cluster = await runCluster();
      const pages = await openBoth(cluster);
      for (const page of pages) await page.locator('#chart .line').waitFor();

      await pages[0].locator('#drop-chart').click();
      await reconnected(pages[0], 2);
      cluster.kill(0);
      await reconnected(pages[0], 3);
      cluster.kill(1);
      await reconnected(pages[1], 2);
      await morePrices(pages[0], 5);

      const [mine, theirs] = await Promise.all(pages.map(pricesOf));
      expectSame(mine, theirs);
      for (const page of pages) {
        const numbers = (await pricesOf(page)).map(({ n }) => n);
        expect(numbers).toEqual(countTo(numbers.length));
        expect(await tallyOf(page)).toMatchObject({ missed: 0, repeated: 0, gaps: 0 });
      }
      expect(cluster.workers().map(({ url }) => url)).toEqual(pages.map((page) => page.url()));
    });

    it('continue a job in the other process when the one that runs it is killed', async () => {
      const cluster = await runCluster();
      const [one, two] = cluster.workers();
      const page = await tabs.open(one.url, { script: RECORD });
      await page.locator('#start').click();
      await page.locator('.progress i:nth-child(5)[data-connection]').waitFor();
      const link = await page.evaluate<string>("document.querySelector('.share a.there').href");
      const other = await tabs.open(link, { script: RECORD });
      // By then, the other process is known as one that can take the job over.
      await other.locator('.progress i:nth-child(12)[data-connection]').waitFor();
      for (const tab of [page, other]) expect(await tab.locator('#runner').textContent()).toBe(one.pid);

      cluster.kill(0);
      for (const tab of [page, other]) {
        await tab.locator('.story .done', { hasText: '40 steps, none missed, none repeated' }).waitFor();
      }

      const steps = await stepsOf(page);
      expect(steps.map(({ step }) => step)).toEqual(countTo(40));
      expect(await stepsOf(other)).toEqual(steps);
      const story = await page.locator('.story').textContent();
      expect(story).toMatch(/Connection 2: Last-Event-ID: \d+-\d+, resumed/);
      for (const tab of [page, other]) {
        const taken = `Process ${two.pid} continues the job of process ${one.pid} after step`;
        expect(await tab.locator('.story li', { hasText: taken }).count()).toBe(1);
        expect(await tab.locator('#runner').textContent()).toBe(two.pid);
      }
      expect(other.url()).toBe(two.url);
      expect(await other.locator('.story').textContent()).not.toContain('Connection 2');
    });

    it('stop a job from the process that does not run it', async () => {
      const cluster = await runCluster();
      const [one] = cluster.workers();
      const page = await tabs.open(one.url, { script: RECORD });
      await page.locator('#start').click();
      const link = await page.evaluate<string>("document.querySelector('.share a.there').href");
      const other = await tabs.open(link, { script: RECORD });
      await other.locator('.progress i:nth-child(3)[data-connection]').waitFor();
      expect(await other.locator('#runner').textContent()).toBe(one.pid);

      await other.locator('#stop').click();

      for (const tab of [page, other]) {
        await tab.locator('.story .done', { hasText: 'CLOSED for good' }).waitFor();
        expect(await tab.locator('.story').textContent()).toContain('event: stopped.');
      }
      expect(await stepsOf(page)).toEqual(await stepsOf(other));
    });

    async function openBoth(cluster: Cluster): Promise<[Page, Page]> {
      const [one, two] = cluster.workers();
      return [await tabs.open(one.url, { script: RECORD }), await tabs.open(two.url, { script: RECORD })];
    }
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends everything that it started on %s', async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), 'demo-cluster-test-'));
    const cluster = await runCluster({ TMPDIR: folder });
    const clients = await Promise.all(
      cluster
        .workers()
        .flatMap(({ url }) => ['prices', 'job/a', 'clock'].map((path) => openStream(url + path))),
    );
    await clients[0]?.untilText('data:');

    cluster.demo.child.kill(signal);

    expect(await cluster.demo.exited).toEqual([0, null]);
    expect(cluster.demo.stderr).toBe('');
    const bodies = await Promise.all(clients.map((client) => client.ended()));
    expect(bodies.join()).not.toContain('~end');
    for (const { pid } of cluster.workers()) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(cluster.demo.stdout)?.[1]);
    const [error] = await once(connect(port, '127.0.0.1'), 'error');
    expect(error.code).toBe('ECONNREFUSED');
    expect(readdirSync(folder).filter((name) => name.startsWith('express-yield'))).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it('uses the Redis of REDIS_URL and does not stop it', async () => {
    const cluster = await runCluster({ REDIS_URL: `redis://127.0.0.1:${redis.port}` });
    const [one, two] = cluster.workers();
    const clients = await Promise.all([one, two].map(({ url }) => openStream(`${url}prices`)));
    for (const client of clients) await client.untilText('"n":3');

    cluster.demo.child.kill('SIGTERM');

    expect(await cluster.demo.exited).toEqual([0, null]);
    expect(await redis.call('PING')).toBe('PONG');
  });

  it('reports a busy port with a remedy and exits with 1', async () => {
    const other = await busyPort();
    const { port } = other.address() as AddressInfo;

    const demo = runDemo('demo/cluster.ts', { PORT: String(port), REDIS_URL: '' });

    expect(await demo.exited).toEqual([1, null]);
    expect(demo.stderr).toMatch(`Port ${port} is in use. Stop what listens there, or choose another one`);
    other.close();
    await once(other, 'close');
  });
});

/** Listens on a port whose successor is free, because the second process uses the next port. */
async function busyPort(): Promise<Server> {
  for (;;) {
    const server = createServer().listen(0).unref();
    await once(server, 'listening');
    const next = createServer().listen((server.address() as AddressInfo).port + 1);
    const isFree = await once(next, 'listening').then(
      () => true,
      () => false,
    );
    next.close();
    if (isFree) return server;
    server.close();
  }
}

describe('npm run demo:cluster without a Redis', () => {
  it('reports a missing redis-server with a remedy and exits with 1', async () => {
    const demo = runDemo('demo/cluster.ts', { PORT: '0', PATH: '', REDIS_URL: '' });

    expect(await demo.exited).toEqual([1, null]);
    expect(demo.stderr).toBe(
      'demo:cluster needs Redis, and there is neither a redis-server on PATH nor REDIS_URL. ' +
        'Install one (apt install redis-server, brew install redis), or set REDIS_URL to one, for example REDIS_URL=redis://localhost:6379.\n',
    );
  });

  it('reports an unreachable REDIS_URL and exits with 1', async () => {
    const demo = runDemo('demo/cluster.ts', { PORT: '0', REDIS_URL: 'redis://127.0.0.1:1' });

    expect(await demo.exited).toEqual([1, null]);
    expect(demo.stderr).toBe(
      'Cannot reach the Redis of REDIS_URL, redis://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n',
    );
  });
});

const SERVES = /Process (?<pid>\d+) serves (?<url>\S+)/g;

interface Worker {
  readonly pid: string;
  readonly url: string;
}

/** The two processes of `npm run demo:cluster`. */
class Cluster {
  readonly demo: DemoProcess;

  constructor(demo: DemoProcess) {
    this.demo = demo;
  }

  /** The latest process of each port, sorted by port. */
  workers(): [Worker, Worker] {
    const printed = [...this.demo.stdout.matchAll(SERVES)].map(({ groups }) => groups as unknown as Worker);
    const last = new Map(printed.map((worker) => [worker.url, worker]));
    const sorted = [...last.values()].sort((a, b) => portOf(a) - portOf(b));
    return sorted as [Worker, Worker];
  }

  kill(index: 0 | 1): void {
    process.kill(Number(this.workers()[index].pid), 'SIGKILL');
  }
}

async function runCluster(env: NodeJS.ProcessEnv = {}): Promise<Cluster> {
  const demo = runDemo('demo/cluster.ts', { PORT: '0', REDIS_URL: '', ...env });
  await demo.printed(SERVES, 2);
  return new Cluster(demo);
}

function portOf({ url }: Worker): number {
  return Number(new URL(url).port);
}

/** Resolves when the page has received this many more prices. */
async function morePrices(page: Page, count: number): Promise<void> {
  const goal = (await pricesOf(page)).length + count;
  await page.waitForFunction(`events.filter(({ n }) => n !== undefined).length >= ${goal}`);
}

/** Resolves when the chart shows this connection and more prices have arrived on it. */
async function reconnected(page: Page, connection: number): Promise<void> {
  await page.locator('#chart .message', { hasText: `Connection ${connection}` }).waitFor();
  await morePrices(page, 5);
}

/** Asserts that both pages have the same events, up to the length of the shorter list. */
function expectSame(mine: Event[] = [], theirs: Event[] = []): void {
  const both = Math.min(mine.length, theirs.length);
  expect(both).toBeGreaterThan(10);
  expect(mine.slice(0, both)).toEqual(theirs.slice(0, both));
}

type Event = Awaited<ReturnType<typeof pricesOf>>[number];
