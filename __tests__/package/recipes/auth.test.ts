import { getEventListeners, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type OpenedStream, openStream } from '../../../lib/testing';
import { describeInChromium } from '../../support/chromium';
import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';

let recipe: Started<typeof import('../../../docs/auth')>;
/** A server for the page on an origin other than that of the API. */
let otherOrigin: Server;

beforeAll(async () => {
  otherOrigin = createServer((_req, res) => {
    fetch(recipe.url)
      .then((page) => page.text())
      .then((html) => res.setHeader('Content-Type', 'text/html').end(html), String);
  });
  await once(otherOrigin.listen(0, '127.0.0.1'), 'listening');
  recipe = await startRecipe('auth', { PAGE_ORIGIN: originOf(otherOrigin), MAX_STREAM_MS: '1000' });
});

afterEach(async () => {
  await noStreams();
  expect(recipe.news.size).toBe(0);
});

afterAll(async () => {
  await stopRecipe(recipe);
  await stopRecipe({ server: otherOrigin });
});

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function signIn(user = 'ada'): Promise<{ token: string; cookie: string }> {
  const response = await postJson(`${recipe.url}/sessions`, { user });
  const cookie = response.headers.get('Set-Cookie') ?? '';
  expect(cookie).toMatch(/^session=[-\w]+; Path=\/; HttpOnly; SameSite=Lax$/);
  return { ...((await response.json()) as { token: string }), cookie: cookie.replace(/;.*/, '') };
}

async function ticketFor(token: string): Promise<string> {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${recipe.url}/tickets`, { method: 'POST', headers });
  return ((await response.json()) as { ticket: string }).ticket;
}

function open(path: string, headers: Record<string, string> = {}): Promise<OpenedStream> {
  return openStream(recipe.server, path, { headers });
}

async function receiveHello(stream: OpenedStream): Promise<unknown> {
  await recipe.news.publish('hello');
  return [stream.status, (await stream.next()).data];
}

describe('docs/auth.ts', () => {
  it.each(['', '?ticket=made-up', '?ticket=a&ticket=b'])(
    'responds with 401 without a valid session: /events%s',
    async (query) => {
      const stream = await open(`/events${query}`, { Cookie: 'session=made-up', Authorization: 'Bearer x' });

      expect([stream.status, stream.text]).toEqual([401, 'Unauthorized']);
      await stream.close();
    },
  );

  it('authenticates by cookie and by token', async () => {
    const { cookie, token } = await signIn();
    const streams = [
      await open('/events', { Cookie: cookie }),
      await open('/events', { Authorization: `Bearer ${token}` }),
    ];

    await recipe.news.publish('hello');

    for (const stream of streams) {
      expect(await stream.next()).toMatchObject({ data: 'hello' });
      await stream.close();
    }
  });

  it('accepts a ticket once', async () => {
    const { token } = await signIn();
    const path = `/events?ticket=${await ticketFor(token)}`;
    const stream = await open(path);
    expect(await receiveHello(stream)).toEqual([200, 'hello']);

    await stream.reconnect();

    expect(stream.status).toBe(401);
    await stream.close();
  });

  it('resumes with a new ticket after the last event ID in the URL', async () => {
    const { token } = await signIn();
    const first = await open(`/events?ticket=${await ticketFor(token)}`);
    await receiveHello(first);
    await first.close();
    await recipe.news.publish('missed');

    const { lastEventId } = first;
    const second = await open(`/events?ticket=${await ticketFor(token)}&lastEventId=${lastEventId}`);

    expect(await second.next()).toMatchObject({ data: 'missed' });
    await second.close();
  });

  it('ends all streams of a session immediately when the session ends, and no others', async () => {
    const [ada, bob] = [await signIn(), await signIn()];
    const theirs = [
      await open('/events', { Cookie: ada.cookie }),
      await open(`/events?ticket=${await ticketFor(ada.token)}`),
    ];
    const other = await open('/events', { Cookie: bob.cookie });

    await fetch(`${recipe.url}/sessions`, { method: 'DELETE', headers: { Cookie: ada.cookie } });

    for (const stream of theirs) {
      expect(await stream.ended()).not.toContain('~end');
      await stream.reconnect();
      expect(stream.status).toBe(401);
      await stream.close();
    }
    expect(await receiveHello(other)).toEqual([200, 'hello']);
    await other.close();
  });

  it('ends all streams of a user, and no others', async () => {
    const [phone, laptop, other] = [await signIn(), await signIn(), await signIn('bob')];
    const theirs = [
      await open('/events', { Cookie: phone.cookie }),
      await open('/events', { Authorization: `Bearer ${laptop.token}` }),
    ];
    const others = await open('/events', { Cookie: other.cookie });

    recipe.signOut('ada');

    for (const stream of theirs) {
      expect(await stream.ended()).not.toContain('~end');
      await stream.reconnect();
      expect(stream.status).toBe(401);
      await stream.close();
    }
    expect(await receiveHello(others)).toEqual([200, 'hello']);
    await others.close();
  });

  it('rejects a ticket of a session that has ended', async () => {
    const { cookie, token } = await signIn();
    const ticket = await ticketFor(token);
    await fetch(`${recipe.url}/sessions`, { method: 'DELETE', headers: { Cookie: cookie } });

    const stream = await open(`/events?ticket=${ticket}`);

    expect(stream.status).toBe(401);
    await stream.close();
  });

  it('removes its listener from the session when the stream ends', async () => {
    const { cookie, token } = await signIn();
    const signal = recipe.sessions.get(token)?.revoked.signal as AbortSignal;
    const stream = await open('/events', { Cookie: cookie });
    await receiveHello(stream);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);

    await stream.close();
    await noStreams();

    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('ends every stream after MAX_STREAM_MS, so that its client is authenticated again', async () => {
    const { cookie, token } = await signIn();
    const stream = await open('/events', { Cookie: cookie });
    recipe.sessions.delete(token);

    await stream.ended();
    await stream.reconnect();

    expect(stream.status).toBe(401);
    await stream.close();
  });
});

describeInChromium('docs/auth.html', (tabs) => {
  it.each([
    { where: 'on the same origin', page: () => recipe.url },
    { where: 'on another origin', page: () => `${originOf(otherOrigin)}/?api=${recipe.url}` },
  ])('receives events until the user signs out, $where', async ({ page: address }) => {
    const page = await tabs.open(address());
    await page.getByText('Sign in').click();
    for (const id of ['#cookie', '#ticket']) await page.locator(id, { hasText: 'signed in' }).waitFor();
    await recipe.news.publish('hello');
    for (const id of ['#cookie', '#ticket']) await page.locator(id, { hasText: 'hello' }).waitFor();

    await page.getByText('Sign out').click();

    for (const id of ['#cookie', '#ticket']) await page.locator(id, { hasText: 'signed out' }).waitFor();
  });
});
