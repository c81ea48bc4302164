import { type OpenedStream, openStream } from '../../../lib/testing';
import { noStreams, type Recipe, type Started, startRecipe, stopRecipe } from '../../support/recipe';

const FORGED = 'hello\n\nevent: admin\ndata: leave!';

let before: Started<Recipe>;
let after: Started<Recipe>;

beforeAll(async () => {
  before = await startRecipe('migrate-from-by-hand/before');
  after = await startRecipe('migrate-from-by-hand/after');
});

afterEach(noStreams);

afterAll(() => Promise.all([stopRecipe(before), stopRecipe(after)]));

function say(url: string, body: string): Promise<Response> {
  return fetch(`${url}/chat`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body });
}

function heard({ events }: OpenedStream): string[] {
  return events.map(({ type, data }) => `${type}: ${data}`);
}

/** What a client has heard when all these were said and then 'bye'; it may be away meanwhile. */
async function heardOf(url: string, lines: readonly string[], isAway = false): Promise<string[]> {
  const stream = await openStream(url, '/chat');
  await say(url, 'hi');
  await stream.next();
  if (isAway) {
    stream.drop();
    await stream.closed();
  }
  for (const line of lines) await say(url, line);
  if (isAway) await stream.reconnect();
  await say(url, 'bye');
  await stream.until(({ data }) => data === 'bye');
  await stream.close();
  return heard(stream);
}

describe('docs/migrate-from-by-hand', () => {
  it.each(['before', 'after'] as const)('gives each line to who is there: %s', async (name) => {
    const { url } = { before, after }[name];

    expect(await heardOf(url, ['one', 'two'])).toEqual(['line: hi', 'line: one', 'line: two', 'line: bye']);
  });

  it('keeps text with newlines as data, which by hand was an event of its own', async () => {
    expect(await heardOf(before.url, [FORGED])).toEqual([
      'line: hi',
      'line: hello',
      'admin: leave!',
      'line: bye',
    ]);
    expect(await heardOf(after.url, [FORGED])).toEqual(['line: hi', `line: ${FORGED}`, 'line: bye']);
  });

  it('replays what was said while a client was away, which by hand was lost', async () => {
    expect(await heardOf(before.url, ['missed'], true)).toEqual(['line: hi', 'line: bye']);
    expect(await heardOf(after.url, ['missed'], true)).toEqual(['line: hi', 'line: missed', 'line: bye']);
  });
});
