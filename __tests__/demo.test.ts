import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { RequestHandler, Response } from 'express';
import { app as demo } from '../demo/app';
import { event, sse } from '../lib';
import { describeInChromium } from './support/chromium';
import { Client } from './support/client';
import { Gate } from './support/gate';
import { releaseAll, serve, type TestServer } from './support/serve';

const ROOT = join(__dirname, '..');

jest.setTimeout(30_000);

const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  // The demo's streams are those of the one `sse` that everybody shares.
  while (sse.size > 0) await setImmediate();
  await releaseAll();
});

describeInChromium('the page of the demo', (tabs) => {
  it('shows the clock ticking', async () => {
    const server = await serve((app) => app.use(demo));

    const page = await tabs.open(server.url('/'));
    const time = page.locator('#clock time', { hasText: /^\d\d:\d\d:\d\d$/ });
    const first = await time.textContent();
    await page.locator('#clock time', { hasNotText: first ?? '' }).waitFor();

    expect(await time.textContent()).not.toBe(first);
    expect(await page.locator('#clock .state').textContent()).toBe('OPEN');
  });

  it('shows the routes as they are written in app.ts', async () => {
    const server = await serve((app) => app.use(demo));
    const source = readFileSync(join(ROOT, 'demo/app.ts'), 'utf8');

    const page = await tabs.open(server.url('/'));
    const routes = await page.locator('.code').allTextContents();

    expect(routes).toHaveLength(2);
    for (const route of routes) expect(source).toContain(route);
  });

  it('leaves no stream open when its tab is closed', async () => {
    const server = await serve((app) => app.use(demo));
    const page = await tabs.open(server.url('/'));
    await page.locator('#start').click();
    await page.locator('.wire .chunk').first().waitFor();
    await page.locator('.story', { hasText: 'Connection 1' }).waitFor();
    expect(sse.size).toBe(3);

    await page.close();
    await Promise.all(server.responses.filter((res) => !res.closed).map((res) => once(res, 'close')));

    expect(sse.size).toBe(0);
  });

  it('resumes the job after a dropped connection, with no step missed or repeated', async () => {
    const server = await serve((app) => app.use(demo));
    const page = await tabs.open(server.url('/'), { script: RECORD_STEPS });

    await page.locator('#start').click();
    await page.locator('.progress i:nth-child(5)[data-connection]').waitFor();
    await page.locator('#drop').click();
    await page.locator('.story', { hasText: 'Connection lost' }).waitFor();
    await page.locator('.story .done', { hasText: '40 steps, none missed, none repeated' }).waitFor();

    expect(await page.evaluate('steps')).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    const [whole, resumed, finished] = requestsFor(server, /^\/job\/\w+$/);
    expect(whole).toEqual({ status: 200, lastEventId: undefined, cut: true });
    expect(resumed).toEqual({ status: 200, lastEventId: expect.stringMatching(/^\d+$/), cut: false });
    expect(finished).toEqual({ status: 204, lastEventId: '~end', cut: false });
    expect(await page.locator('#job .state').textContent()).toBe('CLOSED');
    expect(await page.getByRole('progressbar').getAttribute('aria-valuenow')).toBe('40');
  });

  it('shows the bytes on the wire, comments too', async () => {
    const server = await serve((app) => app.use(demo));
    const page = await tabs.open(server.url('/'));

    await page.locator('label', { hasText: 'quiet' }).click();
    await page.locator('.wire pre', { hasText: 'keep-alive' }).waitFor();

    const chunks = await page.locator('.wire pre').allTextContents();
    expect(chunks).toEqual([': nothing to say, but still here\n\n', ': keep-alive\n\n']);
  });

  it('fits a phone, loads nothing from elsewhere, and its console has nothing to complain about', async () => {
    const server = await serve((app) => app.use(demo));
    const page = await tabs.open(server.url('/'), { width: 360 });

    await page.locator('#start').click();
    await page.locator('summary').click();
    await page.locator('.wire .chunk').first().waitFor();
    await page.locator('.progress i:nth-child(1)[data-connection]').waitFor();

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    const loaded = await page.evaluate<string[]>('performance.getEntries().map(({ name }) => name)');
    const elsewhere = loaded.filter((name) => name.includes('//') && !name.startsWith(server.url('/')));
    expect(elsewhere).toEqual([]);
    expect(tabs.errors).toEqual([]);
  });

  it('lets the demo end although its streams are open', async () => {
    const demo = runDemo('0');
    const page = await tabs.open(await demo.address());
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
  ])('runs the finally of a generator that waits $waits when its tab is closed', async ({ next }) => {
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

  it('asks exactly twice for a stream that finishes, and is CLOSED then', async () => {
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

  it('sees the type, every line and every character, and comes back with the id', async () => {
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

    const [greeted] = await page.locator('li').allTextContents();
    expect(JSON.parse(greeted ?? '')).toEqual(['one\ntwo\nthree\n\nfive ✓ 🎉', 'é✓']);
    expect(ids).toEqual(['', 'é✓']);
  });
});

describe('npm run demo', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('ends its streams and exits with 0 on %s', async (signal) => {
    const demo = runDemo('0');
    const address = await demo.address();
    const clients = await Promise.all(['clock', 'quiet', 'job/a'].map((path) => Client.open(address + path)));
    await clients[0]?.until('data:');
    // As a browser does ahead of need: Node would wait a minute for a request on it.
    const unused = connect(Number(new URL(address).port), 'localhost');
    await once(unused, 'connect');

    demo.child.kill(signal);

    expect(await demo.exited).toEqual([0, null]);
    const bodies = await Promise.all(clients.map(({ ended }) => ended));
    expect(bodies.join()).not.toContain('~end');
    expect(demo.stderr).toBe('');
    unused.destroy();
  });

  it('names a busy port and the remedy, and exits with 1', async () => {
    const other = createServer().listen(0);
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;

    const demo = runDemo(String(port));

    expect(await demo.exited).toEqual([1, null]);
    expect(demo.stderr).toMatch(`Port ${port} is in use. Stop what listens there, or choose another one`);
    expect(demo.stderr.trim().split('\n')).toHaveLength(1);
    other.close();
    await once(other, 'close');
  });

  it.each(['http', '-1', '65536', '3e3'])('refuses PORT=%s and exits with 1', async (port) => {
    const demo = runDemo(port);

    expect(await demo.exited).toEqual([1, null]);
    expect(demo.stderr).toBe(
      `Expected PORT to be a whole number from 0 to 65535, got '${port}'. Try PORT=3000.\n`,
    );
  });
});

const RECORD_STEPS = `
  globalThis.steps = [];
  globalThis.EventSource = class extends EventSource {
    constructor(url) {
      super(url);
      this.addEventListener('progress', ({ data }) => steps.push(JSON.parse(data).step));
    }
  };
`;

/** A page with an EventSource and a list of what happened to it. */
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

/** What was asked for and answered, in order. */
function requestsFor({ responses }: TestServer, path: RegExp) {
  return responses.filter(({ req }) => path.test(req.originalUrl)).map(described);
}

function described({ statusCode, req, writableFinished }: Response) {
  return { status: statusCode, lastEventId: req.get('Last-Event-ID'), cut: !writableFinished };
}

/** The demo as its own process; PORT 0 takes any free one. */
function runDemo(port: string) {
  const env = { ...process.env, PORT: port };
  const child = spawn(process.execPath, ['--import', 'tsx', 'demo/server.ts'], { cwd: ROOT, env });
  children.push(child);
  const run = {
    child,
    stdout: '',
    stderr: '',
    exited: once(child, 'close'),
    /** Resolves with what the demo prints once it listens. */
    async address(): Promise<string> {
      for (;;) {
        const [address] = /http:\S+/.exec(run.stdout) ?? [];
        if (address !== undefined) return address;
        await once(child.stdout, 'data');
      }
    },
  };
  child.stdout.on('data', (text: Buffer) => {
    run.stdout += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    run.stderr += text.toString();
  });
  return run;
}
