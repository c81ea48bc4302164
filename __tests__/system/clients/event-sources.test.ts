import { once } from 'node:events';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import express, { type Express } from 'express';
import type { Page } from 'playwright-core';
import { Channel, event } from '../../../lib';
import { describeInChromium, type Tabs } from '../../support/chromium';
import { ClientRecorder } from '../../support/field-clients';
import { Matrix } from '../../support/field-matrix';
import { aborted, Gate } from '../../support/gate';
import { releaseAll, type ServeOptions, serve, type TestServer } from '../../support/serve';
import { load } from './support/load';

const { EventSource: EventSource4 } = jest.requireActual<typeof import('eventsource')>(
  '../../../node_modules/eventsource',
);

const MODULES = join(__dirname, '../../../node_modules');

/** A client that reconnects by itself, in the way of an `EventSource`. */
interface EventSourceClient {
  readonly name: string;
  /** Opens the stream. `stops`: with the line that this client needs to stop at the closing event, if any. */
  open(server: TestServer, recorder: ClientRecorder, stops: boolean): Promise<() => unknown>;
  /** Stops at a 204, as the specification says; others need a line in the page. */
  readonly stopsAt204: boolean;
  /** How it sends the last event ID when it reconnects. */
  readonly resumesBy: 'header' | 'query';
  /** Does not reconnect after a connection that was cut, only after one that ended. */
  readonly staysAwayAfterCut?: true;
  /** Has no last event ID before its first event. */
  readonly ignoresIdWithoutData?: true;
}

const TYPES = ['message', 'tick', 'end'] as const;

const matrix = new Matrix('EventSource client');

afterAll(() => matrix.print());

/** The `EventSource` of npm, which runs in Node. */
const NPM: EventSourceClient = {
  name: 'eventsource',
  async open(server, recorder) {
    const { EventSource } = await load('eventsource');
    const source = new EventSource(server.url('/stream'));
    for (const type of TYPES) {
      source.addEventListener(type, ({ data, lastEventId }) => recorder.record(type, data, lastEventId));
    }
    source.onerror = () => {
      if (source.readyState === source.CLOSED) recorder.stopped.open();
    };
    return () => source.close();
  },
  stopsAt204: true,
  resumesBy: 'header',
};

/** Opens a page with a script that has `record` and `stopped`. */
async function openPage(
  tabs: Tabs,
  server: TestServer,
  recorder: ClientRecorder,
  path: string,
): Promise<Page> {
  const page = await tabs.open(server.url('/empty'));
  await page.exposeFunction('record', (type: string, data: string, id: string) =>
    recorder.record(type, data, id),
  );
  await page.exposeFunction('stopped', () => recorder.stopped.open());
  await page.goto(server.url(path));
  return page;
}

/** A client whose class has the interface of an `EventSource`. */
function classInPage(
  tabs: Tabs,
  name: string,
  rest: Omit<EventSourceClient, 'name' | 'open'>,
): EventSourceClient {
  return {
    name,
    ...rest,
    async open(server, recorder, stops) {
      const page = await openPage(tabs, server, recorder, `/pages/${name}${stops ? '?stops' : ''}`);
      return () => page.close();
    },
  };
}

function scriptPage(load: string): string {
  return `<!doctype html><link rel="icon" href="data:,"><script type="module">
    ${load}
    const source = new Source('/stream');
    for (const type of ${JSON.stringify(TYPES)}) {
      source.addEventListener(type, ({ data, lastEventId }) => record(type, data, lastEventId ?? ''));
    }
    if (location.search === '?stops') source.addEventListener('end', () => source.close());
    source.addEventListener('error', () => source.readyState === 2 && stopped());
  </script>`;
}

