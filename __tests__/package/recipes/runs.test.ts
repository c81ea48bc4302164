import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenedStream, openStream } from '../../../lib/testing';
import { freePort } from '../../../tools/free-port';
import { type DemoProcess, endDemos, runDemo } from '../../support/demo';
import { postJson } from '../../support/recipe';
import { describeWithRedis } from '../../support/redis';

const STEPS = Array.from({ length: 20 }, (_, index) => ({ step: index + 1 }));

jest.setTimeout(40_000);

afterEach(() => endDemos('SIGKILL'));

interface Started {
  readonly recipe: DemoProcess;
  readonly url: string;
}

/** Resolves when the recipe answers. */
async function start(redisPort: number, stepMs: number): Promise<Started> {
  const port = await freePort();
  const REDIS_URL = `redis://127.0.0.1:${redisPort}`;
  const recipe = runDemo('docs/runs.ts', { PORT: `${port}`, REDIS_URL, STEP_MS: `${stepMs}` });
  const url = `http://127.0.0.1:${port}`;
  while ((await fetch(`${url}/answers/never`).catch(() => undefined)) === undefined) {
    if (recipe.child.exitCode !== null) throw new Error(recipe.stderr);
    await sleep(20);
  }
  return { recipe, url };
}

/** The steps of a job, read as an EventSource does: it reconnects, to the second server once the first is gone. */
async function readJob(stream: OpenedStream): Promise<unknown[]> {
  await stream.until(({ type }) => type === 'end');
  return stream.events.map(({ data }) => JSON.parse(data));
}

describeWithRedis('docs/runs.ts', (redis) => {
  it('resumes and stops an answer in another process', async () => {
    const [here, there] = await Promise.all([start(redis.port, 50), start(redis.port, 50)]);
    expect((await fetch(`${there.url}/answers/never`)).status).toBe(204);
    expect((await fetch(`${there.url}/answers/never`, { method: 'DELETE' })).status).toBe(404);

    const first = await postJson(`${here.url}/answers/a`, { prompt: 'Tell me a story' });
    const joined = await postJson(`${there.url}/answers/a`, { prompt: 'another prompt' });
    const resumed = await fetch(`${there.url}/answers/a`);
    const texts = await Promise.all([first, joined, resumed].map((response) => response.text()));

    const data = texts.map((text) => [...text.matchAll(/^data: (.*)$/gm)].map(([, line]) => line));
    const answer = ['Tell', 'me', 'a', 'story', '[DONE]'];
    expect(data).toEqual([answer, answer, answer]);

    const long = await postJson(`${here.url}/answers/b`, { prompt: 'word '.repeat(1_000) });
    expect((await fetch(`${there.url}/answers/b`, { method: 'DELETE' })).status).toBe(204);
    expect(await long.text()).toMatch(/data: \[STOPPED\]\n\n$/);
    for (const { recipe } of [here, there]) {
      recipe.child.kill('SIGTERM');
      expect(await recipe.exited).toEqual([0, null]);
      expect(recipe.stderr).toBe('');
    }
  });

  it('lets an answer end that is read when its process gets a SIGTERM, and fails one that only others read', async () => {
    const [here, there] = await Promise.all([start(redis.port, 300), start(redis.port, 300)]);
    const read = await postJson(`${here.url}/answers/read`, { prompt: 'one two three four five six' });
    const leaving = new AbortController();
    await postJson(`${here.url}/answers/left`, { prompt: 'word '.repeat(1_000) }, { signal: leaving.signal });
    const elsewhere = await fetch(`${there.url}/answers/left`);
    const failing = elsewhere.text();
    failing.catch(() => undefined);
    leaving.abort();

    here.recipe.child.kill('SIGTERM');

    expect(await read.text()).toMatch(/data: six\n\ndata: \[DONE\]\n\n$/);
    expect(await here.recipe.exited).toEqual([0, null]);
    await expect(failing).rejects.toThrow('terminated');
    there.recipe.child.kill('SIGTERM');
    expect(await there.recipe.exited).toEqual([0, null]);
  });

  it.each(['SIGKILL', 'SIGTERM'] as const)('continues a job when its process gets a %s', async (signal) => {
    const [here, there] = await Promise.all([start(redis.port, 200), start(redis.port, 200)]);
    const runner = await openStream(here.url, `/jobs/${signal}`);
    await runner.until(({ data }) => data === '{"step":1}');
    const other = await openStream(there.url, `/jobs/${signal}`, { timeoutMs: 20_000 });
    const reading = readJob(other);
    await sleep(1_200);

    here.recipe.child.kill(signal);

    expect(await reading).toEqual([...STEPS, { steps: 20 }]);
    await other.close();
    await runner.close();
    await here.recipe.exited;
    there.recipe.child.kill('SIGTERM');
    expect(await there.recipe.exited).toEqual([0, null]);
    expect(there.recipe.stderr).toBe('');
  });
});
