import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { RequestHandler, Response } from 'express';
import { createApp } from '../../demo/app';
import { backingInMemory } from '../../demo/memory';
import { event, sse } from '../../lib/index';
import { openStream } from '../../lib/testing';
import { describeInChromium } from '../support/chromium';
import { countTo, endDemos, pricesOf, RECORD, ROOT, runDemo, stepsOf, tallyOf } from '../support/demo';
import { Gate } from '../support/gate';
import { releaseAll, serve, type TestServer } from '../support/serve';

/** Functions that stop the background work of the demos of a test. */
const cleanups: Array<() => Promise<void>> = [];

afterEach(async () => {
  await endDemos('SIGKILL');
  for (const cleanUp of cleanups.splice(0)) await cleanUp();
  // The demo uses the shared `sse` of the package.
  while (sse.size > 0) await setImmediate();
  await releaseAll();
});

describeInChromium('the page of the demo', (tabs) => {
  it('shows the ticking clock', async () => {
    const server = await serveDemo();

    const page = await tabs.open(server.url('/'));
    const time = page.locator('#clock time', { hasText: /^\d\d:\d\d:\d\d$/ });
    const first = await time.textContent();
    await page.locator('#clock time', { hasNotText: first ?? '' }).waitFor();

    expect(await time.textContent()).not.toBe(first);
    expect(await page.locator('#clock .state').textContent()).toBe('OPEN');
  });

  it('shows the routes exactly as in the source of the demo', async () => {
    const server = await serveDemo();
    const files = ['app', 'job', 'memory'];
    const source = files.map((file) => readFileSync(join(ROOT, `demo/${file}.ts`), 'utf8')).join('\n');
    // The page removes the indentation of code from within a function.
    const sources = [0, 2, 4].map((indent) => source.replace(new RegExp(`^ {${indent}}`, 'gm'), ''));

    const page = await tabs.open(server.url('/'));
    const routes = await page.locator('.code').allTextContents();

    expect(routes).toHaveLength(7);
    for (const route of routes) {
      const found = sources.some((dedented) => dedented.includes(route));
      expect(found ? route : `not in the demo: ${route}`).toBe(route);
    }
  });

  it('leaves no stream open when its tab is closed', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'));
    await page.locator('#start').click();
    await page.locator('.wire .chunk').first().waitFor();
    await page.locator('.story', { hasText: 'Connection 1' }).waitFor();
    await page.locator('#chart .line').first().waitFor();
    expect(sse.size).toBe(4);

    await page.close();
    await Promise.all(server.responses.filter((res) => !res.closed).map((res) => once(res, 'close')));

    expect(sse.size).toBe(0);
  });

  it('resumes the job after a dropped connection, with no step missed or repeated', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'), { script: RECORD });

    await page.locator('#start').click();
    await page.locator('.progress i:nth-child(5)[data-connection]').waitFor();
    await page.locator('#drop').click();
    await page.locator('.story', { hasText: 'Connection lost' }).waitFor();
    await page.locator('.story .done', { hasText: '40 steps, none missed, none repeated' }).waitFor();

    expect((await stepsOf(page)).map(({ step }) => step)).toEqual(countTo(40));
    const [whole, resumed, finished] = requestsFor(server, /^\/job\/\w+\?/);
    expect(whole).toEqual({ status: 200, lastEventId: undefined, cut: true });
    expect(resumed).toEqual({ status: 200, lastEventId: expect.stringMatching(/^\w+-\d+$/), cut: false });
    expect(finished).toEqual({ status: 204, lastEventId: '~end', cut: false });
    expect(await page.locator('#job .state').textContent()).toBe('CLOSED');
    expect(await page.getByRole('progressbar').getAttribute('aria-valuenow')).toBe('40');
  });

  it('continues the job after a reload at its current step', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'), { script: RECORD });
    await page.locator('#start').click();
    await page.locator('.progress i:nth-child(5)[data-connection]').waitFor();
    const before = await stepsOf(page);

    await page.reload();
    await page.locator('.progress i:nth-child(10)[data-connection]').waitFor();

    const after = await stepsOf(page);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after.map(({ step }) => step)).toEqual(countTo(after.length));
    expect(await page.locator('.story').textContent()).toContain('after a reload, the whole run so far');
    const jobs = requestsFor(server, /^\/job\//);
    expect(jobs.map(({ lastEventId }) => lastEventId)).toEqual([undefined, undefined]);
  });

  it('stops the job with the button, in all tabs', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'), { script: RECORD });
    await page.locator('#start').click();
    const link = await page.evaluate<string>("document.querySelector('.share a').href");
    const other = await tabs.open(link, { script: RECORD });
    await other.locator('.progress i:nth-child(3)[data-connection]').waitFor();

    await page.locator('#stop').click();

    for (const tab of [page, other]) {
      await tab.locator('.story', { hasText: 'event: stopped.' }).waitFor();
      await tab.locator('.story .done', { hasText: 'CLOSED for good' }).waitFor();
      expect(await tab.locator('#job .state').textContent()).toBe('CLOSED');
    }
    expect(await stepsOf(page)).toEqual(await stepsOf(other));
    expect((await stepsOf(page)).length).toBeLessThan(40);
    const stopped = requestsFor(server, /^\/job\/\w+$/);
    expect(stopped.map(({ status }) => status)).toEqual([204]);
  });

  it('shows one run in two tabs', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'), { script: RECORD });
    await page.locator('#start').click();
    const link = await page.evaluate<string>("document.querySelector('.share a').href");

    const other = await tabs.open(link, { script: RECORD });
    await page.locator('.progress i:nth-child(8)[data-connection]').waitFor();
    await other.locator('.progress i:nth-child(8)[data-connection]').waitFor();

    const [mine, theirs] = [await stepsOf(page), await stepsOf(other)];
    expect(theirs.slice(0, 8)).toEqual(mine.slice(0, 8));
    expect(other.url()).toBe(server.url('/'));
  });

  it('draws the prices, and resumes after a dropped connection with none missed or repeated', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'), { script: RECORD });
    await page.locator('#chart .line[data-connection=odd]').waitFor();

    await page.locator('#drop-chart').click();
    await page.locator('#chart .message', { hasText: 'Connection lost' }).waitFor();
    await page.locator('#chart .line.late[data-connection=even]').waitFor();
    await page.locator('#chart .line[data-connection=even]:not(.late)').waitFor();
    await page.waitForFunction(`${COLOURS_IN_PLOT}.length === 2`);

    const prices = await pricesOf(page);
    expect(prices.map(({ n }) => n)).toEqual(countTo(prices.length));
    expect(await tallyOf(page)).toMatchObject({ missed: 0, repeated: 0, gaps: 0 });
    expect((await tallyOf(page)).late).toBeGreaterThan(0);
    const ids = requestsFor(server, /^\/prices/).map(({ lastEventId }) => lastEventId);
    expect(ids).toEqual([undefined, expect.stringMatching(/^\w+-\d+$/)]);
  });

  it('shows a gap when a server with its log in memory is killed and restarted', async () => {
    const killed = runDemo('demo/server.ts', { PORT: '0' });
    const address = await killed.printed(ADDRESS);
    const page = await tabs.open(address, { script: RECORD });
    await page.locator('#chart .line').waitFor();
    await page.locator('#start').click();
    await page.locator('.progress i:nth-child(5)[data-connection]').waitFor();

    killed.child.kill('SIGKILL');
    await killed.exited;
    runDemo('demo/server.ts', { PORT: new URL(address).port });
    await page.locator('#chart .gap').waitFor({ state: 'attached' });
    await page.locator('.story', { hasText: 'event: gap' }).waitFor();
    await page.locator('.progress i:nth-child(3)[data-connection=even]').waitFor();

    expect(await tallyOf(page)).toMatchObject({ missed: 0, repeated: 0, gaps: 1 });
    const steps = (await stepsOf(page)).map(({ step }) => step);
    expect(steps.slice(steps.lastIndexOf(1)).slice(0, 3)).toEqual([1, 2, 3]);
  });

  it('closes its connections while it is hidden, and has missed nothing when it is visible again', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'), { script: RECORD });
    await page.locator('#start').click();
    await page.locator('.progress i:nth-child(3)[data-connection]').waitFor();
    await page.locator('#chart .line').waitFor();
    await page.locator('.wire .chunk').first().waitFor();

    await page.evaluate(setHidden(true));
    await Promise.all(server.responses.filter((res) => !res.closed).map((res) => once(res, 'close')));
    expect(sse.size).toBe(0);
    await page.evaluate(setHidden(false));
    await page.locator('.progress i:nth-child(6)[data-connection]').waitFor();
    await page.locator('#chart .state', { hasText: 'OPEN' }).waitFor();
    await page.locator('#clock .state', { hasText: 'OPEN' }).waitFor();

    expect(await page.locator('.progress i[data-connection=odd]').count()).toBeGreaterThanOrEqual(6);
    expect((await pricesOf(page)).filter(({ n }) => n === 1)).toHaveLength(2);
    expect(await tallyOf(page)).toMatchObject({ missed: 0, repeated: 0, gaps: 0 });
  });

  it('shares the six connections of the browser with a second tab', async () => {
    const server = await serveDemo();
    const first = await tabs.open(server.url('/'));
    await first.locator('#start').click();
    await first.locator('.progress i:nth-child(2)[data-connection]').waitFor();

    const opened = first.waitForEvent('popup');
    await first.getByRole('link', { name: 'in another tab' }).click();
    const second = await opened;
    await second.locator('.progress i:nth-child(2)[data-connection]').waitFor();
    await second.locator('#clock .state', { hasText: 'OPEN' }).waitFor();
    await second.locator('.wire .chunk').first().waitFor();
    expect(sse.size).toBe(6);
    expect(await first.locator('#clock .state').textContent()).toBe('CLOSED');

    // This request needs a connection, and all six are in use.
    await second.locator('#drop').click();
    await second.locator('.story', { hasText: 'Connection 2' }).waitFor();

    expect(await second.locator('#wire .state').textContent()).toBe('CLOSED');
  });

  it('shows the bytes on the wire, including comments', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'));

    await page.locator('label', { hasText: 'quiet' }).click();
    await page.locator('.wire pre', { hasText: 'keep-alive' }).waitFor();

    const chunks = await page.locator('.wire pre').allTextContents();
    expect(chunks).toEqual([': no events on this route, only comments\n\n', ': keep-alive\n\n']);
  });

  it('fits a phone, loads nothing from other origins, and logs no error', async () => {
    const server = await serveDemo();
    const page = await tabs.open(server.url('/'), { width: 360 });

    await page.locator('#start').click();
    for (const summary of await page.locator('summary').all()) await summary.click();
    await page.locator('.wire .chunk').first().waitFor();
    await page.locator('.progress i:nth-child(1)[data-connection]').waitFor();

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    const loaded = await page.evaluate<string[]>('performance.getEntries().map(({ name }) => name)');
    const foreign = loaded.filter((name) => name.includes('//') && !name.startsWith(server.url('/')));
    expect(foreign).toEqual([]);
    expect(tabs.errors).toEqual([]);
  });

  it('does not prevent the demo from exiting while streams are open', async () => {
    const demo = runDemo('demo/server.ts', { PORT: '0' });
    const page = await tabs.open(await demo.printed(ADDRESS));
    await page.locator('#clock time', { hasText: /^\d\d/ }).waitFor();
    await page.locator('.wire .chunk').first().waitFor();

    demo.child.kill('SIGTERM');

    expect(await demo.exited).toEqual([0, null]);
    await page.locator('#clock .state', { hasText: 'CONNECTING' }).waitFor();
  });
});