function htmx2Page(stops: boolean): string {
  return `<!doctype html><link rel="icon" href="data:,">
    <script src="/htmx.org/dist/htmx.js"></script>
    <script src="/htmx-ext-sse/sse.js"></script>
    <script>
      document.addEventListener('htmx:sseMessage', ({ detail }) => record(detail.type, detail.data, detail.lastEventId));
    </script>
    <div hx-ext="sse" sse-connect="/stream" ${stops ? 'sse-close="end"' : ''}>
      <p sse-swap="message"></p><p sse-swap="tick"></p><p sse-swap="end"></p>
    </div>`;
}

function htmx4Page(stops: boolean): string {
  return `<!doctype html><link rel="icon" href="data:,">
    <script src="/htmx.org4/dist/htmx.js"></script>
    <script src="/htmx.org4/dist/ext/hx-sse.js"></script>
    <script>
      document.addEventListener('htmx:sse:after:message', ({ detail: { message } }) =>
        record(message.event || 'message', message.data, message.id));
    </script>
    <div hx-sse:connect="/stream" ${stops ? 'hx-sse:close="end"' : ''}></div>`;
}

/** The pages of the clients, with the packages that they load. */
function servePages(app: Express): void {
  app.get('/empty', (_req, res) => {
    res.type('html').send('<!doctype html><link rel="icon" href="data:,">');
  });
  for (const name of ['htmx.org', 'htmx.org4', 'htmx-ext-sse', 'event-source-polyfill']) {
    app.use(`/${name}`, express.static(join(MODULES, name)));
  }
  app.get('/react-native-sse.js', (_req, res) => {
    res.type('js').send(reactNativeSse);
  });
  const pages: Record<string, (stops: boolean) => string> = {
    EventSource: () => scriptPage('const Source = EventSource;'),
    'event-source-polyfill': () =>
      scriptPage(
        `await import('/event-source-polyfill/src/eventsource.js'); const Source = EventSourcePolyfill;`,
      ),
    'react-native-sse': () => scriptPage(`import Source from '/react-native-sse.js';`),
    'htmx.org': htmx2Page,
    'htmx.org4': htmx4Page,
  };
  app.get('/pages/:name', ({ params, query }, res) => {
    res.type('html').send(pages[params.name]?.('stops' in query));
  });
}

let reactNativeSse = '';

/** A package for React Native, whose XMLHttpRequest a browser has, too. */
beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [join(MODULES, 'react-native-sse/src/EventSource.js')],
    bundle: true,
    format: 'esm',
    write: false,
  });
  reactNativeSse = outputFiles[0]?.text ?? '';
});

const open: Array<() => unknown> = [];
const servers: TestServer[] = [];

async function serveStream(
  build: (app: Express) => void,
  options: ServeOptions = { retryMs: 1 },
): Promise<TestServer> {
  const server = await serve((app) => {
    servePages(app);
    build(app);
  }, options);
  servers.push(server);
  return server;
}

/** The requests for the stream. */
function requestsTo({ responses }: TestServer) {
  return responses
    .filter(({ req }) => req.path === '/stream')
    .map(({ req, statusCode }) => ({ req, statusCode }));
}

/** Closes the clients, and asserts that no stream is open. */
async function release(): Promise<void> {
  for (const close of open.splice(0)) await close();
  for (const { sse, server } of servers.splice(0)) {
    while (sse.size > 0) await setImmediate();
    // After an abort, Node's fetch opens a connection in advance, and keeps it for seconds.
    server.closeAllConnections();
  }
  await releaseAll();
}

