import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http, { createServer, type RequestListener } from 'node:http';
import https from 'node:https';
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import compression from 'compression';
import express from 'express';
import request from 'supertest';
import { event, sse } from '../../lib/index';
import { type DispatchedEvent, eventStream, type OpenedStream, openStream } from '../../lib/testing';
import { aborted, Gate } from '../support/gate';
import { LibTimers } from '../support/timers';

const PEM = readFileSync(join(__dirname, '../support', 'localhost.pem'));
const END = 'event: end\nid: ~end\ndata: \n\n';

const HAS_IPV6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown) => void unhandled.push(reason);
const streams: OpenedStream[] = [];
let timers: LibTimers;
let before: string[];

beforeEach(() => {
  process.on('unhandledRejection', onUnhandled);
  timers = new LibTimers();
  before = sockets();
});

afterEach(async () => {
  await Promise.all(streams.splice(0).map((stream) => stream.close()));
  await setImmediate();
  await setImmediate();
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled.splice(0)).toEqual([]);
  expect(timers.stop()).toEqual([]);
  // Not the same, for one that was closed before may have been on its way.
  for (const kind of new Set(sockets())) {
    const count = (all: string[]) => all.filter((each) => each === kind).length;
    expect(count(sockets())).toBeLessThanOrEqual(count(before));
  }
});

/** The sockets and servers of this process. */
function sockets(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /^(TCP\w*Wrap|TLSWrap)$/.test(kind));
}

const openTracked: typeof openStream = async (...args) => {
  const stream = await openStream(...args);
  streams.push(stream);
  return stream;
};

function data(...texts: string[]): Array<DispatchedEvent> {
  return texts.map((text) => ({ type: 'message', data: text, lastEventId: '' }));
}

/** An app whose routes do what a test needs. */
function app() {
  const routes = express().set('env', 'test');
  routes.use(sse());
  routes.get('/count', async function* (req, res) {
    for (let n = Number(res.sse.lastEventId) + 1; n <= Number(req.query.to ?? 3); n++)
      yield event('message', n, { id: n });
  });
  routes.get('/open', async function* (_req, res) {
    yield* ['a', 'b', 'c'];
    await aborted(res.sse.signal);
  });
  routes.get('/large', async function* (_req, res) {
    while (!res.sse.signal.aborted) yield 'x'.repeat(50_000);
  });
  routes.post('/echo', express.text(), (req, res) => void res.json({ got: req.body }));
  routes.get('/never', () => undefined);
  return routes;
}

