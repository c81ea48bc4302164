import { setImmediate } from 'node:timers/promises';
import { noStreams, type Started, startRecipe, stopRecipe } from '../../support/recipe';
import { load } from '../../system/clients/support/load';

let recipe: Started<typeof import('../../../docs/graphql-sse')>;

const SUBSCRIPTION = {
  query: 'subscription ($symbol: String!) { price(symbol: $symbol) { symbol price } }',
  variables: { symbol: 'ACME' },
};

beforeAll(async () => {
  recipe = await startRecipe('graphql-sse');
});

afterEach(noStreams);

afterAll(() => stopRecipe(recipe));

async function graphql() {
  const { createClient } = await load('graphql-sse');
  return createClient({ url: `${recipe.url}/graphql`, retryAttempts: 0 });
}

describe('docs/graphql-sse.ts', () => {
  it('sends the result of a query', async () => {
    const client = await graphql();
    const results: unknown[] = [];

    for await (const result of client.iterate({ query: '{ symbols }' })) results.push(result);

    expect(results).toEqual([{ data: { symbols: ['ACME', 'INIT'] } }]);
  });

  it('sends the results of a subscription, until the client unsubscribes', async () => {
    const client = await graphql();
    const results = client.iterate(SUBSCRIPTION);
    const first = results.next();
    while (recipe.prices.size === 0) await setImmediate();

    await recipe.prices.publish({ symbol: 'INIT', price: 1 });
    await recipe.prices.publish({ symbol: 'ACME', price: 2 });

    expect(await first).toEqual({ done: false, value: { data: { price: { symbol: 'ACME', price: 2 } } } });
    await results.return?.();
    while (recipe.prices.size > 0) await setImmediate();
  });

  it('publishes the price that a mutation sets', async () => {
    const client = await graphql();
    const results = client.iterate(SUBSCRIPTION);
    const first = results.next();
    while (recipe.prices.size === 0) await setImmediate();

    const mutation = client.iterate({ query: 'mutation { setPrice(symbol: "ACME", price: 3) { price } }' });

    expect(await mutation.next()).toEqual({ done: false, value: { data: { setPrice: { price: 3 } } } });
    expect(await first).toEqual({ done: false, value: { data: { price: { symbol: 'ACME', price: 3 } } } });
    await results.return?.();
    while (recipe.prices.size > 0) await setImmediate();
  });

  it('responds with 400 to a document that is not valid', async () => {
    const client = await graphql();

    await expect(client.iterate({ query: '{ unknown }' }).next()).rejects.toMatchObject({
      response: { status: 400 },
    });
  });

  it('reports an error to the client when the connection is lost', async () => {
    const client = await graphql();
    const next = client.iterate(SUBSCRIPTION).next();
    next.catch(() => undefined);
    while (recipe.prices.size === 0) await setImmediate();

    recipe.server.closeAllConnections();

    await expect(next).rejects.toThrow();
  });
});
