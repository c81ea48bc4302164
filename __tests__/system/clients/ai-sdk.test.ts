import { setTimeout as sleep } from 'node:timers/promises';
import type { Express } from 'express';
import { Channel } from '../../../lib';
import { releaseAll, serve } from '../../support/serve';
import { MESSAGES, statusOf } from './support/chat';
import {
  type Answer,
  clientMatrix,
  describeFetchClient,
  type FetchClient,
  HALVES,
} from './support/fetch-client';
import { load } from './support/load';
import {
  anthropicMessage,
  chatCompletion,
  chatToolCall,
  responsesAnswer,
  TOOL_CALL,
  USAGE,
} from './support/protocols';

const matrix = clientMatrix();

type Model = Parameters<Awaited<ReturnType<typeof load<'ai'>>>['streamText']>[0]['model'];

/** `streamText()` with a model whose provider requests this server. */
function streamText(
  name: string,
  path: string,
  answer: () => Answer,
  modelOf: (base: string) => Promise<Model>,
): FetchClient {
  return {
    name: `ai streamText, ${name}`,
    method: 'post',
    path,
    answer,
    async read(base, { signal, maxRetries, onText }) {
      const ai = await load('ai');
      const result = ai.streamText({
        model: await modelOf(base),
        messages: MESSAGES,
        maxRetries,
        maxOutputTokens: 100,
        abortSignal: signal,
        // The default prints the error.
        onError: () => undefined,
      });
      let text = '';
      for await (const part of result.fullStream) {
        if (part.type === 'error') throw part.error;
        if (part.type === 'abort') throw new Error('Aborted.');
        if (part.type === 'text-delta') text += part.text;
        onText(text);
      }
      return text;
    },
    statusOf,
    retries: true,
  };
}

async function compatible(base: string): Promise<Model> {
  const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');
  const provider = createOpenAICompatible({
    name: 'local',
    baseURL: `${base}/v1`,
    apiKey: 'secret',
    includeUsage: true,
  });
  return provider.chatModel('small');
}

async function openaiResponses(base: string): Promise<Model> {
  const { createOpenAI } = await load('@ai-sdk/openai');
  return createOpenAI({ baseURL: `${base}/v1`, apiKey: 'secret' }).responses('small');
}

async function anthropic(base: string): Promise<Model> {
  const { createAnthropic } = await load('@ai-sdk/anthropic');
  return createAnthropic({ baseURL: `${base}/v1`, apiKey: 'secret' })('small');
}

/** The parts of a message for `useChat`. */
function uiMessage(): Answer {
  const delta = (text: string) => ({ type: 'text-delta', id: 'text_1', delta: text });
  return {
    first: [{ type: 'start', messageId: 'msg_1' }, { type: 'text-start', id: 'text_1' }, delta(HALVES[0])],
    rest: [delta(HALVES[1]), { type: 'text-end', id: 'text_1' }, { type: 'finish' }],
    last: '[DONE]',
  };
}

/** A chat of `useChat`, without React: the hook renders the state of such an object. */
async function chatWith(base: string, id = 'chat_1') {
  const { AbstractChat, DefaultChatTransport } = await load('ai');
  type State = ConstructorParameters<typeof AbstractChat>[0]['state'];
  class Chat extends AbstractChat<import('ai').UIMessage> {}
  const state: State = {
    status: 'ready',
    error: undefined,
    messages: [],
    pushMessage: (message) => void state.messages.push(message),
    popMessage: () => void state.messages.pop(),
    replaceMessage: (index, message) => void state.messages.splice(index, 1, message),
    snapshot: (value) => structuredClone(value),
  };
  return new Chat({
    id,
    state: state as never,
    transport: new DefaultChatTransport({ api: `${base}/api/chat` }),
  });
}

type Chat = Awaited<ReturnType<typeof chatWith>>;