/** Answers with these bytes, and then does as told. */
function raw(bytes: string, then: (socket: Socket) => void = (socket) => socket.end()): RequestListener {
  return ({ socket }) => {
    socket.write(bytes, () => then(socket));
  };
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n';

describe('openStream()', () => {
  it('opens an app, reads its events and shows its head', async () => {
    const stream = await openTracked(app(), '/count?to=2');

    expect(await stream.next()).toEqual({ type: 'message', data: '1', lastEventId: '1' });
    expect(await stream.next()).toEqual({ type: 'message', data: '2', lastEventId: '2' });
    expect(await stream.next()).toEqual({ type: 'end', data: '', lastEventId: '~end' });
    expect([stream.status, stream.headers['content-type'], stream.lastEventId]).toEqual([200, 'text/event-stream', '~end']); // biome-ignore format: one line
  });

  it('has aborted the route when close() has resolved', async () => {
    let signal: AbortSignal | undefined;
    const stream = await openTracked(
      sse(async function* (_req, res) {
        signal = res.sse.signal;
        yield 'a';
        await aborted(signal);
      }),
    );
    await stream.next();

    await stream.close();

    expect(signal?.aborted).toBe(true);
  });

  const places = [
    ['listens', undefined],
    ['listens to an address', '127.0.0.1'],
    ['listens to IPv6', '::1'],
  ] as const;
  it.each(places.filter(([, host]) => host !== '::1' || HAS_IPV6))(
    'takes a server that %s, and leaves it running',
    async (_what, host) => {
      const server = createServer(app()).listen(0, host);

      const stream = await openStream(server, '/open');
      await stream.take(3);
      await stream.close();

      expect(server.listening).toBe(true);
      server.close();
      await once(server, 'close');
    },
  );

  it('starts a server that does not listen for its streams, and ends it with the last', async () => {
    const server = createServer(app());
    const listeners = () => server.eventNames().map((name) => [name, server.listenerCount(name)]);
    const before = listeners();
    const [one, two] = await Promise.all([openStream(server, '/open'), openStream(server, '/open')]);

    await one.close();
    await two.reconnect();
    expect(await two.take(3)).toEqual(data('a', 'b', 'c'));
    const closing = two.close();
    const three = await openStream(server, '/count');

    expect((await three.next()).data).toBe('1');
    await Promise.all([closing, three.close()]);
    expect(server.listening).toBe(false);
    expect(listeners()).toEqual(before);
  });

  it('ends its own server although others are connected to it', async () => {
    const server = createServer(app());
    const stream = await openTracked(server, '/open');
    const other = http.get({ port: (server.address() as AddressInfo).port, path: '/open', agent: false });
    other.on('error', () => undefined);
    const [response] = await once(other, 'response');
    const cut = new Promise((resolve) => response.on('error', resolve));

    await stream.close();

    expect(server.listening).toBe(false);
    expect(await cut).toMatchObject({ code: 'ECONNRESET' });
  });

  it('opens many at once on one app', async () => {
    const target = app();

    const all = await Promise.all(Array.from({ length: 20 }, () => openTracked(target, '/open')));

    for (const stream of all) expect(await stream.take(3)).toEqual(data('a', 'b', 'c'));
  });

  it('takes a URL with its path and query, as text or not', async () => {
    const server = createServer(app()).listen(0);
    const url = `http://localhost:${(server.address() as AddressInfo).port}/count?to=1`;

    for (const [target, path] of [[url], [new URL(url)], [url, '/count?to=1']] as const) {
      const stream = await openStream(target, path);
      expect(await stream.ended()).toBe(`id: 1\ndata: 1\n\n${END}`.replace('id', 'event: message\nid'));
      await stream.close();
    }
    server.close();
    await once(server, 'close');
  });

  it('opens a server with a certificate of its own, by itself and by URL with tls', async () => {
    const server = https.createServer({ key: PEM, cert: PEM }, app());
    const stream = await openTracked(server, '/count');
    const { port } = server.address() as AddressInfo;

    expect((await stream.next()).data).toBe('1');
    const url = `https://127.0.0.1:${port}/count`;
    const other = await openTracked(url, '', { tls: { rejectUnauthorized: false } });
    expect((await other.next()).data).toBe('1');
    await expect(openStream(url)).rejects.toThrow(/^Expected a response from GET \/count, but the request has failed \(self/); // biome-ignore format: one line
  });

  it('sends method, headers, body and last event ID', async () => {
    const seen = new Gate<http.IncomingMessage>();
    const stream = await openTracked(
      (req, res) => {
        seen.open(req);
        req.pipe(res);
      },
      '/x',
      {
        body: 'hällo',
        headers: { 'X-Test': ['a', 'b'], accept: '*/*' },
        lastEventId: 'é✓',
      },
    );

    expect(await stream.ended()).toBe('hällo');
    const { method, headers } = await seen.promise;
    expect([method, headers['x-test'], headers.accept, headers['content-length']]).toEqual([
      'POST',
      'a, b',
      '*/*',
      '6',
    ]);
    expect(Buffer.from(String(headers['last-event-id']), 'latin1').toString()).toBe('é✓');
  });

  it('shows the body of an answer that is no event stream, and has no events of it', async () => {
    const stream = await openTracked(app(), '/echo', {
      body: 'data: a\n\n',
      headers: { 'Content-Type': 'text/plain' },
    });

    await expect(stream.next()).rejects.toThrow(
      'Expected 1 more event from POST /echo, but the server has ended the response. Arrived: 200 application/json; charset=utf-8, which is no event stream (200 text/event-stream):\n{"got":"data: a\\n\\n"}',
    );
    expect(stream.text).toBe('{"got":"data: a\\n\\n"}');
  });

  it.each([
    [204, 'text/event-stream', 0],
    [500, 'text/event-stream', 0],
    [200, 'text/event-stream-2', 0],
    [200, 'Text/Event-Stream ; charset=utf-8', 1],
  ])('reads the events of %i %s as a browser would', async (status, type, count) => {
    const stream = await openTracked((_req, res) => {
      res.writeHead(status, { 'Content-Type': type }).end('data: a\n\n');
    });

    await stream.ended();

    expect(stream.events).toHaveLength(count);
  });

  it.each(['gzip', 'deflate', 'br'])(
    'decompresses %s, at once, and leaves raw as it came',
    async (encoding) => {
      const gate = new Gate();
      const target = express()
      .use(compression())
      .get('/', sse(async function* () {
        yield 'a';
        await gate.promise;
      }, { compress: true })); // biome-ignore format: short

      const stream = await openTracked(target, '/', { headers: { 'Accept-Encoding': encoding } });

      expect(stream.headers['content-encoding']).toBe(encoding);
      expect(await stream.next()).toEqual(data('a')[0]);
      expect(stream.raw).not.toEqual(Buffer.from(stream.text));
      gate.open();
      expect(await stream.ended()).toBe(`data: a\n\n${END}`);
    },
  );

  it.each([
    [
      'a path without /',
      () => openStream(app(), 'clock'),
      /^Expected path to begin with '\/', got 'clock' \(string\)/,
    ],
    ['no target', () => openStream(undefined as never), /^Expected a target to open a stream on, got undefined\. Pass an Express app/], // biome-ignore format: one line
    ['an object', () => openStream({} as never), /Expected a target .* got \{\} \(object\)/],
    ['half a URL', () => openStream('localhost:3000'), /a URL that begins with http: or https:/],
    ['a path for a URL', () => openStream('/clock'), /Expected a target/],
    [
      'a time of 0',
      () => openStream(app(), '/', { timeoutMs: 0 }),
      /^Expected timeoutMs to be a positive integer, got 0/,
    ],
    [
      'a time that no timer holds',
      () => openStream(app(), '/', { timeoutMs: 2 ** 31 }),
      /^Expected timeoutMs .* A timer holds at most 2147483647 ms\.$/,
    ],
    [
      'a name that is misspelt',
      () => openStream(app(), '/', { lastEventID: '7' } as never),
      /^Unknown option 'lastEventID'\. Did you mean 'lastEventId'\?$/,
    ],
    [
      'no object',
      () => openStream(app(), '/', null as never),
      /^Expected options to be an object, got null\.$/,
    ],
    ['an id that is no text', () => openStream(app(), '/', { lastEventId: 7 as never }), /^Expected lastEventId to be a string, got 7/], // biome-ignore format: one line
    ['a method that is no text', () => openStream(app(), '/', { method: 1 as never }), /^Expected method to be a method such as POST, got 1/], // biome-ignore format: one line
    ['headers whose entries would be missed', () => openStream(app(), '/', { headers: new Map() as never }), /^Expected headers to be a plain object/], // biome-ignore format: one line
    ['a body that is an object', () => openStream(app(), '/', { body: { a: 1 } as never }), /^Expected body to be a string or bytes, got .* Use JSON\.stringify\(\)/], // biome-ignore format: one line
    ['no object for TLS', () => openStream(app(), '/', { tls: true as never }), /^Expected tls to be an object such as \{ ca \}, got true/], // biome-ignore format: one line
  ])('refuses %s', async (_what, call, text) => {
    await expect(call()).rejects.toMatchObject({
      code: 'ERR_SSE_INVALID_OPTION',
      message: expect.stringMatching(text),
    });
  });
});

describe('a request that fails', () => {
  it('has no head in time', async () => {
    await expect(openStream(app(), '/never', { timeoutMs: 30 })).rejects.toThrow(
      /^Expected a response from GET \/never, but 30 ms have passed\. No response has arrived\.$/,
    );
  });

  it('has no server', async () => {
    const server = createServer().listen(0);
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');

    await expect(openStream(`http://127.0.0.1:${port}`)).rejects.toMatchObject({
      message: expect.stringContaining('but the request has failed (connect ECONNREFUSED'),
      cause: expect.objectContaining({ code: 'ECONNREFUSED' }),
    });
  });

  it('is reset before the head', async () => {
    await expect(openStream(({ socket }) => void socket.destroy())).rejects.toThrow('the request has failed (socket hang up)'); // biome-ignore format: one line
  });

  it('has a header that cannot be sent', async () => {
    await expect(openStream(app(), '/', { headers: { 'X-Test': 'a\nb' } })).rejects.toThrow(
      'Invalid character in header',
    );
  });

  it('meets a server that speaks no HTTP', async () => {
    const server = createNetServer(
      (socket) =>
        void socket
          .on('error', () => undefined)
          .resume()
          .end('hello'),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');

    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(openStream(url)).rejects.toThrow('the request has failed (Parse Error');

    server.close();
    await once(server, 'close');
  });
});

describe('next(), take() and until()', () => {
  it('hand out each event once, in order', async () => {
    const stream = await openTracked(app(), '/count?to=9');

    const taken = [
      await stream.take(2),
      [await stream.next()],
      await stream.until(({ data }) => data === '6'),
      await stream.take(0),
      await stream.take(3),
    ];

    expect(taken.map((events) => events.map((each) => each.data).join(''))).toEqual([
      '12',
      '3',
      '456',
      '',
      '789',
    ]);
    expect(stream.events).toHaveLength(9 + 1);
  });

  it('get theirs in the order in which they began when they overlap', async () => {
    const gate = new Gate();
    const stream = await openTracked(
      sse(
        async function* () {
          await gate.promise;
          for (let n = 1; n <= 6; n++) yield n;
        },
        { commitAfterMs: 0 },
      ),
    );

    const all = [stream.next(), stream.take(2), stream.until((each) => each.data === '5'), stream.next()];
    gate.open();

    expect((await Promise.all(all)).flat().map((each) => each.data)).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  it('say what had arrived when time is up, and take nothing', async () => {
    const stream = await openTracked(app(), '/open', { timeoutMs: 60 });
    await stream.next();

    const [many, missing, then] = await Promise.allSettled([
      stream.take(3),
      stream.until((each) => each.data === 'd'),
      stream.take(2),
    ]);

    const arrived = 'Arrived: 200 text/event-stream, 3 events, 1 taken:\ndata: a\n\ndata: b\n\ndata: c\n\n';
    expect(many).toMatchObject({ reason: { message: `Expected 3 more events from GET /open, but 60 ms have passed. ${arrived}` } }); // biome-ignore format: one line
    expect(missing).toMatchObject({ reason: { message: `Expected an event for which the predicate holds from GET /open, but 60 ms have passed. ${arrived}` } }); // biome-ignore format: one line
    expect(then).toMatchObject({ value: data('b', 'c') });
  });

  it('fail in the line of the test', async () => {
    const stream = await openTracked(app(), '/count');

    const error = await stream.take(9).catch((reason: Error) => reason);

    expect((error as Error).stack).toMatch(/^Error: Expected 9 more events .*testing\.test\.ts/s);
  });

  it('fail at once when the response ends, with those that there are still to be had', async () => {
    const stream = await openTracked(app(), '/count?to=2');

    await expect(stream.take(4)).rejects.toThrow(
      /^Expected 4 more events from GET \/count\?to=2, but the server has ended the response\. Arrived: 200 text\/event-stream, 3 events:\nevent/,
    );

    expect(await stream.take(3)).toHaveLength(3);
  });

  it('show the last 2,000 characters of much', async () => {
    const stream = await openTracked(sse(() => ['x'.repeat(5_000), 'last']));

    const error = await stream.take(9).catch((reason: Error) => reason);

    expect((error as Error).message).toMatch(/3 events:\n… x+\n\ndata: last\n\nevent: end\n/);
    expect((error as Error).message.length).toBeLessThan(2_300);
  });

  it('pass on what a predicate throws', async () => {
    const stream = await openTracked(app(), '/open');
    const oops = new Error('oops');

    await expect(stream.until(() => { throw oops; })).rejects.toBe(oops); // biome-ignore format: short

    expect(await stream.take(3)).toEqual(data('a', 'b', 'c'));
  });

  it('refuse what is no count and no predicate, at the call', async () => {
    const stream = await openTracked(app(), '/open');

    for (const count of [-1, 1.5, Number.NaN, '3', undefined])
      expect(() => stream.take(count as number)).toThrow(/^Expected count to be a non-negative integer, got/);
    expect(() => stream.until('a' as never)).toThrow(
      "Expected predicate to be a function of an event, got 'a' (string).",
    );
  });
});

describe('a loop', () => {
  it('goes to the end of the response, after which the stream may come back', async () => {
    const stream = await openTracked(app(), '/count?to=2');
    const heard: string[] = [];

    for await (const { type, data } of stream) heard.push(`${type} ${data}`);

    expect(heard).toEqual(['message 1', 'message 2', 'end ']);
    expect((await stream.reconnect()).status).toBe(204);
  });

  it('closes the stream when it is left', async () => {
    const stream = await openTracked(app(), '/open');

    for await (const { data } of stream) if (data === 'b') break;

    await expect(stream.next()).resolves.toEqual(data('c')[0]);
    expect(() => stream.reconnect()).toThrow('Cannot reconnect: the stream is CLOSED.');
  });

  it('throws when the connection is cut off', async () => {
    const stream = await openTracked(
      raw(`${HEAD.replace('Connection: close', 'Content-Length: 99')}data: a\n\n`),
    );

    await expect((async () => { for await (const each of stream) expect(each.data).toBe('a'); })()).rejects.toThrow('Expected an event or the end from GET /, but the connection was cut off (aborted)'); // biome-ignore format: one line
  });
});

describe('untilText(), ended() and closed()', () => {
  it('wait for text, the end and the connection', async () => {
    const stream = await openTracked(raw(`${HEAD}: hi\n\nretry: 7\n\ndata: ü\n\n`));

    expect(await stream.untilText(': hi')).toContain(': hi\n\n');
    expect(await stream.ended()).toBe(': hi\n\nretry: 7\n\ndata: ü\n\n');
    expect(await stream.closed()).toBe(stream.text);
    expect([stream.comments, stream.retryMs]).toEqual([['hi'], 7]);
    expect(stream.raw).toEqual(Buffer.from(stream.text));
  });

  it('say what they waited for', async () => {
    const stream = await openTracked(app(), '/open', { timeoutMs: 30 });

    await expect(stream.untilText('nope\n')).rejects.toThrow(
      /^Expected "nope\\n" from GET \/open, but 30 ms/,
    );
    await expect(stream.ended()).rejects.toThrow(
      /^Expected the end of the response from GET \/open, but 30 ms/,
    );
    await expect(stream.closed()).rejects.toThrow(
      /^Expected the connection to close from GET \/open, but 30 ms/,
    );
  });

  it('tell an end from a reset', async () => {
    const gate = new Gate();
    const stream = await openTracked(
      raw(`${HEAD}data: a\n\n`, async (socket) => {
        await gate.promise;
        socket.resetAndDestroy();
      }),
    );
    await stream.next();
    gate.open();

    await expect(stream.ended()).rejects.toMatchObject({
      message: expect.stringMatching(/^Expected the end of the response from GET \/, but the connection was cut off \(.*\)\. Arrived: 200 text\/event-stream, 1 event, 1 taken:\ndata: a\n\n$/), // biome-ignore format: one line
      cause: expect.objectContaining({ code: 'ECONNRESET' }),
    });
    expect(await stream.closed()).toBe('data: a\n\n');
  });

  it('take compressed bytes that are broken for a cut', async () => {
    const stream = await openTracked((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'gzip' }).end('no gzip');
    });

    await expect(stream.ended()).rejects.toThrow('the connection was cut off (incorrect header check)');
  });
});

describe('stall() and resume()', () => {
  it('stop and go on reading, and a wait says so', async () => {
    const stream = await openTracked(app(), '/large', { timeoutMs: 50 });
    await stream.next();
    stream.stall();
    const { length } = stream.text;

    await expect(stream.take(10_000)).rejects.toThrow(
      '50 ms have passed, in which this client did not read: it is stalled.',
    );
    expect(stream.text.length).toBe(length);
    stream.resume();
    await stream.until(() => stream.text.length > length + 1_000_000);
  });
});

describe('drop() and reconnect()', () => {
  it('come back with the last event ID, and what is of the client stays', async () => {
    const target = express();
    target.get('/', sse(async function* (_req, res) {
      yield event('message', `after ${res.sse.lastEventId}`, { id: Number(res.sse.lastEventId) + 1 });
      await aborted(res.sse.signal);
    }, { retryMs: 9 })); // biome-ignore format: short
    const stream = await openTracked(target, '/', { headers: { 'LAST-event-id': '5' } });

    expect((await stream.next()).data).toBe('after 5');
    stream.drop();
    await stream.closed();
    expect(await stream.reconnect()).toBe(stream);

    expect((await stream.next()).data).toBe('after 6');
    expect([stream.lastEventId, stream.retryMs, stream.events.length]).toEqual(['7', 9, 2]);
    expect(stream.text).toBe('retry: 9\n\nevent: message\nid: 7\ndata: after 6\n\n');
  });

  it('are heard of by waits: a drop ends them, a reconnection does not', async () => {
    const stream = await openTracked(app(), '/open');
    await stream.take(3);

    const dropped = stream.next();
    stream.drop();
    await expect(dropped).rejects.toThrow('Expected 1 more event from GET /open, but this client has left.');

    const next = stream.reconnect().then(() => undefined);
    const kept = stream.next();
    await Promise.all([next, stream.reconnect()]);
    expect((await kept).data).toBe('a');
  });

  it('discard an event of which only the beginning came', async () => {
    const stream = await openTracked(raw(`${HEAD}data: whole\n\nid: 1\ndata: half\n`));
    await stream.ended();

    await stream.reconnect();
    await stream.ended();

    expect(stream.events).toEqual(data('whole', 'whole'));
  });

  it('fail with the server away, and say so', async () => {
    const server = createServer(app()).listen(0);
    const stream = await openTracked(server, '/count');
    await stream.ended();
    server.close();
    await once(server, 'close');

    await expect(stream.reconnect()).rejects.toThrow('but the request has failed (connect ECONNREFUSED');
    expect([stream.status, stream.text, stream.headers]).toEqual([0, '', {}]);
  });
});

describe('close()', () => {
  it('is the same promise again, and fails every wait', async () => {
    const stream = await openTracked(app(), '/open');
    await stream.take(3);
    const waits = [stream.next(), stream.until(() => true), stream.untilText('z'), stream.ended()];

    const closing = stream.close();

    expect(stream.close()).toBe(closing);
    for (const wait of waits) await expect(wait).rejects.toThrow('but the stream has been closed.');
    await closing;
    expect(await stream.closed()).toBe(stream.text);
    await expect(stream.next()).rejects.toThrow('but the stream has been closed.');
  });

  it('ends a reconnection that is under way', async () => {
    const stream = await openTracked(app(), '/open');

    const back = stream.reconnect();
    await stream.close();

    await expect(back).rejects.toThrow('Expected a response from GET /open, but the stream has been closed.');
  });

  it('leaves no unhandled rejection of waits that nobody awaits', async () => {
    const stream = await openTracked(app(), '/open', { timeoutMs: 10 });
    await stream.take(3);

    void stream.next();
    void stream.ended();
    void stream.closed();
    await expect(stream.untilText('z')).rejects.toThrow();
    void stream.until(() => true);
    stream.drop();
    void stream.reconnect().catch(() => undefined);
    void stream.take(2);
    await stream.close();
  });
});

describe('eventStream()', () => {
  let warn: jest.SpyInstance;
  beforeEach(() => {
    warn = jest.spyOn(console, 'warn').mockImplementation();
  });
  afterEach(() => {
    // Superagent warns of a callback that comes twice.
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('takes so many events of an endless stream, and ends it', async () => {
    const done = new Gate();
    const target = sse(async function* () {
      try {
        for (let n = 1; ; n++) yield n;
      } finally {
        done.open();
      }
    });

    const res = await request(target)
      .get('/')
      .buffer()
      .parse(eventStream({ take: 3 }))
      .expect(200);

    expect(res.body).toEqual(data('1', '2', '3'));
    expect(res.text).toContain('data: 1\n\ndata: 2\n\ndata: 3\n\n');
    await done.promise;
  });

  it('reads until an event, and that one', async () => {
    const parser = eventStream({ until: ({ data }) => data === 'b' });

    const res = await request(app()).get('/open').buffer().parse(parser);

    expect(res.body).toEqual(data('a', 'b'));
  });

  it.each([
    ['without options', {}],
    ['with more than come', { take: 9 }],
    ['until what never comes', { until: () => false }],
  ])('reads to the end (%s)', async (_how, options) => {
    const res = await request(app()).get('/count?to=2').buffer().parse(eventStream(options));

    expect(res.body.map((each: DispatchedEvent) => each.data)).toEqual(['1', '2', '']);
  });

  it('leaves the body of an error in res.text', async () => {
    const target = express().get('/', (_req, res) => void res.status(401).json({ error: 'no' }));

    const res = await request(target)
      .get('/')
      .buffer()
      .parse(eventStream({ take: 1 }))
      .expect(401);

    expect([res.body, res.text]).toEqual([[], '{"error":"no"}']);
  });

  it('reads what superagent has decompressed', async () => {
    const target = express().use(compression());
    target.get('/', sse(async function* (_req, res) {
      yield 'ü';
      await aborted(res.sse.signal);
    }, { compress: true })); // biome-ignore format: short

    const res = await request(target)
      .get('/')
      .buffer()
      .parse(eventStream({ take: 1 }));

    expect([res.headers['content-encoding'], res.body]).toEqual(['gzip', data('ü')]);
  });

  it.each([
    [
      { take: 4 },
      'Expected 4 more events, but 40 ms have passed. Arrived: 200 text/event-stream, 3 events:\ndata: a\n\n',
    ],
    [{ until: () => false }, 'Expected an event for which the predicate holds, but 40 ms'],
    [{}, 'Expected the end of the response, but 40 ms'],
  ])('fails in time with what had arrived (%j)', async (options, message) => {
    const pending = request(app())
      .get('/open')
      .buffer()
      .parse(eventStream({ ...options, timeoutMs: 40 }));

    await expect(pending).rejects.toThrow(message);
  });

  it('fails with what a predicate throws', async () => {
    const oops = () => { throw new Error('oops'); }; // biome-ignore format: short

    await expect(
      request(app())
        .get('/open')
        .buffer()
        .parse(eventStream({ until: oops })),
    ).rejects.toThrow('oops');
  });

  it('fails when the connection is cut off', async () => {
    const target = raw(`${HEAD.replace('Connection: close', 'Content-Length: 99')}data: a\n\n`);

    await expect(
      request(target)
        .get('/')
        .buffer()
        .parse(eventStream({ take: 2 })),
    ).rejects.toThrow('aborted');
  });

  it('works many times in a row', async () => {
    const target = app();
    const begun = performance.now();

    for (let n = 0; n < 50; n++) {
      const res = await request(target)
        .get('/open')
        .buffer()
        .parse(eventStream({ take: 2 }));
      expect(res.body).toEqual(data('a', 'b'));
    }

    expect(performance.now() - begun).toBeLessThan(4_000);
  });

  it.each([
    [{ take: 0 }, 'Expected take to be a positive integer, got 0 (number).'],
    [{ take: '3' as never }, "Expected take to be a positive integer, got '3' (string)."],
    [{ until: 'b' as never }, "Expected until to be a function of an event, got 'b' (string)."],
    [{ timeoutMs: -1 }, 'Expected timeoutMs to be a positive integer, got -1 (number).'],
    [{ take: 1, until: () => true }, 'Expected either take or until, got both.'],
    [{ Take: 1 } as never, "Unknown option 'Take'. Did you mean 'take'?"],
  ])('refuses %p at the call', (options, message) => {
    expect(() => eventStream(options)).toThrow(expect.objectContaining({ code: 'ERR_SSE_INVALID_OPTION', message: expect.stringContaining(message) })); // biome-ignore format: one line
  });
});
