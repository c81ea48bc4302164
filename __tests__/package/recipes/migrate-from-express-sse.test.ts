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

function heard({ events }: OpenedStream): string[] {
  return events.map(({ type, data }) => `${type} ${data}`);
}

/** What two clients have heard, of whom the second comes after the first piece of news, and the first is away during the second. */
async function story({ url }: { url: string }): Promise<{ first: string[]; second: string[] }> {
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
  return { first: heard(first), second: heard(second) };
}

describe('docs/migrate-from-express-sse', () => {
  it('gives a newcomer what is initial, then the news, as before, and nobody else what is a newcomer’s', async () => {
    const was = await story(before);
    const is = await story(after);

    expect(is.first).toEqual([NOTHING, ONE, TWO, THREE]);
    expect(is.second).toEqual(['message {"headline":1}', TWO, THREE]);
    // To the first again when the second came, and to the second again when the first came back.
    expect(was.first).toEqual([NOTHING, ONE, 'message {"headline":1}', 'message {"headline":2}', THREE]);
    expect(was.second).toEqual(['message {"headline":1}', TWO, 'message {"headline":2}', THREE]);
  });
});
