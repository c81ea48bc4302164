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

/** The events of a client after one price, and after a reconnection during which another was published. */
async function receivePrices({ url }: Recipe & { url: string }): Promise<[string[], string[]]> {
  const stream = await openStream(url, '/prices');
  await postJson(`${url}/prices`, { price: 1 });
  await stream.next();
  const first = received(stream);

  stream.drop();
  await stream.closed();
  await postJson(`${url}/prices`, { price: 2 });
  await stream.reconnect();
  await postJson(`${url}/prices`, { price: 3 });
  await stream.until(({ data }) => data === '{"price":3}');
  await stream.close();
  return [first, received(stream)];
}

function received({ events }: OpenedStream): string[] {
  return events.map(({ type, data }) => `${type} ${data}`);
}

describe('docs/migrate-from-better-sse', () => {
  it('delivers the same prices; only after the migration also the missed ones', async () => {
    const [same, all] = await receivePrices(after);

    expect(await receivePrices(before)).toEqual([same, ['price {"price":1}', 'price {"price":3}']]);
    expect(same).toEqual(['price {"price":1}']);
    expect(all).toEqual(['price {"price":1}', 'price {"price":2}', 'price {"price":3}']);
  });

  it('delivers the same countdown; only after the migration also an end', async () => {
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
    await expect(isOpen(streams[0])).resolves.toBe(true);
    await Promise.all(streams.map((stream) => stream.close()));
  });
});

/** Whether the response is still open after another request to the server. */
async function isOpen(stream?: OpenedStream): Promise<boolean> {
  await fetch(`${before.url}/other`);
  return Promise.race([stream?.closed().then(() => false), Promise.resolve(true)]) as Promise<boolean>;
}