function textOf({ lastMessage }: Chat): string {
  if (lastMessage?.role !== 'assistant') return '';
  return lastMessage.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** Calls back until the chat is ready or has failed; its state has no events of its own. */
async function followChat(
  chat: Chat,
  running: Promise<void>,
  onText: (text: string) => void,
): Promise<string> {
  let isRunning = true;
  const ended = running.finally(() => {
    isRunning = false;
  });
  while (isRunning) {
    onText(textOf(chat));
    await Promise.race([ended, sleep(1)]);
  }
  if (chat.status === 'error') throw chat.error;
  return textOf(chat);
}

const USE_CHAT: FetchClient = {
  name: 'ai useChat',
  method: 'post',
  path: '/api/chat',
  answer: uiMessage,
  async read(base, { signal, onText }) {
    const chat = await chatWith(base);
    signal.addEventListener('abort', () => void chat.stop());
    return followChat(chat, chat.sendMessage({ text: 'Hi' }), onText);
  },
  statusOf,
  retries: false,
};

describeFetchClient(
  streamText('@ai-sdk/openai-compatible', '/v1/chat/completions', chatCompletion, compatible),
  matrix,
);

describeFetchClient(streamText('@ai-sdk/openai', '/v1/responses', responsesAnswer, openaiResponses), matrix);

describeFetchClient(streamText('@ai-sdk/anthropic', '/v1/messages', anthropicMessage, anthropic), matrix);

describeFetchClient(USE_CHAT, matrix);

function answerWith(app: Express, path: string, answer: () => Answer): void {
  app.post(path, async function* () {
    const { first, rest, last } = answer();
    yield* first;
    yield* rest;
    return last;
  });
}

describe('streamText()', () => {
  afterEach(releaseAll);

  it('reports the usage and the call of a tool', async () => {
    const server = await serve((app) => answerWith(app, '/v1/chat/completions', chatToolCall));
    const ai = await load('ai');
    const inputSchema = ai.jsonSchema<{ city: string }>({ type: 'object' });

    const result = ai.streamText({
      model: await compatible(server.url('')),
      messages: MESSAGES,
      tools: { [TOOL_CALL.name]: ai.tool({ description: 'The weather of a city.', inputSchema }) },
    });

    expect(await result.toolCalls).toMatchObject([
      { toolCallId: TOOL_CALL.id, toolName: TOOL_CALL.name, input: JSON.parse(TOOL_CALL.halves.join('')) },
    ]);
    expect(await result.usage).toMatchObject({ inputTokens: USAGE.input, outputTokens: USAGE.output });
  });

  it('is streamed by a route under `app.use(sse())` that returns its `textStream`', async () => {
    const { streamText } = await load('ai');
    const server = await serve((app) => {
      answerWith(app, '/v1/chat/completions', chatCompletion);
      app.get(
        '/text',
        async () => streamText({ model: await compatible(server.url('')), messages: MESSAGES }).textStream,
      );
    });

    const page = await server.openStream('/text');
    await page.ended();

    expect(page.events.map(({ type, data }) => [type, data])).toEqual([
      ['message', HALVES[0]],
      ['message', HALVES[1]],
      ['end', 'null'],
    ]);
  });

  it('is streamed by a route that returns its UI message stream, with the headers of the AI SDK', async () => {
    const { UI_MESSAGE_STREAM_HEADERS, streamText, toUIMessageStream } = await load('ai');
    const server = await serve((app, sse) => {
      answerWith(app, '/v1/chat/completions', chatCompletion);
      app.post(
        '/api/chat',
        sse(
          async function* (_req, res) {
            const { stream } = streamText({
              model: await compatible(server.url('')),
              messages: MESSAGES,
              abortSignal: (res as unknown as { sse: { signal: AbortSignal } }).sse.signal,
            });
            yield* toUIMessageStream({ stream });
            return '[DONE]';
          },
          { headers: UI_MESSAGE_STREAM_HEADERS },
        ),
      );
    });
    const chat = await chatWith(server.url(''));

    await chat.sendMessage({ text: 'Hi' });

    expect([chat.status, textOf(chat)]).toEqual(['ready', HALVES.join('')]);
  });
});

describe('useChat({ resume: true })', () => {
  afterEach(releaseAll);

  /** A run for each chat; a finished one is removed. */
  function serveRuns(source: () => AsyncGenerator<unknown, unknown>) {
    const runs = new Map<string, Channel>();
    return serve((app) => {
      app.post('/api/chat', () => {
        const run = Channel.from(source);
        runs.set('chat_1', run);
        return run;
      });
      app.get('/api/chat/:id/stream', ({ params: { id } }, res) => {
        const run = runs.get(id);
        return run ?? res.status(204).end();
      });
      app.post('/finish', (_req, res) => {
        runs.clear();
        res.end();
      });
    });
  }

  it('resumes nothing after a 204', async () => {
    const server = await serveRuns(async function* () {});
    const chat = await chatWith(server.url(''));

    await chat.resumeStream();

    expect([chat.status, chat.messages]).toEqual(['ready', []]);
    expect(server.responses.map(({ statusCode }) => statusCode)).toEqual([204]);
  });

  it('receives the whole answer in a second page, while the first one still reads it', async () => {
    let proceed = (): void => undefined;
    const proceeding = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    const server = await serveRuns(async function* () {
      const { first, rest, last } = uiMessage();
      yield* first;
      await proceeding;
      yield* rest;
      return last;
    });
    const [one, two] = [await chatWith(server.url('')), await chatWith(server.url(''))];
    const sending = one.sendMessage({ text: 'Hi' });
    while (textOf(one) !== HALVES[0]) await sleep(1);

    const resuming = two.resumeStream();
    while (textOf(two) !== HALVES[0]) await sleep(1);
    proceed();
    await Promise.all([sending, resuming]);

    expect([one.status, textOf(one)]).toEqual(['ready', HALVES.join('')]);
    expect([two.status, textOf(two)]).toEqual(['ready', HALVES.join('')]);
  });
});
