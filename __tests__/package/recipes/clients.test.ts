import { setImmediate } from 'node:timers/promises';
import { describeInChromium } from '../../support/chromium';
import { noStreams, type Started, startRecipe, stopRecipe } from '../../support/recipe';

let recipe: Started<typeof import('../../../docs/clients')>;
/** The path, the last event ID and the status of each request for a stream. */
const requests: string[] = [];

beforeAll(async () => {
  recipe = await startRecipe('clients');
  recipe.server.on('request', ({ url, headers }, res) => {
    if (!url?.startsWith('/job')) return;
    const id = headers['last-event-id'] ?? 'no id';
    res.once('finish', () => requests.push(`${url}, ${id}: ${res.statusCode}`));
  });
});

beforeEach(() => {
  requests.length = 0;
});

afterEach(noStreams);

afterAll(() => stopRecipe(recipe));

describe('docs/clients.ts', () => {
  it('ends without a closing event for a client that reads one response', async () => {
    const response = await fetch(`${recipe.url}/job/once`, { headers: { Accept: 'text/event-stream' } });

    expect(await response.text()).toMatch(/event: progress\ndata: 100 %\n\ndata: done\n\n$/);
  });
});

describeInChromium('docs/clients.html', (tabs) => {
  it('shows one job with three clients, each of which stops', async () => {
    const page = await tabs.open(recipe.url);

    await page.locator('#htmx', { hasText: '100 %' }).waitFor();
    await page.locator('#source', { hasText: '100 %' }).waitFor();
    await page.locator('#fetched', { hasText: 'data: done' }).waitFor();
    while (requests.length < 4) await setImmediate();

    expect(requests.toSorted()).toEqual([
      '/job, no id: 200',
      '/job, no id: 200',
      '/job, ~end: 204',
      '/job/once, no id: 200',
    ]);
    expect(tabs.errors).toEqual([]);
  });
});
