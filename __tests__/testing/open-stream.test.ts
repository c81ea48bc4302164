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
const END = 'event: end\nid: ~end\ndata: null\n\n';

const HAS_IPV6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

const streams: OpenedStream[] = [];
let timers: LibTimers;
let before: string[];

beforeEach(() => {
  timers = new LibTimers();
  before = sockets();
});

afterEach(async () => {
  await Promise.all(streams.splice(0).map((stream) => stream.close()));
  // Jest fails a test with an unhandled rejection, if Node reports it before the test has ended.
  await setImmediate();
  await setImmediate();
  expect(timers.stop()).toEqual([]);
  // At most as many, because a socket of an earlier test may have closed in the meantime.
  for (const kind of new Set(sockets())) {
    const count = (all: string[]) => all.filter((each) => each === kind).length;
    expect(count(sockets())).toBeLessThanOrEqual(count(before));
  }
});

/** The open sockets and servers of this process. */
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

/** An app with a route for each kind of response. */
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

/** Sends these bytes without Node's own response, and then calls `then`. */
function raw(bytes: string, then: (socket: Socket) => void = (socket) => socket.end()): RequestListener {
  return ({ socket }) => {
    socket.write(bytes, () => then(socket));
  };
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n';

describe('openStream()', () => {
  it('opens an app, reads its events and has its response head', async () => {
    const stream = await openTracked(app(), '/count?to=2');

    expect(await stream.next()).toEqual({ type: 'message', data: '1', lastEventId: '1' });
    expect(await stream.next()).toEqual({ type: 'message', data: '2', lastEventId: '2' });
    expect(await stream.next()).toEqual({ type: 'end', data: 'null', lastEventId: '~end' });
    expect([stream.status, stream.headers['content-type'], stream.lastEventId]).toEqual([200, 'text/event-stream; charset=utf-8', '~end']); // biome-ignore format: one line
  });

  it("aborts the route's signal before close() resolves", async () => {
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
    'opens a server that %s, and does not stop it',
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

  it('starts a server that does not listen, and stops it after its last stream', async () => {
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

  it('stops its own server, with the connections of other clients', async () => {
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

  it('opens many concurrent streams on one app', async () => {
    const target = app();

    const all = await Promise.all(Array.from({ length: 20 }, () => openTracked(target, '/open')));

    for (const stream of all) expect(await stream.take(3)).toEqual(data('a', 'b', 'c'));
  });

  it('opens a URL with its path and query, as a string or a URL', async () => {
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

  it('opens a server with a self-signed certificate, and its URL with the tls option', async () => {
    const server = https.createServer({ key: PEM, cert: PEM }, app());
    const stream = await openTracked(server, '/count');
    const { port } = server.address() as AddressInfo;

    expect((await stream.next()).data).toBe('1');
    const url = `https://127.0.0.1:${port}/count`;
    const other = await openTracked(url, '', { tls: { rejectUnauthorized: false } });
    expect((await other.next()).data).toBe('1');
    await expect(openStream(url)).rejects.toThrow(/^Expected a response from GET \/count, but the request failed \(self/); // biome-ignore format: one line
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

  it('has the body, but no events, of a response that is not an event stream', async () => {
    const stream = await openTracked(app(), '/echo', {
      body: 'data: a\n\n',
      headers: { 'Content-Type': 'text/plain' },
    });

    await expect(stream.next()).rejects.toThrow(
      'Expected 1 more event from POST /echo, but the server ended the response. Received: 200 application/json; charset=utf-8, which is not an event stream (200 text/event-stream):\n{"got":"data: a\\n\\n"}',
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
    'decompresses %s immediately, and keeps the compressed bytes in raw',
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
    ['no target', () => openStream(undefined as never), /^Expected target to be an app, a server or a URL, got undefined\. Pass an Express app/], // biome-ignore format: one line
    ['an object', () => openStream({} as never), /Expected target .* got \{\} \(object\)/],
    ['a URL without a scheme', () => openStream('localhost:3000'), /a URL that begins with http: or https:/],
    ['a path as the target', () => openStream('/clock'), /Expected target/],
    [
      'a time-out of 0',
      () => openStream(app(), '/', { timeoutMs: 0 }),
      /^Expected timeoutMs to be a positive integer, got 0/,
    ],
    [
      'a time-out that is too long for a timer',
      () => openStream(app(), '/', { timeoutMs: 2 ** 31 }),
      /^Expected timeoutMs .* A timer holds at most 2147483647 ms\. See docs\/error-codes\.md#err_sse_invalid_option$/,
    ],
    [
      'a misspelt option',
      () => openStream(app(), '/', { lastEventID: '7' } as never),
      /^Unknown option 'lastEventID'\. Did you mean 'lastEventId'\? See docs\/error-codes\.md#err_sse_invalid_option$/,
    ],
    [
      'null as options',
      () => openStream(app(), '/', null as never),
      /^Expected options to be an object, got null\. See docs\/error-codes\.md#err_sse_invalid_option$/,
    ],
    ['an id that is not a string', () => openStream(app(), '/', { lastEventId: 7 as never }), /^Expected lastEventId to be a string, got 7/], // biome-ignore format: one line
    ['a method that is not a string', () => openStream(app(), '/', { method: 1 as never }), /^Expected method to be a method such as POST, got 1/], // biome-ignore format: one line
    ['a Map of headers, whose entries would be ignored', () => openStream(app(), '/', { headers: new Map() as never }), /^Expected headers to be a plain object/], // biome-ignore format: one line
    ['a body that is an object', () => openStream(app(), '/', { body: { a: 1 } as never }), /^Expected body to be a string or bytes, got .* Use JSON\.stringify\(\)/], // biome-ignore format: one line
    ['a boolean for tls', () => openStream(app(), '/', { tls: true as never }), /^Expected tls to be an object such as \{ ca \}, got true/], // biome-ignore format: one line
  ])('refuses %s', async (_what, call, text) => {
    await expect(call()).rejects.toMatchObject({
      code: 'ERR_SSE_INVALID_OPTION',
      message: expect.stringMatching(text),
    });
  });
});

describe('a failed request', () => {
  it('rejects if no response head is received in time', async () => {
    await expect(openStream(app(), '/never', { timeoutMs: 30 })).rejects.toThrow(
      /^Expected a response from GET \/never, but 30 ms have passed\. No response was received\.$/,
    );
  });

  it('rejects if no server listens', async () => {
    const server = createServer().listen(0);
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');

    await expect(openStream(`http://127.0.0.1:${port}`)).rejects.toMatchObject({
      message: expect.stringContaining('but the request failed (connect ECONNREFUSED'),
      cause: expect.objectContaining({ code: 'ECONNREFUSED' }),
    });
  });

  it('rejects if the connection is closed before the head', async () => {
    await expect(openStream(({ socket }) => void socket.destroy())).rejects.toThrow('the request failed (socket hang up)'); // biome-ignore format: one line
  });

  it('rejects a header that cannot be sent', async () => {
    await expect(openStream(app(), '/', { headers: { 'X-Test': 'a\nb' } })).rejects.toThrow(
      'Invalid character in header',
    );
  });

  it('rejects if the server does not use HTTP', async () => {
    const server = createNetServer(
      (socket) =>
        void socket
          .on('error', () => undefined)
          .resume()
          .end('hello'),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');

    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(openStream(url)).rejects.toThrow('the request failed (Parse Error');

    server.close();
    await once(server, 'close');
  });
});

describe('next(), take() and until()', () => {
  it('take each event once, in order', async () => {
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

  it('receive their events in the order of the calls when they overlap', async () => {
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

  it('report what was received when they time out, and take nothing', async () => {
    const stream = await openTracked(app(), '/open', { timeoutMs: 500 });
    await stream.next();

    const [many, missing, then] = await Promise.allSettled([
      stream.take(3),
      stream.until((each) => each.data === 'd'),
      stream.take(2),
    ]);

    const received =
      'Received: 200 text/event-stream; charset=utf-8, 3 events, 1 taken:\ndata: a\n\ndata: b\n\ndata: c\n\n';
    expect(many).toMatchObject({ reason: { message: `Expected 3 more events from GET /open, but 500 ms have passed. ${received}` } }); // biome-ignore format: one line
    expect(missing).toMatchObject({ reason: { message: `Expected an event for which the predicate returns true from GET /open, but 500 ms have passed. ${received}` } }); // biome-ignore format: one line
    expect(then).toMatchObject({ value: data('b', 'c') });
  });

  it('fail with a stack that shows the line of the test', async () => {
    const stream = await openTracked(app(), '/count');

    const error = await stream.take(9).catch((reason: Error) => reason);

    expect((error as Error).stack).toMatch(/^Error: Expected 9 more events .*open-stream\.test\.ts/s);
  });

  it('fail immediately when the response ends, and leave the received events to later waits', async () => {
    const stream = await openTracked(app(), '/count?to=2');

    await expect(stream.take(4)).rejects.toThrow(
      /^Expected 4 more events from GET \/count\?to=2, but the server ended the response\. Received: 200 text\/event-stream; charset=utf-8, 3 events:\nevent/,
    );

    expect(await stream.take(3)).toHaveLength(3);
  });

  it('show the last 2,000 characters of a long body', async () => {
    const stream = await openTracked(sse(() => ['x'.repeat(5_000), 'last']));

    const error = await stream.take(9).catch((reason: Error) => reason);

    expect((error as Error).message).toMatch(/3 events:\n… x+\n\ndata: last\n\nevent: end\n/);
    expect((error as Error).message.length).toBeLessThan(2_300);
  });

  it('reject with the error that a predicate throws', async () => {
    const stream = await openTracked(app(), '/open');
    const oops = new Error('oops');

    await expect(stream.until(() => { throw oops; })).rejects.toBe(oops); // biome-ignore format: short

    expect(await stream.take(3)).toEqual(data('a', 'b', 'c'));
  });

  it('throw for an invalid count or predicate', async () => {
    const stream = await openTracked(app(), '/open');

    for (const count of [-1, 1.5, Number.NaN, '3', undefined])
      expect(() => stream.take(count as number)).toThrow(/^Expected count to be a non-negative integer, got/);
    expect(() => stream.until('a' as never)).toThrow(
      "Expected predicate to be a function of an event, got 'a' (string).",
    );
  });
});

describe('for await', () => {
  it('reads to the end of the response, and the stream can reconnect afterwards', async () => {
    const stream = await openTracked(app(), '/count?to=2');
    const received: string[] = [];

    for await (const { type, data } of stream) received.push(`${type} ${data}`);

    expect(received).toEqual(['message 1', 'message 2', 'end null']);
    expect((await stream.reconnect()).status).toBe(204);
  });

  it('closes the stream when the loop is left early', async () => {
    const stream = await openTracked(app(), '/open');

    for await (const { data } of stream) if (data === 'b') break;

    await expect(stream.next()).resolves.toEqual(data('c')[0]);
    expect(() => stream.reconnect()).toThrow('Cannot reconnect: the stream is CLOSED.');
  });

  it('throws when the connection is lost', async () => {
    const stream = await openTracked(
      raw(`${HEAD.replace('Connection: close', 'Content-Length: 99')}data: a\n\n`),
    );

    await expect((async () => { for await (const each of stream) expect(each.data).toBe('a'); })()).rejects.toThrow('Expected an event or the end of the response from GET /, but the connection was lost (aborted)'); // biome-ignore format: one line
  });
});

describe('untilText(), ended() and closed()', () => {
  it('wait for text, for the end of the response and for the close of the connection', async () => {
    const stream = await openTracked(raw(`${HEAD}: hi\n\nretry: 7\n\ndata: ü\n\n`));

    expect(await stream.untilText(': hi')).toContain(': hi\n\n');
    expect(await stream.ended()).toBe(': hi\n\nretry: 7\n\ndata: ü\n\n');
    expect(await stream.closed()).toBe(stream.text);
    expect([stream.comments, stream.retryMs]).toEqual([['hi'], 7]);
    expect(stream.raw).toEqual(Buffer.from(stream.text));
  });

  it('name in their error what they waited for', async () => {
    const stream = await openTracked(app(), '/open', { timeoutMs: 500 });

    await expect(stream.untilText('nope\n')).rejects.toThrow(
      /^Expected "nope\\n" from GET \/open, but 500 ms/,
    );
    await expect(stream.ended()).rejects.toThrow(
      /^Expected the end of the response from GET \/open, but 500 ms/,
    );
    await expect(stream.closed()).rejects.toThrow(
      /^Expected the connection to close from GET \/open, but 500 ms/,
    );
  });

  it('distinguish the end of a response from a reset connection', async () => {
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
      message: expect.stringMatching(/^Expected the end of the response from GET \/, but the connection was lost \(.*\)\. Received: 200 text\/event-stream, 1 event, 1 taken:\ndata: a\n\n$/), // biome-ignore format: one line
      cause: expect.objectContaining({ code: 'ECONNRESET' }),
    });
    expect(await stream.closed()).toBe('data: a\n\n');
  });

  it('treat invalid compressed bytes as a lost connection', async () => {
    const stream = await openTracked((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'gzip' }).end('no gzip');
    });

    await expect(stream.ended()).rejects.toThrow('the connection was lost (incorrect header check)');
  });
});

describe('stall() and resume()', () => {
  it('pause and continue reading, and a wait reports the stall', async () => {
    const stream = await openTracked(app(), '/large', { timeoutMs: 1_000 });
    await stream.next();
    stream.stall();
    const { length } = stream.text;

    await expect(stream.take(10_000)).rejects.toThrow(
      '1000 ms have passed, during which this client was stalled.',
    );
    expect(stream.text.length).toBe(length);
    stream.resume();
    await stream.until(() => stream.text.length > length + 1_000_000);
  });
});

describe('drop() and reconnect()', () => {
  it('reconnect with the last event ID, and keep the events and the reconnection time', async () => {
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

  it('fail waits on a drop, but not on a reconnection', async () => {
    const stream = await openTracked(app(), '/open');
    await stream.take(3);

    const dropped = stream.next();
    stream.drop();
    await expect(dropped).rejects.toThrow(
      'Expected 1 more event from GET /open, but this client has disconnected.',
    );

    const next = stream.reconnect().then(() => undefined);
    const kept = stream.next();
    await Promise.all([next, stream.reconnect()]);
    expect((await kept).data).toBe('a');
  });

  it('discard an incomplete event', async () => {
    const stream = await openTracked(raw(`${HEAD}data: whole\n\nid: 1\ndata: half\n`));
    await stream.ended();

    await stream.reconnect();
    await stream.ended();

    expect(stream.events).toEqual(data('whole', 'whole'));
  });

  it('reject if the server has stopped', async () => {
    const server = createServer(app()).listen(0);
    const stream = await openTracked(server, '/count');
    await stream.ended();
    server.close();
    await once(server, 'close');

    await expect(stream.reconnect()).rejects.toThrow('but the request failed (connect ECONNREFUSED');
    expect([stream.status, stream.text, stream.headers]).toEqual([0, '', {}]);
  });
});

describe('close()', () => {
  it('returns the same promise each time, and fails every wait', async () => {
    const stream = await openTracked(app(), '/open');
    await stream.take(3);
    const waits = [stream.next(), stream.until(() => true), stream.untilText('z'), stream.ended()];

    const closing = stream.close();

    expect(stream.close()).toBe(closing);
    for (const wait of waits) await expect(wait).rejects.toThrow('but the stream was closed.');
    await closing;
    expect(await stream.closed()).toBe(stream.text);
    await expect(stream.next()).rejects.toThrow('but the stream was closed.');
  });

  it('ends a pending reconnection', async () => {
    const stream = await openTracked(app(), '/open');

    const reconnection = stream.reconnect();
    await stream.close();

    await expect(reconnection).rejects.toThrow(
      'Expected a response from GET /open, but the stream was closed.',
    );
  });

  it('leaves no unhandled rejection for waits that are not awaited', async () => {
    const stream = await openTracked(app(), '/open', { timeoutMs: 500 });
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
    // Superagent warns if a parser calls its callback twice.
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('reads `take` events of an endless stream, and ends the request', async () => {
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

  it('reads up to and including the event for which `until` returns true', async () => {
    const parser = eventStream({ until: ({ data }) => data === 'b' });

    const res = await request(app()).get('/open').buffer().parse(parser);

    expect(res.body).toEqual(data('a', 'b'));
  });

  it.each([
    ['without options', {}],
    ['with a larger take', { take: 9 }],
    ['with an until that never returns true', { until: () => false }],
  ])('reads to the end of the response %s', async (_how, options) => {
    const res = await request(app())
      .get('/count?to=2')
      .set('Accept', 'text/event-stream')
      .buffer()
      .parse(eventStream(options));

    expect(res.body.map((each: DispatchedEvent) => each.data)).toEqual(['1', '2', 'null']);
  });

  it('has the body of an error in res.text', async () => {
    const target = express().get('/', (_req, res) => void res.status(401).json({ error: 'no' }));

    const res = await request(target)
      .get('/')
      .buffer()
      .parse(eventStream({ take: 1 }))
      .expect(401);

    expect([res.body, res.text]).toEqual([[], '{"error":"no"}']);
  });

  it('reads a response that superagent has decompressed', async () => {
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
      'Expected 4 more events, but 500 ms have passed. Received: 200 text/event-stream; charset=utf-8, 3 events:\ndata: a\n\n',
    ],
    [{ until: () => false }, 'Expected an event for which the predicate returns true, but 500 ms'],
    [{}, 'Expected the end of the response, but 500 ms'],
  ])('times out with an error that shows what was received (%j)', async (options, message) => {
    const pending = request(app())
      .get('/open')
      .buffer()
      .parse(eventStream({ ...options, timeoutMs: 500 }));

    await expect(pending).rejects.toThrow(message);
  });

  it('fails with the error that a predicate throws', async () => {
    const oops = () => { throw new Error('oops'); }; // biome-ignore format: short

    await expect(
      request(app())
        .get('/open')
        .buffer()
        .parse(eventStream({ until: oops })),
    ).rejects.toThrow('oops');
  });

  it('fails when the connection is lost', async () => {
    const target = raw(`${HEAD.replace('Connection: close', 'Content-Length: 99')}data: a\n\n`);

    await expect(
      request(target)
        .get('/')
        .buffer()
        .parse(eventStream({ take: 2 })),
    ).rejects.toThrow('aborted');
  });

  it('reads 50 responses one after the other', async () => {
    const target = app();
    const start = performance.now();

    for (let n = 0; n < 50; n++) {
      const res = await request(target)
        .get('/open')
        .buffer()
        .parse(eventStream({ take: 2 }));
      expect(res.body).toEqual(data('a', 'b'));
    }

    expect(performance.now() - start).toBeLessThan(4_000);
  });

  it.each([
    [{ take: 0 }, 'Expected take to be a positive integer, got 0 (number).'],
    [{ take: '3' as never }, "Expected take to be a positive integer, got '3' (string)."],
    [{ until: 'b' as never }, "Expected until to be a function of an event, got 'b' (string)."],
    [{ timeoutMs: -1 }, 'Expected timeoutMs to be a positive integer, got -1 (number).'],
    [{ take: 1, until: () => true }, 'Expected either take or until, got both.'],
    [{ Take: 1 } as never, "Unknown option 'Take'. Did you mean 'take'?"],
  ])('throws for %p', (options, message) => {
    expect(() => eventStream(options)).toThrow(expect.objectContaining({ code: 'ERR_SSE_INVALID_OPTION', message: expect.stringContaining(message) })); // biome-ignore format: one line
  });
});
