import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { type OpenedStream, openStream } from '../../../lib/testing';
import { freePort } from '../../../tools/free-port';
import { type DemoProcess, endDemos, runDemo } from '../../support/demo';
import { postJson } from '../../support/recipe';
import { describeWithRedis } from '../../support/redis';

interface Deployment {
  spec: {
    strategy: { rollingUpdate: { maxSurge: number; maxUnavailable: number } };
    template: {
      spec: {
        terminationGracePeriodSeconds: number;
        containers: [
          {
            ports: [{ containerPort: number }];
            env: Array<{ name: string; value: string }>;
            readinessProbe: { httpGet: { path: string; port: number } };
            lifecycle: { preStop: { sleep: { seconds: number } } };
          },
        ];
      };
    };
  };
}

const DOCS = join(__dirname, '../../../docs');
const SERVER = readFileSync(join(DOCS, 'kubernetes.ts'), 'utf8');
const { strategy, template } = (parse(readFileSync(join(DOCS, 'kubernetes.yaml'), 'utf8')) as Deployment)
  .spec;
const [container] = template.spec.containers;

const CLIENTS = 12;
const [SPREAD_MS, GRACE_MS, REQUESTS_MS] = [1_500, 500, 500];

afterEach(() => endDemos('SIGKILL'));

describe('docs/kubernetes.yaml', () => {
  it('has the same durations as the server', () => {
    const numbers = container.env.flatMap(({ name, value }) =>
      /_MS$/.test(name) ? [[name, Number(value)]] : [],
    );
    const defaults = [...SERVER.matchAll(/\b([A-Z]+_MS) = ([\d_]+)/g)];

    expect(numbers).toEqual(
      defaults.map(([, name, value = '']) => [name, Number(value.replaceAll('_', ''))]),
    );
    expect(numbers).toHaveLength(3);
  });

  it('has a grace period for every shutdown step and a margin of 5 seconds', () => {
    const serverMs = container.env.reduce(
      (sum, { name, value }) => sum + (/_MS$/.test(name) ? Number(value) : 0),
      0,
    );
    const { seconds } = container.lifecycle.preStop.sleep;

    expect(template.spec.terminationGracePeriodSeconds).toBe(seconds + serverMs / 1_000 + 5);
  });

  it('probes the route and the port of the server, and never reduces the number of pods', () => {
    const { path, port } = container.readinessProbe.httpGet;

    expect(SERVER).toContain(`app.get('${path}'`);
    expect(SERVER).toContain(`PORT = ${port},`);
    expect(container.ports).toEqual([{ containerPort: port }]);
    expect(strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  });
});

/** A process of the recipe, as one of several pods. */
class Pod {
  readonly url: string;
  readonly #process: DemoProcess;

  private constructor(port: number, redisPort: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#process = runDemo('docs/kubernetes.ts', {
      PORT: `${port}`,
      REDIS_URL: `redis://127.0.0.1:${redisPort}`,
      SPREAD_MS: `${SPREAD_MS}`,
      GRACE_MS: `${GRACE_MS}`,
      REQUESTS_MS: `${REQUESTS_MS}`,
    });
  }

  static async start(redisPort: number): Promise<Pod> {
    const pod = new Pod(await freePort(), redisPort);
    while ((await pod.readiness()) !== 200) await sleep(20);
    return pod;
  }

  /** The status of the readiness probe; `0` if the pod does not listen. */
  async readiness(): Promise<number> {
    const response = await fetch(`${this.url}/ready`).catch(() => undefined);
    return response?.status ?? 0;
  }

  async publish(price: number): Promise<void> {
    expect((await postJson(`${this.url}/prices`, { price })).status).toBe(201);
  }

  /** Sends SIGTERM. @returns the exit code, the output on stderr and the duration in milliseconds */
  async terminate(): Promise<{ code: unknown; stderr: string; tookMs: number }> {
    const from = performance.now();
    this.#process.child.kill('SIGTERM');
    const [code] = await this.#process.exited;
    return { code, stderr: this.#process.stderr, tookMs: performance.now() - from };
  }
}

/** The events of a client that resumes on another pod when its stream on this one ends. */
async function follow(stream: OpenedStream, next: Pod): Promise<{ prices: string[]; endedAtMs: number }> {
  await stream.ended();
  const endedAtMs = performance.now();
  const resumed = await openStream(next.url, '/prices', {
    lastEventId: stream.lastEventId,
    timeoutMs: 10_000,
  });
  await resumed.until(({ data }) => data === '{"price":3}');
  await resumed.close();
  return { prices: [...stream.events, ...resumed.events].map(({ data }) => data), endedAtMs };
}

describeWithRedis('docs/kubernetes.ts', (redis) => {
  it('is not ready after SIGTERM, spreads the reconnections to the next pod, and exits in time', async () => {
    const [old, next] = await Promise.all([Pod.start(redis.port), Pod.start(redis.port)]);
    const open = () => openStream(old.url, '/prices', { timeoutMs: 10_000 });
    const streams = await Promise.all(Array.from({ length: CLIENTS }, open));
    await old.publish(1);
    await Promise.all(streams.map((stream) => stream.next()));

    const terminated = old.terminate();
    const followed = streams.map((stream) => follow(stream, next));
    while ((await old.readiness()) === 200) await sleep(1);
    expect(await old.readiness()).toBe(503);
    await old.publish(2); // other requests are still served
    await terminated;
    await next.publish(3);

    const clients = await Promise.all(followed);
    for (const { prices } of clients) expect(prices).toEqual([1, 2, 3].map((price) => `{"price":${price}}`));
    const ends = clients.map(({ endedAtMs }) => endedAtMs);
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(SPREAD_MS / 5);
    const { code, stderr, tookMs } = await terminated;
    expect([code, stderr]).toEqual([0, '']);
    expect(tookMs).toBeLessThan(SPREAD_MS + GRACE_MS + REQUESTS_MS + 5_000);
    expect(await next.terminate()).toMatchObject({ code: 0, stderr: '' });
  });
});
