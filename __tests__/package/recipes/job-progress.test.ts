import { once } from 'node:events';
import { openStream } from '../../../lib/testing';
import { describeInChromium } from '../../support/chromium';
import { countTo } from '../../support/demo';
import { noStreams, type Started, startRecipe, stopRecipe } from '../../support/recipe';

// A browser takes several seconds to reconnect and receive the 204.
let recipe: Started<typeof import('../../../docs/job-progress')>;

beforeAll(async () => {
  recipe = await startRecipe('job-progress');
});

afterEach(async () => {
  for (const job of recipe.jobs.values()) await job.close();
  await noStreams();
});

afterAll(() => stopRecipe(recipe));

async function startJob(): Promise<string> {
  const response = await fetch(`${recipe.url}/jobs`, { method: 'POST' });
  expect([response.status, await response.text()]).toEqual([202, '']);
  return response.headers.get('Location') ?? '';
}

function remove(job: string): Promise<Response> {
  return fetch(recipe.url + job, { method: 'DELETE' });
}

const PERCENTS = countTo(20).map((step) => `{"percent":${5 * step}}`);

describe('docs/job-progress.ts', () => {
  it('continues without its client, which reconnects for the missed events and then receives a 204', async () => {
    const job = await startJob();
    const stream = await openStream(recipe.server, job);
    await stream.take(3);

    stream.drop();
    await noStreams();
    await stream.reconnect();

    const rest = await stream.until(({ type }) => type === 'end');
    expect(rest.map(({ data }) => data)).toEqual([...PERCENTS.slice(3), '{"report":"/reports/1"}']);
    await stream.reconnect();
    expect(stream.status).toBe(204);
    await stream.close();
  });

  it('sends all events to a client that connects after the end', async () => {
    const job = await startJob();
    const first = await openStream(recipe.server, job);
    await first.ended();

    const late = await openStream(recipe.server, job);

    await late.ended();
    expect(late.events).toEqual(first.events);
    expect(first.events.slice(0, 20).map(({ type, data }) => `${type} ${data}`)).toEqual(
      PERCENTS.map((percent) => `progress ${percent}`),
    );
    expect((await remove(job)).status).toBe(409);
    await Promise.all([first.close(), late.close()]);
  });

  it('is cancelled by DELETE, for all subscribers', async () => {
    const job = await startJob();
    const streams = await Promise.all([openStream(recipe.server, job), openStream(recipe.server, job)]);
    await Promise.all(streams.map((stream) => stream.next()));

    expect((await remove(job)).status).toBe(204);

    for (const stream of streams) {
      expect(await stream.ended()).toMatch(/event: cancelled\nid: ~end\ndata: \{\}\n\n$/);
      expect(stream.events.length).toBeLessThan(20);
      await stream.close();
    }
  });

  it('responds with 404 for an unknown job', async () => {
    const stream = await openStream(recipe.server, '/jobs/none');

    expect(stream.status).toBe(404);
    expect((await remove('/jobs/none')).status).toBe(404);
    await stream.close();
  });
});

describeInChromium('docs/job-progress.html', (tabs) => {
  it('continues after a reload and in a second tab, and stops reconnecting after the end', async () => {
    const requests: string[] = [];
    recipe.server.on('request', ({ url, headers }) => requests.push(`${url} ${headers['last-event-id']}`));
    const page = await tabs.open(recipe.url);
    await page.getByText('Start').click();
    await page.locator('progress:not([value="0"])').waitFor();
    const percent = () => page.locator('progress').evaluate((bar) => Number(bar.getAttribute('value')));
    const before = await percent();

    await page.reload();
    await page.locator('progress:not([value="0"])').waitFor();
    const second = await tabs.open(page.url());

    expect(await percent()).toBeGreaterThanOrEqual(before);
    await page.locator('#status', { hasText: 'Done: /reports/1' }).waitFor();
    await second.locator('#status', { hasText: 'Done: /reports/1' }).waitFor();
    const [, job] = page.url().split('#');
    while (requests.filter((line) => line === `${job} ~end`).length < 2) await once(recipe.server, 'request');
    expect(recipe.jobs.size).toBeGreaterThan(0);
    expect(tabs.errors).toEqual([]);
  });

  it('cancels the job with the button', async () => {
    const page = await tabs.open(recipe.url);
    await page.getByText('Start').click();
    await page.locator('progress:not([value="0"])').waitFor();

    await page.getByText('Cancel', { exact: true }).click();

    await page.locator('#status', { hasText: 'Cancelled.' }).waitFor();
    expect(tabs.errors).toEqual([]);
  });
});
