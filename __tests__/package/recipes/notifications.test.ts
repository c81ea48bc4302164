import { setImmediate } from 'node:timers/promises';
import { openStream } from '../../../lib/testing';
import { describeInChromium } from '../../support/chromium';
import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';

let recipe: Started<typeof import('../../../docs/notifications')>;
let users = 0;
/** The path of a user that no other test uses. */
let path: string;

beforeAll(async () => {
  recipe = await startRecipe('notifications', { IDLE_MS: '200' });
});

beforeEach(() => {
  path = `/users/user${users++}/notifications`;
});

afterEach(async () => {
  await noStreams();
  while (recipe.inboxes.size > 0) await setImmediate();
});

afterAll(() => stopRecipe(recipe));

async function notify(text: string, to = path): Promise<void> {
  expect((await postJson(recipe.url + to, { text })).status).toBe(204);
}

describe('docs/notifications.ts', () => {
  it('sends the unread count first, then each notification', async () => {
    await notify('one');
    const stream = await openStream(recipe.server, path);
    expect(await stream.next()).toMatchObject({ type: 'unread', data: '1' });

    await notify('two');

    expect(await stream.next()).toMatchObject({ type: 'notification', data: '{"text":"two","unread":2}' });
    await stream.close();
  });

  it('replays notifications missed while disconnected once, even if none was received before', async () => {
    const stream = await openStream(recipe.server, path);
    await stream.next();

    for (const text of ['one', 'two']) {
      stream.drop();
      await notify(text);
      await stream.reconnect();

      const events = await stream.take(2);
      const n = text === 'one' ? 1 : 2;
      expect(events.map(({ type, data }) => [type, data])).toEqual([
        ['unread', `${n}`],
        ['notification', `{"text":"${text}","unread":${n}}`],
      ]);
    }
    await stream.close();
  });

  it('notifies every tab of the user that all are read, and no other user', async () => {
    await notify('one');
    const tabs = await Promise.all([openStream(recipe.server, path), openStream(recipe.server, path)]);
    const other = await openStream(recipe.server, '/users/other/notifications');
    for (const tab of tabs) await tab.next();

    await fetch(recipe.url + path, { method: 'DELETE' });

    for (const tab of tabs) expect(await tab.next()).toMatchObject({ type: 'unread', data: '0' });
    await notify('for the other', '/users/other/notifications');
    expect((await other.take(2)).map(({ data }) => data)).toEqual([
      '0',
      '{"text":"for the other","unread":1}',
    ]);
    await Promise.all([...tabs, other].map((stream) => stream.close()));
  });

  it('has no channel for a disconnected user and removes it after the last stream', async () => {
    await notify('one');
    expect(recipe.inboxes.size).toBe(0);

    const stream = await openStream(recipe.server, path);
    expect(recipe.inboxes.size).toBe(1);
    await stream.close();

    while (recipe.inboxes.size > 0) await setImmediate();
  });

  it('sends the count and a gap after a longer disconnection', async () => {
    const stream = await openStream(recipe.server, path);
    await stream.next();
    stream.drop();
    while (recipe.inboxes.size > 0) await setImmediate();
    await notify('one');

    await stream.reconnect();

    expect(await stream.take(2)).toMatchObject([
      { type: 'unread', data: '1' },
      { type: 'gap', data: expect.stringContaining('"lastEventId"') },
    ]);
    await stream.close();
  });
});

describeInChromium('docs/notifications.html', (tabs) => {
  it('shows the count of the server', async () => {
    await notify('before', '/users/ada/notifications');
    const page = await tabs.open(recipe.url);
    await page.locator('output', { hasText: '1' }).waitFor();

    await notify('first', '/users/ada/notifications');
    await page.locator('li', { hasText: 'first' }).waitFor();
    await page.locator('button').click();
    await page.locator('output', { hasText: '0' }).waitFor();

    expect(await page.locator('li').allTextContents()).toEqual(['first']);
    expect(tabs.errors).toEqual([]);
  });
});
