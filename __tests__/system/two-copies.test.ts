import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type BuildOptions, buildSync } from 'esbuild';
import express from 'express';
import * as host from '../../lib';
import type { OpenedStream } from '../../lib/testing';
import { releaseAll, serve, type TestServer } from '../support/serve';
import { WarningCollector } from '../support/warnings';

type Package = typeof import('../../lib');

const ROOT = resolve(__dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'express-yield-copies-'));

afterAll(() => rmSync(folder, { recursive: true }));
afterEach(releaseAll);

function bundle(outfile: string, options: BuildOptions = {}): void {
  buildSync({
    entryPoints: [join(ROOT, 'dist/index.js')],
    bundle: true,
    minify: true,
    platform: 'node',
    outfile: join(folder, outfile),
    ...options,
  });
}

/** A copy of the build, in which one text is replaced. */
function copyWith(name: string, file: string, from: string, to: string): Package {
  cpSync(join(ROOT, 'dist'), join(folder, name), { recursive: true });
  const path = join(folder, name, file);
  const text = readFileSync(path, 'utf8');
  expect(text.split(from)).toHaveLength(2);
  writeFileSync(path, text.replace(from, to));
  return require(join(folder, name, 'index.js')) as Package;
}

function build(): Package {
  cpSync(join(ROOT, 'dist'), join(folder, 'build'), { recursive: true });
  return require(join(folder, 'build/index.js')) as Package;
}

function minified(): Package {
  bundle('minified.js');
  return require(join(folder, 'minified.js')) as Package;
}

/** The app and its `sse()` use `host`; `other` is the copy of a library. */
const COPIES: ReadonlyArray<readonly [name: string, other: Package]> = [
  ['a second build', build()],
  ['a minified bundle', minified()],
];

/** These, the host, and the copy of another version. */
const LOADED_COPIES = COPIES.length + 2;

/** The events that follow, with ids that count from the first. */
async function take(stream: OpenedStream, count: number): Promise<string[]> {
  const events = await stream.take(count);
  return events.map(({ type, data }) => `${type} ${data}`);
}

/** The body of a response to an EventSource. */
async function responseText(server: TestServer, path: string, init?: RequestInit): Promise<string> {
  const headers = { Accept: 'text/event-stream', ...init?.headers };
  return (await fetch(server.url(path), { ...init, headers })).text();
}

