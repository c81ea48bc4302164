import { type OpenedStream, openStream } from '../../../lib/testing';
import {
  noStreams,
  postJson,
  type Recipe,
  type Started,
  startRecipe,
  stopRecipe,
} from '../../support/recipe';

let before: Started<Recipe>;
let after: Started<Recipe>;

beforeAll(async () => {
  before = await startRecipe('migrate-from-better-sse/before');
  after = await startRecipe('migrate-from-better-sse/after');
});

afterEach(noStreams);

afterAll(() => Promise.all([stopRecipe(before), stopRecipe(after)]));

/** What a client hears of one price, and after it was away while there was another. */
async function heardOfPrices({ url }: Recipe & { url: string }): Promise<[string[], string[]]> {
  const stream = await openStream(url, '/prices');
  await postJson(`${url}/prices`, { price: 1 });
  await stream.next();
  const first = heard(stream);

  stream.drop();
  await stream.closed();
  await postJson(`${url}/prices`, { price: 2 });
  await stream.reconnect();
  await postJson(`${url}/prices`, { price: 3 });
  await stream.until(({ data }) => data === '{"price":3}');
  await stream.close();
  return [first, heard(stream)];
}

function heard({ events }: OpenedStream): string[] {
  return events.map(({ type, data }) => `${type} ${data}`);
}

describe('docs/migrate-from-better-sse', () => {
  it('gives the same prices, and after it those that a client has missed', async () => {
    const [same, all] = await heardOfPrices(after);

    expect(await heardOfPrices(before)).toEqual([same, ['price {"price":1}', 'price {"price":3}']]);
    expect(same).toEqual(['price {"price":1}']);
    expect(all).toEqual(['price {"price":1}', 'price {"price":2}', 'price {"price":3}']);
  });

  it('gives the same countdown, and after it an end', async () => {
    const streams = [await openStream(before.url, '/countdown'), await openStream(after.url, '/countdown')];
    const counted = await Promise.all(streams.map((stream) => stream.take(3)));

    for (const events of counted) {
      expect(events.map(({ type, data }) => [type, data])).toEqual([
        ['count', '2'],
        ['count', '1'],
        ['count', '"lift-off"'],
      ]);
    }
    expect(await streams[1]?.ended()).toContain('event: end\nid: ~end\n');
    await expect(openStill(streams[0])).resolves.toBe(true);
    await Promise.all(streams.map((stream) => stream.close()));
  });
});

/** Whether the server still holds the response open after another exchange with it. */
async function openStill(stream?: OpenedStream): Promise<boolean> {
  await fetch(`${before.url}/elsewhere`);
  return Promise.race([stream?.closed().then(() => false), Promise.resolve(true)]) as Promise<boolean>;
}
