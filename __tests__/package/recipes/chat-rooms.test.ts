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

function enter(name: string, { room = 'lobby', mute = '' } = {}): Promise<OpenedStream> {
  return openStream(recipe.server, `/rooms/${room}?name=${name}&mute=${mute}`);
}

async function say(name: string, text: string, room = 'lobby'): Promise<string> {
  const response = await postJson(`${recipe.url}/rooms/${room}`, { name, text });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

async function heard(stream: OpenedStream, count: number): Promise<string[]> {
  const events = await stream.take(count);
  return events.map(({ type, data }) => {
    const { name, text } = JSON.parse(data);
    return [type, name, text].join(' ').trim();
  });
}

describe('docs/chat-rooms.ts', () => {
  it('tells a newcomer the history, then what is said, with the id that the sender got', async () => {
    const ada = await enter('ada');
    await say('ada', 'hello');
    const bob = await enter('bob');
    const id = await say('bob', 'hi');

    const all = ['join ada', 'message ada hello', 'join bob', 'message bob hi'];
    expect(await heard(ada, 4)).toEqual(all);
    expect(await heard(bob, 4)).toEqual(all);
    expect(bob.lastEventId).toBe(id);
    await Promise.all([ada.close(), bob.close()]);
  });

  it('keeps a room to itself', async () => {
    const ada = await enter('ada');
    const bob = await enter('bob', { room: 'kitchen' });

    await say('bob', 'soup', 'kitchen');
    await say('ada', 'hello');

    expect(await heard(ada, 2)).toEqual(['join ada', 'message ada hello']);
    expect(await heard(bob, 2)).toEqual(['join bob', 'message bob soup']);
    await Promise.all([ada.close(), bob.close()]);
  });

  it('leaves out whom a guest has muted', async () => {
    const ada = await enter('ada', { mute: 'troll' });

    await say('troll', 'boo');
    await say('bob', 'hi');

    expect(await heard(ada, 2)).toEqual(['join ada', 'message bob hi']);
    await ada.close();
  });

  it('says of nobody that they have left who have another tab, or come back at once', async () => {
    const ada = await enter('ada');
    const [first, second] = [await enter('bob'), await enter('bob')];
    await first.close();
    await heard(second, 2);
    second.drop();
    await say('ada', 'still there?');

    await second.reconnect();

    expect(await heard(second, 1)).toEqual(['message ada still there?']);
    await second.close();
    expect(await heard(ada, 4)).toEqual(['join ada', 'join bob', 'message ada still there?', 'leave bob']);
    await ada.close();
  });

  it('has no room but its own', async () => {
    const stream = await enter('ada', { room: 'attic' });

    expect(stream.status).toBe(404);
    expect((await postJson(`${recipe.url}/rooms/attic`, {})).status).toBe(404);
    await stream.close();
  });

  it('holds no subscriber of who has left', async () => {
    const ada = await enter('ada');
    await ada.next();
    expect(recipe.rooms.get('lobby')?.channel.size).toBe(1);

    await ada.close();
    await noStreams();

    expect(recipe.rooms.get('lobby')?.channel.size).toBe(0);
  });
});

describeInChromium('docs/chat-rooms.html', (tabs) => {
  it('shows two people the same talk', async () => {
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
