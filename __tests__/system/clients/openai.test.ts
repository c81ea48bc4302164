import { setTimeout as sleep } from 'node:timers/promises';
import { Gate } from '../../support/gate';
import { releaseAll, serve } from '../../support/serve';
import { MESSAGES, statusOf } from './support/chat';
import { clientMatrix, describeFetchClient, type FetchClient, HALVES } from './support/fetch-client';
import { load } from './support/load';
import {
  chatCompletion,
  chatToolCall,
  responsesAnswer,
  responsesToolCall,
  TOOL,
  TOOL_CALL,
  USAGE,
} from './support/protocols';

const matrix = clientMatrix();

async function openai(base: string, maxRetries = 0) {
  const { OpenAI } = await load('openai');
  return new OpenAI({ baseURL: `${base}/v1`, apiKey: 'secret', maxRetries });
}

const CHAT: FetchClient = {
  name: 'openai chat.completions',
  method: 'post',
  path: '/v1/chat/completions',
  answer: chatCompletion,
  async read(base, { signal, maxRetries, onText }) {
    const client = await openai(base, maxRetries);
    const stream = await client.chat.completions.create(
      { model: 'small', messages: MESSAGES, stream: true, stream_options: { include_usage: true } },
      { signal },
    );
    let text = '';
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? '';
      onText(text);
    }
    return text;
  },
  statusOf,
  retries: true,
};

const RESPONSES: FetchClient = {
  name: 'openai responses',
  method: 'post',
  path: '/v1/responses',
  answer: responsesAnswer,
  async read(base, { signal, maxRetries, onText }) {
    const client = await openai(base, maxRetries);
    const stream = await client.responses.create({ model: 'small', input: 'Hi', stream: true }, { signal });
    let text = '';
    for await (const each of stream) {
      if (each.type === 'response.output_text.delta') text += each.delta;
      onText(text);
    }
    return text;
  },
  statusOf,
  retries: true,
};

describeFetchClient(CHAT, matrix);

describeFetchClient(RESPONSES, matrix);

/** Serves one answer of each API. */
function serveAnswers(chat: typeof chatCompletion, responses: typeof responsesAnswer) {
  return serve((app) => {
    for (const [path, answer] of Object.entries({
      '/v1/chat/completions': chat,
      '/v1/responses': responses,
    })) {
      app.post(path, async function* () {
        const { first, rest, last } = answer();
        yield* first;
        yield* rest;
        return last;
      });
    }
  });
}

