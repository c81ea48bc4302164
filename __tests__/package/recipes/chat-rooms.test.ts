import { type OpenedStream, openStream } from '../../../lib/testing';
import { describeInChromium } from '../../support/chromium';
import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';

let recipe: Started<typeof import('../../../docs/chat-rooms')>;

beforeAll(async () => {
  recipe = await startRecipe('chat-rooms', { AWAY_MS: '500' });
});

beforeEach(() => {
  for (const name of recipe.rooms.keys()) recipe.rooms.set(name, new recipe.Room());
});

afterEach(noStreams);

afterAll(() => stopRecipe(recipe));

function join(name: string, { room = 'lobby', mute = '' } = {}): Promise<OpenedStream> {
  return openStream(recipe.server, `/rooms/${room}?name=${name}&mute=${mute}`);
}

async function post(name: string, text: string, room = 'lobby'): Promise<string> {
  const response = await postJson(`${recipe.url}/rooms/${room}`, { name, text });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

async function received(stream: OpenedStream, count: number): Promise<string[]> {
  const events = await stream.take(count);
  return events.map(({ type, data }) => {
    const { name, text } = JSON.parse(data);
    return [type, name, text].join(' ').trim();
  });
}

describe('docs/chat-rooms.ts', () => {
  it('sends a new subscriber the history, then new messages, with the id that the sender received', async () => {
    const ada = await join('ada');
    await post('ada', 'hello');
    const bob = await join('bob');
    const id = await post('bob', 'hi');

    const all = ['join ada', 'message ada hello', 'join bob', 'message bob hi'];
    expect(await received(ada, 4)).toEqual(all);
    expect(await received(bob, 4)).toEqual(all);
    expect(bob.lastEventId).toBe(id);
    await Promise.all([ada.close(), bob.close()]);
  });

  it('delivers messages only within their chat room', async () => {
    const ada = await join('ada');
    const bob = await join('bob', { room: 'kitchen' });

    await post('bob', 'soup', 'kitchen');
    await post('ada', 'hello');

    expect(await received(ada, 2)).toEqual(['join ada', 'message ada hello']);
    expect(await received(bob, 2)).toEqual(['join bob', 'message bob soup']);
    await Promise.all([ada.close(), bob.close()]);
  });

  it('omits messages of muted users', async () => {
    const ada = await join('ada', { mute: 'troll' });

    await post('troll', 'boo');
    await post('bob', 'hi');

    expect(await received(ada, 2)).toEqual(['join ada', 'message bob hi']);
    await ada.close();
  });

  it('reports no departure of a user with another tab or an immediate reconnection', async () => {
    const ada = await join('ada');
    const [first, second] = [await join('bob'), await join('bob')];
    await first.close();
    await received(second, 2);
    second.drop();
    await post('ada', 'still there?');

    await second.reconnect();

    expect(await received(second, 1)).toEqual(['message ada still there?']);
    await second.close();
    expect(await received(ada, 4)).toEqual(['join ada', 'join bob', 'message ada still there?', 'leave bob']);
    await ada.close();
  });

  it('responds with 404 for an unknown chat room', async () => {
    const stream = await join('ada', { room: 'attic' });

    expect(stream.status).toBe(404);
    expect((await postJson(`${recipe.url}/rooms/attic`, {})).status).toBe(404);
    await stream.close();
  });

  it('releases the subscriber of a disconnected client', async () => {
    const ada = await join('ada');
    await ada.next();
    expect(recipe.rooms.get('lobby')?.channel.size).toBe(1);

    await ada.close();
    await noStreams();

    expect(recipe.rooms.get('lobby')?.channel.size).toBe(0);
  });
});

describeInChromium('docs/chat-rooms.html', (tabs) => {
  it('shows two users the same conversation', async () => {
    const ada = await tabs.open(recipe.url);
    await ada.locator('li', { hasText: 'ada has joined.' }).waitFor();
    const bob = await tabs.open(`${recipe.url}/?name=bob`);
    await bob.locator('li', { hasText: 'bob has joined.' }).waitFor();

    await bob.locator('input').fill('Is <b>anybody</b> here?');
    await bob.locator('input').press('Enter');

    for (const page of [ada, bob]) {
      await page.locator('li', { hasText: 'anybody' }).waitFor();
      expect(await page.locator('li').allTextContents()).toEqual([
        'ada has joined.',
        'bob has joined.',
        'bob: Is <b>anybody</b> here?',
      ]);
    }
    expect(tabs.errors).toEqual([]);
    await ada.close();
    await bob.locator('li', { hasText: 'ada has left.' }).waitFor();
  });
});
