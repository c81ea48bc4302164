/** An endpoint that Anthropic's SDK can use. Run it with `npx tsx docs/anthropic-endpoint.ts`. */
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import express, { type ErrorRequestHandler } from 'express';
import { event, sse } from 'express-yield';

const app = express();
app.use(express.json());
app.use(sse({ onError: () => event('error', failureOf('api_error', 'The model broke off.')) }));

interface MessagesRequest {
  readonly model: string;
  readonly messages: ReadonlyArray<{ readonly role: string; readonly content: string }>;
  readonly stream?: boolean;
}

app.post('/v1/messages', async (req, res) => {
  const request = checked(req.body);
  if (request.stream) return events(request, res.sse.signal);
  const words: string[] = [];
  for await (const word of tokens(request, res.sse.signal)) words.push(word);
  const content = [{ type: 'text', text: words.join('') }];
  res.json({ ...message(request), content, stop_reason: 'end_turn', usage: usageOf(words.length) });
});

async function* events(request: MessagesRequest, signal: AbortSignal) {
  let output_tokens = 0;
  for await (const text of tokens(request, signal)) {
    if (output_tokens++ === 0) yield* opening(request); // not earlier: an error before it is a real status
    yield named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
  }
  yield named({ type: 'content_block_stop', index: 0 });
  const delta = { stop_reason: 'end_turn', stop_sequence: null };
  yield named({ type: 'message_delta', delta, usage: { output_tokens } });
  return named({ type: 'message_stop' }); // the last event of a complete answer
}

function* opening(request: MessagesRequest) {
  yield named({ type: 'message_start', message: message(request) });
  yield named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } });
}

/** Each event has the type of its data. */
function named<Data extends { readonly type: string }>(data: Data) {
  return event(data.type, data);
}

function message({ model }: MessagesRequest) {
  const id = `msg_${randomUUID()}`;
  const rest = { content: [], stop_reason: null, stop_sequence: null, usage: usageOf(0) };
  return { id, type: 'message', role: 'assistant', model, ...rest };
}

function usageOf(output_tokens: number) {
  return { input_tokens: 0, output_tokens };
}

function checked(body: MessagesRequest | undefined): MessagesRequest {
  if (Array.isArray(body?.messages) && body.messages.length > 0) return body;
  throw Object.assign(new Error('Expected messages.'), { status: 400, type: 'invalid_request_error' });
}

/** In place of your model: it repeats the last message, word by word. */
async function* tokens({ messages }: MessagesRequest, signal: AbortSignal) {
  for (const word of messages.at(-1)?.content.split(/(?<= )/) ?? []) {
    await setTimeout(100, undefined, { signal }); // pass the signal to whatever generates the tokens
    yield word;
  }
}

function failureOf(type: string, message: string) {
  return { type: 'error', error: { type, message } };
}

/** Errors before the first event, in Anthropic's format. */
const onError: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error);
  const { status = 500, type = 'api_error', message } = error;
  res.status(status).set(error.headers).json(failureOf(type, message));
};
app.use(onError);

export const server = app.listen(process.env.PORT ?? 3000);
