import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { freePort } from '../../../tools/free-port';
import { describeInChromium, type Tabs } from '../../support/chromium';
import { type DemoProcess, endDemos, runDemo } from '../../support/demo';
import { Gate } from '../../support/gate';
import { describeWithRedis } from '../../support/redis';

/** A substitute for the model, with OpenAI's API. */
let model: Server;
/** The next request to the model. */
let asked: Gate<ServerResponse>;

/** One of the processes of the recipe. */
interface Started {
  readonly recipe: DemoProcess;
  readonly url: string;
}

beforeAll(async () => {
  model = createServer((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    asked.open(res);
  }).listen(0, '127.0.0.1');
  await once(model, 'listening');
});

beforeEach(() => {
  asked = new Gate();
});

afterAll(async () => {
  await endDemos('SIGKILL');
  model.close();
  model.closeAllConnections();
});

/** Starts a process of the recipe. Resolves when it answers. */
async function start(redisPort: number): Promise<Started> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const recipe = runDemo('docs/use-chat/server.ts', {
    PORT: `${port}`,
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    LLM_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
    LLM_KEY: 'secret',
    LLM_MODEL: 'small',
  });
  while (
    !(await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (recipe.child.exitCode !== null) throw new Error(recipe.stderr);
    await sleep(20);
  }
  return { recipe, url };
}

/** Asks a question in a page. @returns the page, and the model's response to it, whose first part the page shows */
async function ask(tabs: Tabs, url: string): Promise<[Page, ServerResponse]> {
  const page = await tabs.open(url);
  await page.getByText('Ask').click();
  const answering = await asked.promise;
  answering.write(FIRST);
  await shown(page, 'Once upon');
  return [page, answering];
}

function chunk(delta: object, finishReason: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finishReason }];
  return `data: ${JSON.stringify({ id: 'chatcmpl-1', created: 1, model: 'small', choices })}\n\n`;
}

const FIRST = chunk({ role: 'assistant', content: 'Once upon' });
const REST = `${chunk({ content: ' a time' })}${chunk({}, 'stop')}data: [DONE]\n\n`;

async function shown(page: Page, text: string): Promise<void> {
  await page.locator('.assistant', { hasText: text }).waitFor();
}

async function status(page: Page, text: string | RegExp): Promise<void> {
  await page.locator('output', { hasText: text }).waitFor();
}

it('docs/use-chat compiles with the types of a browser', async () => {
  const compiled = promisify(execFile)(process.execPath, [
    require.resolve('typescript/bin/tsc'),
    '--project',
    'docs/use-chat',
  ]);

  await expect(compiled).resolves.toEqual({ stdout: '', stderr: '' });
});

describeWithRedis('docs/use-chat with a Redis', (redis) => {
  describeInChromium('docs/use-chat', (tabs) => {
    let url: string;

    beforeAll(async () => {
      ({ url } = await start(redis.port));
    });

    it('shows the parts of an answer when they arrive, and then its end', async () => {
      const [page, answering] = await ask(tabs, `${url}/#whole`);

      await status(page, 'streaming');
      answering.end(REST);
      await shown(page, 'Once upon a time');
      await status(page, 'ready');

      expect(tabs.errors).toEqual([]);
    });

    it('shows the whole answer after a reload in its middle', async () => {
      const [page, answering] = await ask(tabs, `${url}/#reload`);

      await page.reload();
      await shown(page, 'Once upon');
      answering.end(REST);
      await shown(page, 'Once upon a time');
      await status(page, 'ready');

      expect(tabs.errors).toEqual([]);
    });

    it('receives a 204 when there is nothing to resume', async () => {
      const response = await fetch(`${url}/api/chat/unknown/stream`);

      expect(response.status).toBe(204);
      const page = await tabs.open(`${url}/#nothing`);
      await status(page, 'ready');
      expect(tabs.errors).toEqual([]);
    });

    it('receives a 204 a second after an answer has ended', async () => {
      const [page, answering] = await ask(tabs, `${url}/#ended`);
      answering.end(REST);
      await status(page, 'ready');
      const resume = async () => (await fetch(`${url}/api/chat/ended/stream`)).status;

      while ((await resume()) !== 204) await sleep(50);

      asked = new Gate();
      await page.getByText('Ask').click();
      (await asked.promise).end(FIRST + REST);
      await status(page, 'ready');
      expect(await page.locator('.assistant').count()).toBe(2);
    });

    it('reports an error when the model breaks off, and does not show half an answer as a whole one', async () => {
      const [page, answering] = await ask(tabs, `${url}/#broken`);

      answering.destroy();

      await status(page, /^error: /);
    });

    it('resumes an answer of another process, and stops the model there with the button', async () => {
      const other = await start(redis.port);
      const [page, answering] = await ask(tabs, `${url}/#stop`);
      const second = await tabs.open(`${other.url}/#stop`);
      await shown(second, 'Once upon');

      const closed = once(answering, 'close');
      await second.getByText('Stop').click();
      await closed;

      for (const each of [page, second]) await status(each, 'ready');
      expect((await fetch(`${url}/api/chat/never/stream`)).status).toBe(204);
      expect(tabs.errors).toEqual([]);
    });

    it('shows an error in the pages of every process when the one that runs the answer is killed', async () => {
      const runner = await start(redis.port);
      const [page] = await ask(tabs, `${runner.url}/#killed`);
      const second = await tabs.open(`${url}/#killed`);
      await shown(second, 'Once upon');

      runner.recipe.child.kill('SIGKILL');

      await status(page, /^error: /);
      await status(second, 'error: The answer was interrupted.');
    });

    it('lets an answer end that is read when its process gets a SIGTERM', async () => {
      const runner = await start(redis.port);
      const [page, answering] = await ask(tabs, `${runner.url}/#deploy`);

      runner.recipe.child.kill('SIGTERM');
      await sleep(2_000);
      answering.end(REST);
      await shown(page, 'Once upon a time');
      await status(page, 'ready');

      expect(await runner.recipe.exited).toEqual([0, null]);
      expect(runner.recipe.stderr).toBe('');
    });
  });
});
