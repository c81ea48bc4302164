/** An endpoint that OpenAI's SDK can use. Run it with `npx tsx docs/openai-endpoint.ts`. */
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import express, { type ErrorRequestHandler } from 'express';
import { sse } from 'express-yield';

const app = express();
app.use(express.json());
app.use(sse({ onError: () => ({ error: { message: 'The model broke off.', type: 'server_error' } }) }));

interface ChatRequest {
  readonly model: string;
  readonly messages: ReadonlyArray<{ readonly role: string; readonly content: string }>;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
}

app.post('/v1/chat/completions', async (req, res) => {
  const request = checked(req.body);
  if (request.stream) return chunks(request, res.sse.signal);
  const { content, usage } = await whole(request, res.sse.signal);
  const message = { role: 'assistant', content };
  res.json({
    ...head(request, 'chat.completion'),
    choices: [{ index: 0, message, finish_reason: 'stop' }],
    usage,
  });
});

async function* chunks(request: ChatRequest, signal: AbortSignal) {
  const chunk = head(request, 'chat.completion.chunk');
  const withDelta = (delta: object, finish_reason: string | null = null) => ({
    ...chunk,
    choices: [{ index: 0, delta, finish_reason }],
  });
  let completion_tokens = 0;
  for await (const content of tokens(request, signal)) {
    yield withDelta(completion_tokens++ === 0 ? { role: 'assistant', content } : { content });
  }
  yield withDelta({}, 'stop');
  if (request.stream_options?.include_usage)
    yield { ...chunk, choices: [], usage: usageOf(completion_tokens) };
  return '[DONE]'; // the last event of a complete answer
}

async function whole(request: ChatRequest, signal: AbortSignal) {
  const words: string[] = [];
  for await (const word of tokens(request, signal)) words.push(word);
  return { content: words.join(''), usage: usageOf(words.length) };
}

function head({ model }: ChatRequest, object: string) {
  return { id: `chatcmpl-${randomUUID()}`, object, created: Math.floor(Date.now() / 1_000), model };
}

function usageOf(completion_tokens: number) {
  return { prompt_tokens: 0, completion_tokens, total_tokens: completion_tokens };
}

function checked(body: ChatRequest | undefined): ChatRequest {
  if (Array.isArray(body?.messages) && body.messages.length > 0) return body;
  throw Object.assign(new Error('Expected messages.'), { status: 400, type: 'invalid_request_error' });
}

/** In place of your model: it repeats the last message, word by word. */
async function* tokens({ messages }: ChatRequest, signal: AbortSignal) {
  for (const word of messages.at(-1)?.content.split(/(?<= )/) ?? []) {
    await setTimeout(100, undefined, { signal }); // pass the signal to whatever generates the tokens
    yield word;
  }
}

/** Errors before the first token, in OpenAI's format. */
const onError: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error);
  const { status = 500, type = 'server_error', message } = error;
  res.status(status).set(error.headers).json({ error: { message, type } });
};
app.use(onError);

export const server = app.listen(process.env.PORT ?? 3000);