function describeEventSource(client: EventSourceClient): void {
  const note = (column: string, seen: string) => matrix.note(client.name, column, seen);

  async function start(server: TestServer, stops = true): Promise<ClientRecorder> {
    const recorder = new ClientRecorder();
    open.push(await client.open(server, recorder, stops));
    return recorder;
  }

  describe(client.name, () => {
    afterEach(release);

    it('receives types and data', async () => {
      const data = 'one\ntwo ünï ✓ 🚀';
      const server = await serveStream((app) => {
        app.get('/stream', async function* () {
          yield event('tick', data, { id: 'a' });
          yield { n: 1 };
          return { rows: 2 };
        });
      });

      const recorder = await start(server);
      await recorder.until('{"n":1}');

      expect(recorder.events.slice(0, 2).map(({ type, data: text }) => [type, text])).toEqual([
        ['tick', data],
        ['message', '{"n":1}'],
      ]);
      note('data, types', 'exact');
    });

    it(`stops after a finished stream${client.stopsAt204 ? '' : ', with its line in the page'}`, async () => {
      const server = await serveStream((app) => {
        app.get('/stream', async function* () {
          yield 'first';
          return 'done';
        });
        app.get('/later', async function* () {
          yield await sleep(1_000);
        });
      });

      const recorder = await start(server, !client.stopsAt204);
      if (client.stopsAt204) await recorder.stopped.promise;
      else {
        await recorder.until('first');
        // Longer than any of them waits before it reconnects.
        await (await server.openStream('/later')).ended();
      }

      const requests = requestsTo(server).map(({ statusCode }) => statusCode);
      expect(requests).toEqual(client.stopsAt204 ? [200, 204] : [200]);
      note('finished stream', client.stopsAt204 ? 'stops at a 204' : 'stops with one line');
    });

    if (!client.stopsAt204) {
      it('requests a finished stream again and again without its line', async () => {
        const server = await serveStream((app) => {
          app.get('/stream', async function* () {
            yield 'first';
          });
        });

        await start(server, false);
        while (requestsTo(server).length < 3) await setImmediate();

        expect(requestsTo(server)[1]?.statusCode).toBe(204);
        note('without the line', 'requests it for ever');
      });
    }

    it('reconnects after sse.close()', async () => {
      const server = await serveStream((app) => {
        app.get('/stream', async function* (_req, res) {
          yield 'first';
          await aborted(res.sse.signal);
        });
      });
      const recorder = await start(server);
      await recorder.until('first');

      await server.sse.close({ spreadMs: 0 });
      while (requestsTo(server).length < 2) await setImmediate();

      expect(requestsTo(server).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
      note('`sse.close()`', 'reconnects');
    });

    it(`resumes a channel after the last event ID, which it sends in the ${client.resumesBy}`, async () => {
      const channel = new Channel<string>();
      const server = await serveStream((app) => {
        app.get('/stream', () => channel);
      });
      const recorder = await start(server);
      while (channel.size === 0) await setImmediate();
      await channel.publish('one');
      await recorder.until('one');

      if (client.staysAwayAfterCut) await endResponses(server);
      else server.server.closeAllConnections();
      while (channel.size > 0) await setImmediate();
      await channel.publish('two');
      await recorder.until('two');
      await channel.publish('three');
      await recorder.until('three');

      expect(recorder.events.map(({ data }) => data)).toEqual(['one', 'two', 'three']);
      const { req } = requestsTo(server).at(-1) ?? {};
      const sent = client.resumesBy === 'header' ? req?.headers['last-event-id'] : req?.query.lastEventId;
      expect(sent).toMatch(/.-1$/);
      note('resume', `by ${client.resumesBy}`);
    });

    if (client.staysAwayAfterCut) {
      it('does not reconnect after a connection that was cut', async () => {
        const server = await serveStream((app) => {
          app.get('/stream', async function* (_req, res) {
            yield 'first';
            await aborted(res.sse.signal);
          });
          app.get('/later', async function* () {
            yield await sleep(1_000);
          });
        });
        const recorder = await start(server);
        await recorder.until('first');

        server.server.closeAllConnections();
        // Longer than its reconnection time, which is 1 ms here.
        await (await server.openStream('/later')).ended();

        expect(requestsTo(server)).toHaveLength(1);
        note('after a cut', 'does not reconnect');
      });
    }

    it(`${client.ignoresIdWithoutData ? 'ignores' : 'keeps'} an id without data`, async () => {
      const channel = new Channel<string>();
      const server = await serveStream((app) => {
        app.get('/stream', () => channel);
      });
      await start(server);
      while (channel.size === 0) await setImmediate();

      await endResponses(server);
      while (requestsTo(server).length < 2) await setImmediate();

      const { headers, query } = requestsTo(server)[1]?.req ?? {};
      const sent = client.resumesBy === 'header' ? headers?.['last-event-id'] : query?.lastEventId;
      expect(sent).toEqual(client.ignoresIdWithoutData ? undefined : expect.stringMatching(/.-0$/));
      note('id without data', client.ignoresIdWithoutData ? 'ignored' : 'kept');
    });

    it('aborts the signal of the generator when it is closed', async () => {
      const left = new Gate<unknown>();
      const server = await serveStream((app) => {
        app.get('/stream', async function* (_req, res) {
          try {
            yield 'first';
            await aborted(res.sse.signal);
          } finally {
            left.open((res.sse.signal.reason as { code?: unknown }).code);
          }
        });
      });
      const recorder = await start(server);
      await recorder.until('first');

      for (const close of open.splice(0)) await close();

      expect(await left.promise).toBe('ERR_SSE_CLIENT_LEFT');
      note('close → `finally`', 'yes');
    });
  });
}

/** Ends every stream as a server does that closes in order. */
async function endResponses(server: TestServer): Promise<void> {
  const streams = server.responses.filter(({ req, closed }) => req.path === '/stream' && !closed);
  for (const res of streams) {
    res.end();
    await once(res, 'close');
  }
}

describeEventSource(NPM);

describe('eventsource', () => {
  afterEach(release);

  /** A stream that fails after each event, so that the client reconnects with its id. */
  async function serveId(id: string): Promise<TestServer> {
    return serveStream((app) => {
      app.get('/stream', async function* (_req, res) {
        if (res.sse.lastEventId === id) return;
        yield event('tick', 'first', { id });
        throw new Error('connection to the database lost');
      });
    });
  }

  it('sends an id beyond latin1 in version 5', async () => {
    const server = await serveId('東京-7');
    const recorder = new ClientRecorder();

    open.push(await NPM.open(server, recorder, true));
    await recorder.stopped.promise;

    expect(recorder.events.map(({ data }) => data)).toEqual(['first', 'null']);
    expect(requestsTo(server).map(({ statusCode }) => statusCode)).toEqual([200, 200, 204]);
    matrix.note(NPM.name, 'id beyond latin1', 'sent');
  });

  it('does not reconnect after an id beyond latin1 in version 4', async () => {
    const server = await serveId('東京-7');
    const source = new EventSource4(server.url('/stream'));
    open.push(() => source.close());

    for (let failures = 0; failures < 3; failures++) {
      await new Promise((resolve) => source.addEventListener('error', resolve, { once: true }));
    }

    expect(requestsTo(server)).toHaveLength(1);
    matrix.note('eventsource 4', 'id beyond latin1', 'does not reconnect');
  });
});

describeInChromium('Chromium', (tabs) => {
  describeEventSource(classInPage(tabs, 'EventSource', { stopsAt204: true, resumesBy: 'header' }));

  describeEventSource(
    classInPage(tabs, 'event-source-polyfill', {
      stopsAt204: true,
      resumesBy: 'query',
      ignoresIdWithoutData: true,
    }),
  );

  describeEventSource(
    classInPage(tabs, 'react-native-sse', {
      stopsAt204: false,
      resumesBy: 'header',
      staysAwayAfterCut: true,
    }),
  );

  describeEventSource(classInPage(tabs, 'htmx.org', { stopsAt204: false, resumesBy: 'header' }));

  describeEventSource(classInPage(tabs, 'htmx.org4', { stopsAt204: false, resumesBy: 'header' }));
});