describeInChromium('an EventSource in Chromium', (tabs) => {
  it.each([
    { waits: 'for its signal', next: (signal: AbortSignal) => setTimeout(60_000, null, { signal }) },
    { waits: 'for something else', next: () => setTimeout(10) },
  ])('runs the finally of a generator that waits $waits when the tab closes', async ({ next }) => {
    const cleaned = new Gate();
    const server = await serve((app) => {
      app.get('/', pageWith('source.onmessage = ({ data }) => log(data);'));
      app.get('/stream', async function* (_req, res) {
        try {
          for (;;) {
            yield 'open';
            await next(res.sse.signal);
          }
        } finally {
          cleaned.open();
        }
      });
    });
    const page = await tabs.open(server.url('/'));
    await page.locator('li', { hasText: 'open' }).first().waitFor();
    expect(server.sse.size).toBe(1);

    await page.close();
    await cleaned.promise;

    expect(server.sse.size).toBe(0);
  });

  it('makes exactly two requests for a finished stream and is then CLOSED', async () => {
    const server = await serve(
      (app) => {
        app.get(
          '/',
          pageWith(`
            source.addEventListener('end', ({ data }) => log('end ' + data));
            source.onerror = () => log('error ' + source.readyState);
          `),
        );
        app.get('/stream', async function* () {
          yield 'one';
          return 'all';
        });
      },
      { retryMs: 1 },
    );

    const page = await tabs.open(server.url('/'));
    await page.locator('li', { hasText: 'error 2' }).waitFor();

    expect(await page.locator('li').allTextContents()).toEqual(['end all', 'error 0', 'error 2']);
    expect(requestsFor(server, /^\/stream$/)).toEqual([
      { status: 200, lastEventId: undefined, cut: false },
      { status: 204, lastEventId: '~end', cut: false },
    ]);
  });

  it('receives the type, every line and every character, and reconnects with the id', async () => {
    const ids: string[] = [];
    const server = await serve(
      (app) => {
        app.get(
          '/',
          pageWith(`
            source.addEventListener('greeting', ({ data, lastEventId }) => log(JSON.stringify([data, lastEventId])));
            source.onerror = () => log('error ' + source.readyState);
          `),
        );
        app.get('/stream', (_req, res) => {
          ids.push(res.sse.lastEventId);
          return ids.length === 1 ? greeting() : res.sendStatus(204);
        });
      },
      { retryMs: 1, end: 'reconnect' },
    );
    async function* greeting() {
      yield event('greeting', 'one\r\ntwo\rthree\n\nfive ✓ 🎉', { id: 'é✓' });
    }

    const page = await tabs.open(server.url('/'));
    await page.locator('li', { hasText: 'error 2' }).waitFor();

    const [greetingText] = await page.locator('li').allTextContents();
    expect(JSON.parse(greetingText ?? '')).toEqual(['one\ntwo\nthree\n\nfive ✓ 🎉', 'é✓']);
    expect(ids).toEqual(['', 'é✓']);
  });
});