describe.each(COPIES)('%s of this package', (_name, other) => {
  it('has classes of its own', () => {
    expect(other.ServerSentEvent).not.toBe(host.ServerSentEvent);
    expect(Object.getPrototypeOf(other.event('a', 1)).constructor).not.toBe(host.ServerSentEvent);
  });

  it('makes events and comments that a route yields and returns', async () => {
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield other.event('row', { n: 1 }, { id: 7, retry: 5, comment: 'c' });
        yield other.comment('still here');
        yield new other.ServerSentEvent(undefined, 'a\nb');
        return other.event('done', 'all');
      });
    });

    expect(await responseText(server, '/')).toBe(
      ': c\nevent: row\nid: 7\nretry: 5\ndata: {"n":1}\n\n: still here\n\ndata: a\ndata: b\n\nevent: done\nid: ~end\ndata: all\n\n',
    );
  });

  it('makes events that are instances of ServerSentEvent, and errors that are instances of SseError', () => {
    const error = new other.SseError('ERR_SSE_FULL', 'Full.');

    expect(other.event('a', 1)).toBeInstanceOf(host.ServerSentEvent);
    expect(host.comment('a')).toBeInstanceOf(other.ServerSentEvent);
    expect([error instanceof host.SseError, error instanceof Error]).toEqual([true, true]);
    expect(new host.SseError('ERR_SSE_FULL', 'Full.')).toBeInstanceOf(other.SseError);
  });

  it('makes events that encode() encodes', () => {
    expect(host.encode(other.event('row', 1, { id: 'a' }))).toBe('event: row\nid: a\ndata: 1\n\n');
  });

  it('makes nothing of a copy of an event, by JSON or by its properties, but data', () => {
    const made = other.event('admin', 1, { id: 7 });

    expect(host.encode({ ...made })).toBe('data: {"type":"admin","data":1,"id":"7"}\n\n');
    expect(host.encode(JSON.parse(JSON.stringify(made)))).toBe(
      'data: {"type":"admin","data":1,"id":"7"}\n\n',
    );
    expect(host.encode(structuredClone(made))).toBe('data: {"type":"admin","data":1,"id":"7"}\n\n');
  });

  it('has the fields of its events checked again', () => {
    class Loose extends other.ServerSentEvent {}
    const forged = Object.assign(new Loose('a', 1), { id: '7\n\ndata: forged' });

    expect(() => host.encode(forged)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_EVENT' }),
    );
  });

  it('has the fields of a returned event checked again', async () => {
    class Loose extends other.ServerSentEvent {}
    const server = await serve((app) => {
      // biome-ignore lint/correctness/useYield: the test needs only a return value
      app.get('/', async function* () {
        return Object.assign(new Loose('a', 1), { type: 'a\n\ndata: forged' });
      });
    });

    await responseText(server, '/');

    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_SSE_INVALID_EVENT' })]);
  });

  it('makes events that a channel publishes, and no comments', async () => {
    const channel = new host.Channel();
    const subscription = channel.subscribe();
    const next = subscription.next();

    await channel.publish(other.event('row', { n: 1 }, { retry: 5 }));

    const { value } = await next;
    expect(value).toMatchObject({ type: 'row', data: { n: 1 }, retry: 5 });
    await expect(channel.publish(other.comment('c'))).rejects.toThrow('got a comment()');
    await expect(channel.publish(other.event('row', 1, { id: 7 }))).rejects.toThrow(
      'to have no id of its own',
    );
    await subscription.return();
  });

  it('has channels whose events another channel publishes with ids of its own', async () => {
    const [from, to] = [new other.Channel({ replay: true }), new host.Channel({ replay: true })];
    const id = await from.publish(other.event('row', { n: 1 }));

    for await (const each of from) {
      await to.publish(each);
      break;
    }

    for await (const each of to) {
      expect(each).toMatchObject({ type: 'row', data: { n: 1 } });
      expect(each.id).not.toBe(id);
      break;
    }
  });

  it('has published events that a map function may return', async () => {
    const [from, to] = [new other.Channel({ replay: true }), new host.Channel({ replay: true })];
    await from.publish(other.event('row', { n: 1 }));
    const id = await to.publish('any');
    const { value: published } = await from.subscribe().next();

    const mapped = await to
      .map(() => published)
      .subscribe()
      .next();

    expect(mapped.value).toMatchObject({ type: 'row', data: { n: 1 }, id });
  });

  it('has subscriptions and channels that are named if nothing streams them', async () => {
    const channel = new other.Channel();
    const warnings = new WarningCollector();
    const routes = express()
      .get('/subscription', () => channel.subscribe())
      .get('/channel', () => channel);
    const server = createServer(routes).listen(0);
    const { port } = server.address() as AddressInfo;
    const requests = ['/subscription', '/channel'].map((path) => get({ port, path }).on('error', () => {}));

    // Each copy in this process warns of both.
    await warnings.collected(2 * LOADED_COPIES);
    warnings.stop();
    for (const request of requests) request.destroy();
    server.close();
    await once(server, 'close');

    const named = new Set(warnings.all.map(({ message }) => message.split(', but')[0]));
    expect([...named].sort()).toEqual([
      'GET /channel returned a channel',
      'GET /subscription returned a subscription',
    ]);
  });

  describe.each<[string, (channel: host.Channel, res: { readonly sse: host.SseContext }) => unknown]>([
    ['a channel', (channel) => channel],
    ['a filtered channel', (channel) => channel.filter(() => true)],
    ['a subscription', (channel, { sse }) => channel.subscribe(sse)],
  ])('has %s that a route returns', (_kind, returned) => {
    let channel: host.Channel;
    let live: host.Channel;
    let server: TestServer;

    beforeEach(async () => {
      channel = new other.Channel({ replay: true }) as unknown as host.Channel;
      live = new other.Channel() as unknown as host.Channel;
      server = await serve((app, sse) => {
        app.get('/', (_req, res) => returned(channel, res));
        app.get('/live', (_req, res) => returned(live, res));
        app.get(
          '/wrapped',
          sse((_req, res) => returned(channel, res)),
        );
      });
    });

    it.each(['/', '/wrapped'])('from %s: replayed, live, and to its end', async (path) => {
      await channel.publish({ n: 1 });
      const stream = await server.openStream(path);

      expect(await take(stream, 1)).toEqual(['message {"n":1}']);
      await channel.publish(host.event('row', 'two'));
      await channel.publish(other.event('row', 'three'));
      expect(await take(stream, 2)).toEqual(['row two', 'row three']);
      await channel.end({ rows: 3 });
      expect(await take(stream, 1)).toEqual(['end {"rows":3}']);
      expect(stream.lastEventId).toBe('~end');
    });

    it('resumed by its last event ID', async () => {
      const id = await channel.publish(1);
      await channel.publish(2);
      const stream = await server.openStream('/', { lastEventId: id });

      expect(await take(stream, 1)).toEqual(['message 2']);
    });

    it('with its id before the first event', async () => {
      const id = await live.publish(1);

      const stream = await server.openStream('/live');

      expect(await stream.untilText('\n\n')).toBe(`id: ${id}\n\n`);
      expect(stream.lastEventId).toBe(id);
    });

    it('disconnected when it is closed, so that the client reconnects', async () => {
      await channel.publish(1);
      const stream = await server.openStream('/');
      await take(stream, 1);

      await channel.close();

      await stream.closed();
      expect(stream.lastEventId).not.toBe('~end');
      expect(server.errors).toEqual([]);
      expect(channel.size).toBe(0);
    });

    it('released when the client leaves', async () => {
      await channel.publish(1);
      const stream = await server.openStream('/');
      await take(stream, 1);
      expect(channel.size).toBe(1);

      await stream.close();

      while (channel.size > 0) await new Promise(setImmediate);
    });
  });

  it('has runs whose failure is an error of the route', async () => {
    const failure = new other.SseError('ERR_SSE_CHANNEL_FAILED', 'The run has failed.');
    const server = await serve((app) => {
      app.get('/', () =>
        other.Channel.from(async function* () {
          yield 1;
          throw failure;
        }),
      );
    });

    await responseText(server, '/');

    const [error] = await server.errorsHandled(1);
    expect(error).toBeInstanceOf(host.SseError);
    expect(error).toMatchObject({ code: 'ERR_SSE_CHANNEL_FAILED' });
  });

  it('has subscriptions that a generator delegates to, with their frames and their closing value', async () => {
    const channel = new other.Channel({ replay: true });
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield 'snapshot';
        return yield* channel.subscribe();
      });
    });
    const id = await channel.publish(other.event('row', { n: 1 }));
    await channel.end(other.event('done', 'all'));

    expect(await responseText(server, '/')).toBe(
      `data: snapshot\n\nevent: row\nid: ${id}\ndata: {"n":1}\n\nevent: done\nid: ~end\ndata: all\n\n`,
    );
  });

  it('has channels whose closing is no failure of a generator that delegates to them', async () => {
    const channel = new other.Channel({ replay: true });
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield* channel;
      });
    });
    await channel.publish(1);
    const stream = await server.openStream('/');
    await take(stream, 1);

    await channel.close();

    await stream.closed();
    expect([stream.lastEventId === '~end', server.errors]).toEqual([false, []]);
  });

  it('has errors whose status and headers an app sends', async () => {
    const details = { status: 503, headers: { 'Retry-After': '7' } };
    const server = await serve((app) => {
      app.get('/', async function* () {
        yield* [];
        throw new other.SseError('ERR_SSE_LOG_UNAVAILABLE', 'Later.', details);
      });
      app.get('/full', async function* () {
        yield* [];
        throw new other.SseError('ERR_SSE_FULL', 'Full.', details);
      });
    });

    const response = await fetch(server.url('/full'), { headers: { Accept: 'text/event-stream' } });

    expect([response.status, await response.json()]).toEqual([503, { error: 'Full.' }]);
    expect(server.errors[0]).toMatchObject({ code: 'ERR_SSE_FULL', headers: { 'Retry-After': '7' } });
  });

  it('has logs in which a channel retains its events', async () => {
    const channel = new host.Channel({
      log: other.memoryLog({ maxEvents: 2 }) as host.EventLog,
      replay: true,
    });
    const server = await serve((app) => {
      app.get('/', () => channel);
    });
    for (const n of [1, 2, 3]) await channel.publish(n);
    const stream = await server.openStream('/');

    expect(await take(stream, 2)).toEqual(['message 2', 'message 3']);
    await channel.publish(host.event('row', 'four'));
    expect(await take(stream, 1)).toEqual(['row four']);
    await channel.end();
    expect(await take(stream, 1)).toEqual(['end null']);
  });

  it('may have an sse() of its own in the same app', async () => {
    const library = other.createSse();
    const server = await serve((app) => {
      app.get('/before', async function* () {
        yield 'host';
      });
      app.use('/library', library());
      app.get('/library', async function* (_req, res) {
        yield ['library', res.sse.lastEventId];
      });
      app.get(
        '/wrapped',
        library(async function* (_req, res) {
          yield ['wrapped', res.sse.lastEventId];
        }),
      );
    });

    const headers = { 'Last-Event-ID': '7' };
    expect(await responseText(server, '/before')).toContain('data: host\n');
    expect(await responseText(server, '/library', { headers })).toBe(
      'data: ["library","7"]\n\nevent: end\nid: ~end\ndata: null\n\n',
    );
    expect(await responseText(server, '/wrapped', { headers })).toBe(
      'data: ["wrapped","7"]\n\nevent: end\nid: ~end\ndata: null\n\n',
    );
  });
});