describe('the helpers of openai', () => {
  afterEach(releaseAll);

  it('chat.completions.stream() returns the whole completion with its usage', async () => {
    const server = await serveAnswers(chatCompletion, responsesAnswer);
    const client = await openai(server.url(''));

    const completion = await client.chat.completions
      .stream({ model: 'small', messages: MESSAGES, stream_options: { include_usage: true } })
      .finalChatCompletion();

    expect(completion.choices[0]?.message.content).toBe(HALVES.join(''));
    expect(completion.choices[0]?.finish_reason).toBe('stop');
    expect(completion.usage).toMatchObject({
      prompt_tokens: USAGE.input,
      completion_tokens: USAGE.output,
    });
  });

  it('chat.completions.stream() collects the call of a tool from its parts', async () => {
    const server = await serveAnswers(chatToolCall, responsesToolCall);
    const client = await openai(server.url(''));

    const completion = await client.chat.completions
      .stream({ model: 'small', messages: MESSAGES, tools: [{ type: 'function', function: TOOL }] })
      .finalChatCompletion();

    expect(completion.choices[0]?.message.tool_calls).toMatchObject([
      { id: TOOL_CALL.id, function: { name: TOOL_CALL.name, arguments: TOOL_CALL.halves.join('') } },
    ]);
  });

  it('responses.stream() returns the whole response with its usage', async () => {
    const server = await serveAnswers(chatCompletion, responsesAnswer);
    const client = await openai(server.url(''));

    const response = await client.responses.stream({ model: 'small', input: 'Hi' }).finalResponse();

    expect(response.output_text).toBe(HALVES.join(''));
    expect(response.usage).toMatchObject({ input_tokens: USAGE.input, output_tokens: USAGE.output });
  });

  it('responses.stream() collects the call of a tool from its parts', async () => {
    const server = await serveAnswers(chatToolCall, responsesToolCall);
    const client = await openai(server.url(''));

    const response = await client.responses
      .stream({ model: 'small', input: 'Hi', tools: [{ type: 'function', strict: false, ...TOOL }] })
      .finalResponse();

    expect(response.output).toMatchObject([
      { type: 'function_call', name: TOOL_CALL.name, arguments: TOOL_CALL.halves.join('') },
    ]);
  });

  it('chat.completions.stream() rejects after half an answer', async () => {
    const received = new Gate();
    const server = await serve((app) => {
      app.post('/v1/chat/completions', async function* () {
        yield* chatCompletion().first;
        await received.promise;
        throw new Error('The model broke off.');
      });
    });
    const client = await openai(server.url(''));

    const stream = client.chat.completions.stream({ model: 'small', messages: MESSAGES });
    stream.on('content', () => received.open());

    await expect(stream.finalChatCompletion()).rejects.toThrow();
    await server.errorsHandled(1);
  });

  it("is passed an error in OpenAI's own format by `onError`", async () => {
    const server = await serve(
      (app) => {
        app.post('/v1/chat/completions', async function* () {
          yield* chatCompletion().first;
          throw new Error('The model broke off.');
        });
      },
      { onError: () => ({ error: { message: 'The model is overloaded.', code: 'overloaded' } }) },
    );
    const client = await openai(server.url(''));
    const stream = await client.chat.completions.create({ model: 'small', messages: MESSAGES, stream: true });

    const reading = (async () => {
      for await (const chunk of stream) expect(chunk.object).toBe('chat.completion.chunk');
    })();

    await expect(reading).rejects.toThrow('The model is overloaded.');
    await server.errorsHandled(1);
  });

  it('is streamed by a route under `app.use(sse())` that returns its `Stream`', async () => {
    const upstream = await serveAnswers(chatCompletion, responsesAnswer);
    const client = await openai(upstream.url(''));
    const server = await serve((app) => {
      app.get('/', async () =>
        client.chat.completions.create({ model: 'small', messages: MESSAGES, stream: true }),
      );
    });

    const page = await server.openStream('/');
    await page.ended();

    const { first, rest } = chatCompletion();
    expect(page.events.slice(0, -1).map(({ data }) => JSON.parse(data))).toEqual([...first, ...rest]);
    expect(page.events.at(-1)).toMatchObject({ type: 'end', data: 'null' });
  });

  it('is aborted when the client of such a route leaves', async () => {
    const left = new Gate<unknown>();
    const upstream = await serve((app) => {
      app.post('/v1/chat/completions', async function* (_req, res) {
        const { signal } = res.sse;
        try {
          for (;;) {
            yield* chatCompletion().first;
            await sleep(1, undefined, { signal });
          }
        } finally {
          left.open((signal.reason as { code?: unknown }).code);
        }
      });
    });
    const client = await openai(upstream.url(''));
    const server = await serve((app) => {
      app.get('/', async () =>
        client.chat.completions.create({ model: 'small', messages: MESSAGES, stream: true }),
      );
    });
    const page = await server.openStream('/');
    await page.take(5);

    page.drop();

    expect(await left.promise).toBe('ERR_SSE_CLIENT_LEFT');
    upstream.server.closeAllConnections();
  });

  it('reads what `toReadableStream()` of its own stream forwards through a route', async () => {
    const upstream = await serveAnswers(chatCompletion, responsesAnswer);
    const client = await openai(upstream.url(''));
    const server = await serve((app, sse) => {
      app.post(
        '/v1/chat/completions',
        sse(async function* (_req, res) {
          const { signal } = (res as unknown as { sse: { signal: AbortSignal } }).sse;
          yield* await client.chat.completions.create(
            { model: 'small', messages: MESSAGES, stream: true },
            { signal },
          );
          return '[DONE]';
        }),
      );
    });

    const completion = await (await openai(server.url(''))).chat.completions
      .stream({ model: 'small', messages: MESSAGES })
      .finalChatCompletion();

    expect(completion.choices[0]?.message.content).toBe(HALVES.join(''));
  });
});