describe('npm run demo', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('ends its streams and exits with 0 on %s', async (signal) => {
    const demo = runDemo('demo/server.ts', { PORT: '0' });
    const address = await demo.printed(ADDRESS);
    const paths = ['clock', 'quiet', 'prices', 'job/a'];
    const clients = await Promise.all(paths.map((path) => openStream(address + path)));
    await clients[0]?.untilText('data:');
    // Browsers also open a connection in advance. Node would wait a minute for a request on it.
    const unused = connect(Number(new URL(address).port), 'localhost');
    await once(unused, 'connect');

    demo.child.kill(signal);

    expect(await demo.exited).toEqual([0, null]);
    const bodies = await Promise.all(clients.map((client) => client.ended()));
    expect(bodies.join()).not.toContain('~end');
    expect(demo.stderr).toBe('');
    unused.destroy();
  });

  it('reports a busy port with a remedy and exits with 1', async () => {
    const other = createServer().listen(0);
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;

    const demo = runDemo('demo/server.ts', { PORT: String(port) });

    expect(await demo.exited).toEqual([1, null]);
    expect(demo.stderr).toMatch(`Port ${port} is in use. Stop what listens there, or choose another one`);
    expect(demo.stderr.trim().split('\n')).toHaveLength(1);
    other.close();
    await once(other, 'close');
  });

  it.each(['http', '-1', '65536', '3e3'])('rejects PORT=%s and exits with 1', async (port) => {
    const demo = runDemo('demo/server.ts', { PORT: port });

    expect(await demo.exited).toEqual([1, null]);
    expect(demo.stderr).toBe(
      `Expected PORT to be a whole number from 0 to 65535, got '${port}'. Try PORT=3000.\n`,
    );
  });
});