describe('a copy of another version', () => {
  const skewed = copyWith('skewed', 'channel/subscription.js', 'const VERSION = 1;', 'const VERSION = 2;');

  it('has channels that a route reads as iterators', async () => {
    const channel = new skewed.Channel({ replay: true });
    const server = await serve((app) => {
      app.get('/', () => channel.filter((data) => data !== 2));
    });
    const ids = [await channel.publish(1), await channel.publish(2), await channel.publish(3)];
    const stream = await server.openStream('/', { lastEventId: ids[0] ?? '' });

    expect(await take(stream, 1)).toEqual(['message 3']);
    expect(stream.lastEventId).toBe(ids[2]);
    await channel.publish(skewed.event('row', 'four'));
    expect(await take(stream, 1)).toEqual(['row four']);
    await channel.end({ rows: 4 });
    expect(await take(stream, 1)).toEqual(['end {"rows":4}']);
    await stream.close();
    expect(channel.size).toBe(0);
  });

  it('has channels that end with sse.close() immediately', async () => {
    const channel = new skewed.Channel({ replay: true });
    const server = await serve((app) => {
      app.get('/', () => channel);
    });
    await channel.publish(1);
    const stream = await server.openStream('/');
    await take(stream, 1);

    await server.sse.close({ spreadMs: 0, graceMs: 60_000 });

    await stream.closed();
    expect([channel.size, server.errors]).toEqual([0, []]);
  });
});

