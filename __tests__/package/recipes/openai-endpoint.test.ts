import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';
import { load } from '../../system/clients/support/load';

let recipe: Started<typeof import('../../../docs/openai-endpoint')>;

const REQUEST = { model: 'echo', messages: [{ role: 'user' as const, content: 'one two three' }] };

beforeAll(async () => {
  recipe = await startRecipe('openai-endpoint');
});

afterEach(noStreams);

afterAll(() => stopRecipe(recipe));

async function openai(maxRetries = 0) {
  const { OpenAI } = await load('openai');
  return new OpenAI({ baseURL: `${recipe.url}/v1`, apiKey: 'any', maxRetries });
}

describe('docs/openai-endpoint.ts', () => {
  it('streams to the SDK, with the usage', async () => {
    const client = await openai();

    const completion = await client.chat.completions
      .stream({ ...REQUEST, stream_options: { include_usage: true } })
      .finalChatCompletion();

    expect(completion.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { role: 'assistant', content: 'one two three' },
    });
    expect(completion.usage).toMatchObject({ completion_tokens: 3 });
  });

  it('answers a request without a stream', async () => {
    const client = await openai();

    const completion = await client.chat.completions.create(REQUEST);

    expect(completion.choices[0]?.message.content).toBe('one two three');
    expect(completion.usage).toMatchObject({ completion_tokens: 3 });
  });

  it('responds with 400 in the format of OpenAI without messages', async () => {
    const client = await openai();

    const answering = client.chat.completions.create({ ...REQUEST, messages: [], stream: true });

    await expect(answering).rejects.toMatchObject({
      status: 400,
      type: 'invalid_request_error',
      error: { message: 'Expected messages.' },
    });
  });

  it('ends the generation when the client aborts', async () => {
    const client = await openai();
    const messages = [{ role: 'user' as const, content: 'word '.repeat(1_000) }];
    const stream = await client.chat.completions.create({ ...REQUEST, messages, stream: true });

    for await (const chunk of stream) {
      expect(chunk.choices[0]?.delta.content).toBe('word ');
      break;
    }

    await noStreams();
  });

  it('sends the last event unchanged', async () => {
    const body = { ...REQUEST, messages: [{ role: 'user', content: 'one' }], stream: true };

    const text = await (await postJson(`${recipe.url}/v1/chat/completions`, body)).text();

    expect(text).toMatch(/"finish_reason":"stop"\}\]\}\n\ndata: \[DONE\]\n\n$/);
  });
});
