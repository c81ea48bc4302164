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

function post(url: string, body: string): Promise<Response> {
  return fetch(`${url}/chat`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body });
}

function received({ events }: OpenedStream): string[] {
  return events.map(({ type, data }) => `${type}: ${data}`);
}

/** The events of a client while these lines and then 'bye' are posted. It may be disconnected during the lines. */
async function receiveLines(
  url: string,
  lines: readonly string[],
  isDisconnected = false,
): Promise<string[]> {
  const stream = await openStream(url, '/chat');
  await post(url, 'hi');
  await stream.next();
  if (isDisconnected) {
    stream.drop();
    await stream.closed();
  }
  for (const line of lines) await post(url, line);
  if (isDisconnected) await stream.reconnect();
  await post(url, 'bye');
  await stream.until(({ data }) => data === 'bye');
  await stream.close();
  return received(stream);
}

describe('docs/migrate-from-by-hand', () => {
  it.each(['before', 'after'] as const)('delivers each line to connected clients: %s', async (name) => {
    const { url } = { before, after }[name];

    expect(await receiveLines(url, ['one', 'two'])).toEqual([
      'line: hi',
      'line: one',
      'line: two',
      'line: bye',
    ]);
  });

  it('keeps text with newlines as data, which the code by hand split into several events', async () => {
    expect(await receiveLines(before.url, [FORGED])).toEqual([
      'line: hi',
      'line: hello',
      'admin: leave!',
      'line: bye',
    ]);
    expect(await receiveLines(after.url, [FORGED])).toEqual(['line: hi', `line: ${FORGED}`, 'line: bye']);
  });

  it('replays the lines missed while disconnected, which the code by hand lost', async () => {
    expect(await receiveLines(before.url, ['missed'], true)).toEqual(['line: hi', 'line: bye']);
    expect(await receiveLines(after.url, ['missed'], true)).toEqual([
      'line: hi',
      'line: missed',
      'line: bye',
    ]);
  });
});
