/**
 * A chat with `useChat`, whose answers continue after a reload. Run it with `npx tsx docs/use-chat/server.ts`; it needs Redis.
 * Start it several times, each with its own PORT.
 */
import { once } from 'node:events';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { convertToModelMessages, streamText, toUIMessageStream, type UIMessage } from 'ai';
import { buildSync } from 'esbuild';
import express from 'express';
import { createRuns, sse } from 'express-yield';
import { redisLogs } from 'express-yield/redis';
import { Redis } from 'ioredis';

const {
  LLM_URL = 'https://api.openai.com/v1',
  LLM_MODEL = 'gpt-4o-mini',
  LLM_KEY = '',
  REDIS_URL = 'redis://localhost:6379',
  PORT = 3000,
} = process.env;

const provider = createOpenAICompatible({ name: 'llm', baseURL: LLM_URL, apiKey: LLM_KEY });

const client = new Redis(REDIS_URL);
const logs = redisLogs(client, { prefix: 'chat:' });
/** The answers that are being generated in all processes. A second after its end, an answer cannot be resumed any more. */
const answers = createRuns({ logs: (key) => logs(key, { maxEvents: 10_000 }), ttlMs: 1_000 });

const app = express();
app.use(express.json());
app.use(
  sse({
    headers: { 'x-vercel-ai-ui-message-stream': 'v1' },
    onError: () => ({ type: 'error', errorText: 'The answer was interrupted.' }), // for the page
  }),
);

app.post('/api/chat', async ({ body: { id, messages } }) => {
  const answer = `${id}:${messages.at(-1).id}`;
  await client.set(`chat:current:${id}`, answer, 'EX', 60 * 60);
  return answers.start(answer, ({ signal }) => generate(messages, signal));
});

app.get('/api/chat/:id/stream', async ({ params }, res) => {
  return (await answers.find(await currentOf(params.id))) ?? res.status(204).end(); // nothing to resume
});

app.post('/api/chat/:id/stop', async ({ params }, res) => {
  await answers.stop(await currentOf(params.id), '[DONE]'); // aborts the signal, and so the model, in any process
  res.status(204).end();
});

/** The key of the newest answer of a chat. */
async function currentOf(id: string): Promise<string> {
  return (await client.get(`chat:current:${id}`)) ?? `${id}:none`;
}

async function* generate(messages: UIMessage[], abortSignal: AbortSignal) {
  const model = provider.chatModel(LLM_MODEL);
  const { stream } = streamText({ model, messages: await convertToModelMessages(messages), abortSignal });
  yield* toUIMessageStream({ stream });
  return '[DONE]';
}

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<link rel="icon" href="data:,">
<main></main><script src="/page.js"></script>
`;
app.get('/', (_req, res) => res.send(PAGE));
const options = { bundle: true, write: false, jsx: 'automatic' } as const;
const { outputFiles } = buildSync({ ...options, entryPoints: ['docs/use-chat/page.tsx'] });
app.get('/page.js', (_req, res) => res.type('js').send(outputFiles[0]?.text));

export const server = app.listen(PORT);

process.once('SIGTERM', async () => {
  const closed = once(server.close(), 'close');
  await sse.close(); // an answer that a page reads here has 10 seconds to end
  await answers.close(); // any other ends with an error, in every page
  server.closeAllConnections();
  await closed;
  await logs.close();
  client.disconnect();
});
