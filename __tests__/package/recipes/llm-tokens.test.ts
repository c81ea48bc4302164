import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { openStream } from '../../../lib/testing';
import { describeInChromium } from '../../support/chromium';
import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';

type Respond = (res: ServerResponse, req: IncomingMessage) => unknown;

/** A substitute for the model, with OpenAI's API. */
let model: Server;
/** Handles the next request to the model. */
let respond: Respond;
let recipe: Started<typeof import('../../../docs/llm-tokens')>;

beforeAll(async () => {
  model = createServer((req, res) => respond(res, req)).listen(0, '127.0.0.1');
  await once(model, 'listening');
  const { port } = model.address() as AddressInfo;
  const env = { LLM_URL: `http://127.0.0.1:${port}/v1`, LLM_KEY: 'secret', LLM_MODEL: 'small' };
  recipe = await startRecipe('llm-tokens', env);
});

afterEach(noStreams);

afterAll(async () => {
  await stopRecipe(recipe);
  model.close();
  model.closeAllConnections();
  await once(model, 'close');
});

function chunkOf(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
}

/** The model sends these tokens and keeps the response open. @returns the response */
function startWith(...tokens: string[]): Promise<ServerResponse> {
  return new Promise((resolve) => {
    respond = (res) => {
      res.setHeader('Content-Type', 'text/event-stream');
      for (const token of tokens) res.write(chunkOf(token));
      resolve(res);
    };
  });
}

function ask() {
  const headers = { 'Content-Type': 'application/json' };
  return openStream(recipe.server, '/completions', { body: '{"prompt":"Hi"}', headers });
}

describe('docs/llm-tokens.ts', () => {
  it('forwards each token immediately and unchanged, and then the end', async () => {
    const answering = startWith('Hel');
    const stream = await ask();
    const res = await answering;
    expect(await stream.next()).toEqual({ type: 'message', data: 'Hel', lastEventId: '' });

    res.end(`${chunkOf('lo,')}${chunkOf(' you\n')}data: [DONE]\n\n`);

    expect(await stream.ended()).toBe(
      'data: Hel\n\ndata: lo,\n\ndata:  you\ndata: \n\nevent: end\nid: ~end\ndata: \n\n',
    );
    await stream.close();
  });

  it('requests a stream from the model, with the key', async () => {
    const request = new Promise((resolve) => {
      respond = async (res, req) => {
        res.end('data: [DONE]\n\n');
        resolve([req.method, req.url, req.headers.authorization, await json(req)]);
      };
    });

    const stream = await ask();

    const messages = [{ role: 'user', content: 'Hi' }];
    const body = { model: 'small', stream: true, messages };
    expect(await request).toEqual(['POST', '/v1/chat/completions', 'Bearer secret', body]);
    await stream.close();
  });

  it.each([
    { when: 'without a prompt', body: {}, status: 400 },
    { when: 'when the model rejects the request', body: { prompt: 'Hi' }, status: 502 },
  ])('responds with $status $when', async ({ body, status }) => {
    respond = (res) => res.writeHead(429).end();

    const response = await postJson(`${recipe.url}/completions`, body);

    expect([response.status, response.headers.get('Content-Type')]).toEqual([
      status,
      'text/html; charset=utf-8',
    ]);
    await response.text();
  });

  it.each([
    { how: 'ends early', breakOff: (res: ServerResponse) => res.end() },
    { how: 'is cut off', breakOff: (res: ServerResponse) => res.destroy() },
  ])('sends an error event when the response of the model $how', async ({ breakOff }) => {
    const answering = startWith('Hel');
    const stream = await ask();
    await stream.next();

    breakOff(await answering);

    expect(await stream.ended()).toBe(
      'data: Hel\n\nevent: error\ndata: {"message":"The model broke off."}\n\n',
    );
    await stream.close();
  });

  it.each([
    { when: 'after', tokens: ['Hel'] },
    { when: 'before', tokens: [] },
  ])('cancels the generation when the client disconnects $when the first token', async ({ tokens }) => {
    const answering = startWith(...tokens);
    const leaving = new AbortController();
    const asking = postJson(`${recipe.url}/completions`, { prompt: 'Hi' }, { signal: leaving.signal });
    const res = await answering;
    if (tokens.length > 0) await (await asking).body?.getReader().read();
    else asking.catch(() => undefined);

    leaving.abort();
    await once(res, 'close');

    expect(res.writableEnded).toBe(false);
  });
});

describeInChromium('docs/llm-tokens.html', (tabs) => {
  it('shows each token when it arrives', async () => {
    const answering = startWith('Once', ' upon\n');
    const page = await tabs.open(recipe.url);

    await page.getByText('Ask').click();
    await page.locator('#answer', { hasText: 'Once upon' }).waitFor();
    (await answering).end(`${chunkOf(' a time')}data: [DONE]\n\n`);
    await page.locator('#status', { hasText: 'Done.' }).waitFor();

    expect(await page.locator('#answer').textContent()).toBe('Once upon\n a time');
    expect(tabs.errors).toEqual([]);
  });

  it('cancels the generation of the model with the button', async () => {
    const answering = startWith('Once');
    const page = await tabs.open(recipe.url);
    await page.getByText('Ask').click();
    await page.locator('#answer', { hasText: 'Once' }).waitFor();
    const closed = once(await answering, 'close');

    await page.getByText('Stop').click();
    await closed;

    await page.locator('#status', { hasText: 'You stopped it.' }).waitFor();
    expect(tabs.errors).toEqual([]);
  });

  it.each([
    { what: 'a rejection', reply: (res: ServerResponse) => res.writeHead(503).end(), status: 'answered 502' },
    {
      what: 'an error',
      reply: (res: ServerResponse) => res.end(chunkOf('Once')),
      status: 'The model broke off.',
    },
  ])('shows $what', async ({ reply, status }) => {
    respond = reply;
    const page = await tabs.open(recipe.url);

    await page.getByText('Ask').click();

    await page.locator('#status', { hasText: status }).waitFor();
  });

  it('shows a lost connection', async () => {
    void startWith('Once');
    const page = await tabs.open(recipe.url);
    await page.getByText('Ask').click();
    await page.locator('#answer', { hasText: 'Once' }).waitFor();

    recipe.server.closeAllConnections();

    await page.locator('#status', { hasText: /network|lost/ }).waitFor();
  });
});
