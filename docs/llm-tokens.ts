/** The tokens of a language model as the response to a POST. Run it with `npx tsx docs/llm-tokens.ts`. */
import { EventSourceParserStream } from 'eventsource-parser/stream';
import express, { type Request } from 'express';
import { event, sse } from 'express-yield';

const {
  LLM_URL = 'https://api.openai.com/v1',
  LLM_MODEL = 'gpt-4o-mini',
  LLM_KEY,
  PORT = 3000,
} = process.env;

const app = express();
app.get('/', (_req, res) => res.sendFile('llm-tokens.html', { root: 'docs' }));
app.use('/eventsource-parser', express.static('node_modules/eventsource-parser/dist'));

app.post(
  '/completions',
  express.json(),
  sse(
    async function* ({ body }: Request, res) {
      if (typeof body?.prompt !== 'string') throw failure(400, 'Expected a prompt.');
      yield* tokens(body.prompt, res.sse.signal);
    },
    { onError: () => event('error', { message: 'The model broke off.' }) }, // for an error after the first token
  ),
);

async function* tokens(prompt: string, signal: AbortSignal) {
  const answer = await fetch(`${LLM_URL}/chat/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${LLM_KEY}` },
    body: JSON.stringify({ model: LLM_MODEL, stream: true, messages: [{ role: 'user', content: prompt }] }),
    signal, // ends the generation when the client disconnects
  });
  if (!answer.ok || answer.body === null) throw failure(502, `The model answered ${answer.status}.`);
  const chunks = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { data } of chunks) {
    if (data === '[DONE]') return;
    const token: string | undefined = JSON.parse(data).choices[0]?.delta?.content;
    if (token) yield token;
  }
  throw failure(502, 'The model ended without [DONE].');
}

function failure(status: number, message: string): Error {
  return Object.assign(new Error(message), { status });
}

export const server = app.listen(PORT);