const ADDRESS = /http:\S+/g;

/** Serves the demo in this process, with its own prices and jobs. */
function serveDemo(): Promise<TestServer> {
  const backing = backingInMemory();
  cleanups.push(() => backing.close());
  return serve((app) => app.use(createApp(backing)));
}

/** Which of the two colours of connections the pixels of the plot have. */
const COLOURS_IN_PLOT = `['--accent', '--second'].filter((name) => {
  const colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const wanted = colour.match(/[0-9a-f]{2}/g).map((digits) => parseInt(digits, 16)).join();
  const canvas = document.querySelector('#chart canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) if (data.slice(at, at + 3).join() === wanted) return true;
  return false;
})`;

function setHidden(hidden: boolean): string {
  return `
    Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} });
    document.dispatchEvent(new Event('visibilitychange'));
  `;
}

/** A page with an EventSource and a list of its events. */
function pageWith(script: string): RequestHandler {
  const html = `<!doctype html><link rel="icon" href="data:,"><ul></ul><script>
    const log = (text) => document.querySelector('ul').append(
      Object.assign(document.createElement('li'), { textContent: text }),
    );
    const source = new EventSource('/stream');
    ${script}
  </script>`;
  return (_req, res) => {
    res.type('html').send(html);
  };
}

/** The requests and their responses, in order. */
function requestsFor({ responses }: TestServer, path: RegExp) {
  return responses.filter(({ req }) => path.test(req.originalUrl)).map(described);
}

function described({ statusCode, req, writableFinished }: Response) {
  return { status: statusCode, lastEventId: req.get('Last-Event-ID'), cut: !writableFinished };
}
