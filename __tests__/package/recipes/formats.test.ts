import { openStream } from '../../../lib/testing';
import { noStreams, type Started, startRecipe, stopRecipe } from '../../support/recipe';

let recipe: Started<typeof import('../../../docs/formats')>;

beforeAll(async () => {
  recipe = await startRecipe('formats');
});

afterEach(noStreams);

afterAll(() => stopRecipe(recipe));

const ROWS = [1, 2, 3].map((id) => ({ id, name: `Row ${id}` }));

const ask = (accept: string) => fetch(`${recipe.url}/rows`, { headers: { Accept: accept } });

describe('docs/formats.ts', () => {
  it('sends JSON to an API client, and to one that accepts anything', async () => {
    expect(await (await ask('application/json')).json()).toEqual(ROWS);
    expect(await (await ask('*/*')).json()).toEqual(ROWS);
  });

  it.each(['application/jsonl', 'application/x-ndjson'])('sends a line for each row as %s', async (type) => {
    const response = await ask(type);

    expect(response.headers.get('content-type')).toBe(type);
    expect(
      (await response.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(ROWS);
  });

  it('sends events to an EventSource', async () => {
    const stream = await openStream(recipe.server, '/rows');

    expect((await stream.take(3)).map(({ data }) => JSON.parse(data))).toEqual(ROWS);
    await stream.close();
  });

  it('refuses what it has not', async () => {
    const response = await ask('text/html');

    expect(response.status).toBe(406);
    await response.text();
  });
});
