import { releaseAll, serve } from '../../support/serve';
import { MESSAGES, statusOf } from './support/chat';
import { clientMatrix, describeFetchClient, type FetchClient, HALVES } from './support/fetch-client';
import { load } from './support/load';
import { anthropicMessage, anthropicToolUse, TOOL, TOOL_CALL, USAGE } from './support/protocols';

const matrix = clientMatrix();

const REQUEST = { model: 'small', max_tokens: 100, messages: MESSAGES };

async function anthropic(base: string, maxRetries = 0) {
  const { Anthropic } = await load('@anthropic-ai/sdk');
  return new Anthropic({ baseURL: base, apiKey: 'secret', maxRetries });
}

const MESSAGES_API: FetchClient = {
  name: '@anthropic-ai/sdk messages',
  method: 'post',
  path: '/v1/messages',
  answer: anthropicMessage,
  async read(base, { signal, maxRetries, onText }) {
    const client = await anthropic(base, maxRetries);
    const stream = await client.messages.create({ ...REQUEST, stream: true }, { signal });
    let text = '';
    for await (const each of stream) {
      if (each.type === 'content_block_delta' && each.delta.type === 'text_delta') text += each.delta.text;
      onText(text);
    }
    return text;
  },
  statusOf,
  retries: true,
};

describeFetchClient(MESSAGES_API, matrix);

/** Serves one answer. */
function serveAnswer(answer: typeof anthropicMessage) {
  return serve((app) => {
    app.post('/v1/messages', async function* () {
      const { first, rest, last } = answer();
      yield* first;
      yield* rest;
      return last;
    });
  });
}

describe('the helpers of @anthropic-ai/sdk', () => {
  afterEach(releaseAll);

  it('messages.stream() returns the whole message with its usage', async () => {
    const server = await serveAnswer(anthropicMessage);
    const client = await anthropic(server.url(''));

    const message = await client.messages.stream(REQUEST).finalMessage();

    expect(message.content).toMatchObject([{ type: 'text', text: HALVES.join('') }]);
    expect([message.stop_reason, message.usage.input_tokens, message.usage.output_tokens]).toEqual([
      'end_turn',
      USAGE.input,
      USAGE.output,
    ]);
  });

  it('messages.stream() collects the call of a tool from its parts', async () => {
    const server = await serveAnswer(anthropicToolUse);
    const client = await anthropic(server.url(''));
    const { parameters, ...tool } = TOOL;

    const message = await client.messages
      .stream({ ...REQUEST, tools: [{ ...tool, input_schema: { ...parameters, required: ['city'] } }] })
      .finalMessage();

    expect(message.content).toMatchObject([
      { type: 'tool_use', id: TOOL_CALL.id, input: JSON.parse(TOOL_CALL.halves.join('')) },
    ]);
  });

  it('messages.stream() rejects after half an answer', async () => {
    const server = await serve((app) => {
      app.post('/v1/messages', async function* () {
        yield* anthropicMessage().first;
        throw new Error('The model broke off.');
      });
    });
    const client = await anthropic(server.url(''));

    await expect(client.messages.stream(REQUEST).finalMessage()).rejects.toThrow();
    await server.errorsHandled(1);
  });
});
