import { type OpenedStream, openStream } from '../../../lib/testing';
import { describeInChromium } from '../../support/chromium';
import { noStreams, type Started, startRecipe, stopRecipe } from '../../support/recipe';

let recipe: Started<typeof import('../../../docs/dashboard')>;

beforeAll(async () => {
  recipe = await startRecipe('dashboard');
});

afterEach(async () => {
  await noStreams();
  expect(recipe.board.size).toBe(0);
});

afterAll(() => stopRecipe(recipe));

function watch(topics: string): Promise<OpenedStream> {
  return openStream(recipe.server, `/dashboard?topics=${topics}`);
}

async function take(stream: OpenedStream, count: number): Promise<string[]> {
  return (await stream.take(count)).map(({ type, data }) => `${type} ${data}`);
}

describe('docs/dashboard.ts', () => {
  it('sends a snapshot of the requested topics, then their changes, on one stream', async () => {
    recipe.show('a', 1);
    recipe.show('c', 1);
    const stream = await watch('a,b');

    recipe.show('b', 1);
    recipe.show('c', 2);
    recipe.show('a', 2);

    expect(await take(stream, 3)).toEqual(['snapshot {"a":1}', 'b 1', 'a 2']);
    await stream.close();
  });

  it('replays the changes missed while disconnected, of all topics in order, without a new snapshot', async () => {
    const stream = await watch('d,e');
    await stream.next();
    stream.drop();
    recipe.show('e', 1);
    recipe.show('d', 2);

    await stream.reconnect();
    recipe.show('e', 3);

    expect(await take(stream, 3)).toEqual(['e 1', 'd 2', 'e 3']);
    await stream.close();
  });

  it('starts again with a snapshot when the log no longer retains the missed changes', async () => {
    const stream = await watch('f');
    await stream.next();
    stream.drop();
    for (let n = 1; n <= 1_001; n++) recipe.show('f', n);

    await stream.reconnect();
    const again = await take(stream, 1);
    recipe.show('f', 0);

    expect([...again, ...(await take(stream, 1))]).toEqual(['snapshot {"f":1001}', 'f 0']);
    expect(recipe.board.size).toBe(1);
    await stream.close();
  });

  it('publishes only the latest value, at most once per interval', async () => {
    const stream = await watch('g');
    await stream.next();
    const g = recipe.latest('g', 50);

    for (let n = 1; n <= 1_000; n++) g(n);
    const [first] = await stream.take(1);
    g(1_001);
    g(1_002);
    const [second] = await stream.take(1);

    expect([first?.data, second?.data]).toEqual(['1000', '1002']);
    await stream.close();
  });
});

describeInChromium('docs/dashboard.html', (tabs) => {
  it('uses one connection for all topics', async () => {
    const streams: string[] = [];
    recipe.server.on('request', ({ url = '' }) => streams.push(url));
    const page = await tabs.open(recipe.url);
    await page.locator('#memory', { hasText: /^\d+$/ }).waitFor();

    await page.getByText('Order', { exact: true }).click();
    await page.locator('#orders', { hasText: '1' }).waitFor();

    expect(streams.filter((url) => url.startsWith('/dashboard'))).toEqual([
      '/dashboard?topics=orders,memory',
    ]);
    expect(tabs.errors).toEqual([]);
  });
});