describe('CommonJS, and a copy in an ES module', () => {
  it('recognise each other in one process', () => {
    bundle('library.mjs', {
      entryPoints: [join(ROOT, 'dist/index.mjs')],
      format: 'esm',
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
    });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(
      join(folder, 'app.mjs'),
      `import { createRequire } from 'node:module';
      import express from 'express';
      import { Channel, event, SseError } from './library.mjs';
      const { encode, sse, SseError: HostError } = createRequire(import.meta.url)('./build/index.js');
      const channel = new Channel({ replay: true });
      await channel.publish(event('row', { n: 1 }));
      await channel.end();
      const app = express();
      app.use(sse());
      app.get('/', () => channel);
      const server = app.listen(0, async () => {
        const headers = { Accept: 'text/event-stream' };
        const body = await fetch('http://127.0.0.1:' + server.address().port, { headers }).then((response) => response.text());
        const isError = new SseError('ERR_SSE_FULL', 'Full.') instanceof HostError;
        console.log(JSON.stringify([encode(event('tick', 1)), body.replace(/id: .*-1/, 'id: 1'), isError]));
        server.close();
      });`,
    );

    const output = execFileSync(process.execPath, ['app.mjs'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 10_000,
    });

    expect(JSON.parse(output)).toEqual([
      'event: tick\ndata: 1\n\n',
      'event: row\nid: 1\ndata: {"n":1}\n\nevent: end\nid: ~end\ndata: null\n\n',
      true,
    ]);
  });
});
