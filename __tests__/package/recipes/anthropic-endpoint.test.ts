import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';
import { load } from '../../system/clients/support/load';

let recipe: Started<typeof import('../../../docs/anthropic-endpoint')>;

const MESSAGES = [{ role: 'user' as const, content: 'one two three' }];
const REQUEST = { model: 'echo', max_tokens: 100, messages: MESSAGES };

beforeAll(async () => {
  recipe = await startRecipe('anthropic-endpoint');
});

afterEach(noStreams);

afterAll(() => stopRecipe(recipe));

async function anthropic() {
  const { Anthropic } = await load('@anthropic-ai/sdk');
  return new Anthropic({ baseURL: recipe.url, apiKey: 'any', maxRetries: 0 });
}

describe('docs/anthropic-endpoint.ts', () => {
  it('streams to the SDK, with the usage', async () => {
    const client = await anthropic();
    const texts: string[] = [];

    const message = await client.messages
      .stream(REQUEST)
      .on('text', (text) => texts.push(text))
      .finalMessage();

    expect(texts).toEqual(['one ', 'two ', 'three']);
    expect(message).toMatchObject({
      content: [{ type: 'text', text: 'one two three' }],
      stop_reason: 'end_turn',
      usage: { output_tokens: 3 },
    });
  });

  it('answers a request without a stream', async () => {
    const client = await anthropic();

    const message = await client.messages.create(REQUEST);

    expect(message).toMatchObject({ content: [{ text: 'one two three' }], usage: { output_tokens: 3 } });
  });

  it('responds with 400 in the format of Anthropic without messages', async () => {
    const client = await anthropic();

    const answering = client.messages.create({ ...REQUEST, messages: [], stream: true });

    await expect(answering).rejects.toMatchObject({
      status: 400,
      error: { type: 'error', error: { type: 'invalid_request_error', message: 'Expected messages.' } },
    });
  });

  it('ends the generation when the client aborts', async () => {
    const client = await anthropic();
    const messages = [{ role: 'user' as const, content: 'word '.repeat(1_000) }];

    for await (const each of await client.messages.create({ ...REQUEST, messages, stream: true })) {
      if (each.type === 'content_block_delta') break;
    }

    await noStreams();
  });

  it('sends message_stop as the last event', async () => {
    const text = await (await postJson(`${recipe.url}/v1/messages`, { ...REQUEST, stream: true })).text();

    expect(text).toMatch(/\n\nevent: message_stop\ndata: \{"type":"message_stop"\}\n\n$/);
  });
});
