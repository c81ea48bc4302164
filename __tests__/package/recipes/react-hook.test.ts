import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { event, sse } from '../../../lib/index';
import { describeInChromium } from '../../support/chromium';
import { noStreams, type Started, startRecipe, stopRecipe } from '../../support/recipe';

let recipe: Started<typeof import('../../../docs/react-hook/server')>;

beforeAll(async () => {
  recipe = await startRecipe('react-hook/server');
});

afterAll(() => stopRecipe(recipe));

/** Resolves when the page shows these lines. */
async function shown(page: Page, ...lines: string[]): Promise<void> {
  for (const line of lines) await page.getByText(line, { exact: true }).waitFor();
}

/** Resolves when only the two channels have streams; StrictMode's first mount opens and closes others. */
async function onlyTwoStreams(): Promise<void> {
  while (sse.size !== 2) await sleep(5);
  expect([recipe.prices.size, recipe.job.size]).toEqual([1, 1]);
}

it('docs/react-hook compiles with the types of a browser', async () => {
  const compiled = promisify(execFile)(process.execPath, [
    require.resolve('typescript/bin/tsc'),
    '--project',
    'docs/react-hook',
  ]);

  await expect(compiled).resolves.toEqual({ stdout: '', stderr: '' });
});

describeInChromium('docs/react-hook', (tabs) => {
  it('shares one stream between components, closes it after they unmount, and opens it again on mount', async () => {
    const page = await tabs.open(recipe.url);
    await shown(page, 'ACME … OPEN', 'INIT … OPEN', '0 % OPEN');
    await onlyTwoStreams();

    await fetch(`${recipe.url}/prices/ACME/1`, { method: 'POST' });
    await recipe.prices.publish(event('price', { symbol: 'INIT', price: 2 }));
    await shown(page, 'ACME 1 OPEN', 'INIT 2 OPEN');

    await page.getByRole('button').click();
    await noStreams();
    await page.getByRole('button').click();
    await shown(page, 'ACME … OPEN', 'INIT … OPEN', '0 % OPEN');
    await onlyTwoStreams();
    await page.getByRole('button').click();
    await noStreams();
    expect(tabs.errors).toEqual([]);
  });

  it('reports CONNECTING while the server is unreachable, and CLOSED after the end', async () => {
    const page = await tabs.open(recipe.url);
    await shown(page, '0 % OPEN');
    await recipe.job.publish(event('progress', { percent: 50 }));
    await shown(page, '50 % OPEN');

    await page.context().setOffline(true);
    recipe.server.closeAllConnections();
    await shown(page, '50 % CONNECTING', 'ACME … CONNECTING');
    await page.context().setOffline(false);
    await shown(page, '50 % OPEN', 'ACME … OPEN');

    await recipe.job.end();
    await shown(page, '50 % CLOSED');
    expect(await page.locator('.price').count()).toBe(2);
  });
});
