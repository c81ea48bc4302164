import { type OpenedStream, openStream } from '../../../lib/testing';
import {
  noStreams,
  postJson,
  type Recipe,
  type Started,
  startRecipe,
  stopRecipe,
} from '../../support/recipe';

const NOTHING = 'message {"headline":"Nothing yet"}';
const [ONE, TWO, THREE] = [1, 2, 3].map((n) => `news {"headline":${n}}`);

let before: Started<Recipe>;
let after: Started<Recipe>;

beforeAll(async () => {
  before = await startRecipe('migrate-from-express-sse/before');
  after = await startRecipe('migrate-from-express-sse/after');
});

afterEach(noStreams);

afterAll(() => Promise.all([stopRecipe(before), stopRecipe(after)]));

function publish(url: string, headline: number): Promise<Response> {
  return postJson(`${url}/news`, { headline });
}

function received({ events }: OpenedStream): string[] {
  return events.map(({ type, data }) => `${type} ${data}`);
}

/** The events of two clients. The second connects after headline 1; the first is disconnected during headline 2. */
async function receiveNews({ url }: { url: string }): Promise<{ first: string[]; second: string[] }> {
  const first = await openStream(url, '/news');
  await publish(url, 1);
  await first.take(2);
  const second = await openStream(url, '/news');
  await second.next();

  first.drop();
  await first.closed();
  await publish(url, 2);
  await first.reconnect();
  await publish(url, 3);
  for (const stream of [first, second]) await stream.until(({ data }) => data === '{"headline":3}');
  await Promise.all([first.close(), second.close()]);
  return { first: received(first), second: received(second) };
}

describe('docs/migrate-from-express-sse', () => {
  it('sends the initial event and then the news to each new client, and initial events to no other client', async () => {
    const resultBefore = await receiveNews(before);
    const resultAfter = await receiveNews(after);

    expect(resultAfter.first).toEqual([NOTHING, ONE, TWO, THREE]);
    expect(resultAfter.second).toEqual(['message {"headline":1}', TWO, THREE]);
    // express-sse sends initial events to all clients, so each client receives those of the other.
    expect(resultBefore.first).toEqual([
      NOTHING,
      ONE,
      'message {"headline":1}',
      'message {"headline":2}',
      THREE,
    ]);
    expect(resultBefore.second).toEqual(['message {"headline":1}', TWO, 'message {"headline":2}', THREE]);
  });
});
