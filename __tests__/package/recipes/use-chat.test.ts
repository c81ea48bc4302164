import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { freePort } from '../../../tools/free-port';
import { describeInChromium } from '../../support/chromium';
import { type DemoProcess, endDemos, runDemo } from '../../support/demo';
import { Gate } from '../../support/gate';

/** A substitute for the model, with OpenAI's API. */
let model: Server;
/** The next request to the model. */
let asked: Gate<ServerResponse>;
let recipe: DemoProcess;
let url: string;

beforeAll(async () => {
  model = createServer((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    asked.open(res);
  }).listen(0, '127.0.0.1');
  await once(model, 'listening');
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  recipe = runDemo('docs/use-chat/server.ts', {
    PORT: `${port}`,
    LLM_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
    LLM_KEY: 'secret',
    LLM_MODEL: 'small',
  });
  while (!(await isListening())) await sleep(20);
});

beforeEach(() => {
  asked = new Gate();
});

afterAll(async () => {
  await endDemos('SIGKILL');
  model.close();
  model.closeAllConnections();
});

async function isListening(): Promise<boolean> {
  if (recipe.child.exitCode !== null) throw new Error(recipe.stderr);
  return fetch(url).then(
    (response) => response.ok,
    () => false,
  );
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

describeInChromium('docs/use-chat', (tabs) => {
  it('shows the parts of an answer when they arrive, and then its end', async () => {
    const page = await tabs.open(`${url}/#whole`);
    await page.getByText('Ask').click();
    const answering = await asked.promise;

    answering.write(FIRST);
    await shown(page, 'Once upon');
    await status(page, 'streaming');
    answering.end(REST);
    await shown(page, 'Once upon a time');
    await status(page, 'ready');

    expect(tabs.errors).toEqual([]);
  });

  it('shows the whole answer after a reload in its middle', async () => {
    const page = await tabs.open(`${url}/#reload`);
    await page.getByText('Ask').click();
    const answering = await asked.promise;
    answering.write(FIRST);
    await shown(page, 'Once upon');

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

  it('stops the model with the button', async () => {
    const page = await tabs.open(`${url}/#stop`);
    await page.getByText('Ask').click();
    const answering = await asked.promise;
    answering.write(FIRST);
    await shown(page, 'Once upon');

    const closed = once(answering, 'close');
    await page.getByText('Stop').click();
    await closed;

    await status(page, 'ready');
    expect((await fetch(`${url}/api/chat/stop/stream`)).status).toBe(204);
  });

  it('reports an error when the model breaks off, and does not show half an answer as a whole one', async () => {
    const page = await tabs.open(`${url}/#broken`);
    await page.getByText('Ask').click();
    const answering = await asked.promise;
    answering.write(FIRST);
    await shown(page, 'Once upon');

    answering.destroy();

    await status(page, /^error: /);
  });
});
