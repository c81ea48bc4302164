/** A chat with `useChat`, whose answers continue after a reload. Run it with `npx tsx docs/use-chat/server.ts`. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { convertToModelMessages, streamText, toUIMessageStream, type UIMessage } from 'ai';
import { buildSync } from 'esbuild';
import express from 'express';
import { Channel, sse } from 'express-yield';

const {
  LLM_URL = 'https://api.openai.com/v1',
  LLM_MODEL = 'gpt-4o-mini',
  LLM_KEY = '',
  PORT = 3000,
} = process.env;

const provider = createOpenAICompatible({ name: 'llm', baseURL: LLM_URL, apiKey: LLM_KEY });

/** The answer that is being generated, for each chat. In several processes, keep its events in Redis. */
const answers = new Map<string, Channel>();

const app = express();
app.use(express.json());
app.use(sse({ headers: { 'x-vercel-ai-ui-message-stream': 'v1' } }));

app.post('/api/chat', ({ body: { id, messages } }) => {
  const answer: Channel = Channel.from(async function* ({ signal }) {
    try {
      return yield* generate(messages, signal);
    } finally {
      if (answers.get(id) === answer) answers.delete(id); // from now on there is nothing to resume
    }
  });
  answers.set(id, answer);
  return answer;
});

app.get('/api/chat/:id/stream', ({ params }, res) => {
  return answers.get(params.id) ?? res.status(204).end(); // nothing to resume
});

app.post('/api/chat/:id/stop', async ({ params }, res) => {
  await answers.get(params.id)?.end('[DONE]'); // aborts the signal, and so the model
  res.status(204).end();
});

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
