import { EventEmitter } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import express from 'express';
import { Channel, type EventLog, event, memoryLog } from '../../../lib/index';
import type { OpenedStream } from '../../../lib/testing';
import { Gate } from '../../support/gate';
import { releaseAll, serve } from '../../support/serve';
import { Wire } from '../../support/wire';

// Defects that other packages have or had, by their number in `list.test.ts`. Most of them are tested in other files.

afterEach(releaseAll);

const END = 'event: end\nid: ~end\ndata: null\n\n';

it('C1: a source that continues after its client has disconnected causes no uncaughtException', async () => {
  const late = new Gate<IteratorResult<string>>();
  const steps = [Promise.resolve({ done: false, value: 'a' }), late.promise];
  const source = { [Symbol.asyncIterator]: () => ({ next: () => steps.shift() }) };
  const server = await serve((app, sse) =>
    app.get(
      '/',
      sse(() => source),
    ),
  );

  const client = await server.openStream('/');
  await client.next();
  client.drop();
  while (server.sse.size > 0) await setImmediate();
  late.open({ done: false, value: 'b' });
  await setImmediate();

  expect(server.errors).toEqual([]);
});

it.each(['', ' ', '[', 'a b', '//', '%'])('C7: streams with any Host: %p', async (host) => {
  const server = await serve((app) => app.get('/', oneValue));

  const wire = await Wire.open(server.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

  expect(await wire.ended()).toContain('data: a\n\n');
});

it('C12: a source that stops early does not finish the stream', async () => {
  const source = new Readable({ objectMode: true, read: () => undefined });
  source.push('a');
  const server = await serve((app, sse) =>
    app.get(
      '/',
      sse(() => source),
    ),
  );

  const client = await server.openStream('/');
  await client.next();
  source.destroy();

  expect(await client.closed()).toBe('data: a\n\n');
  expect(await server.errorsHandled(1)).toEqual([
    expect.objectContaining({ code: 'ERR_STREAM_PREMATURE_CLOSE' }),
  ]);
});

it.each<[string, () => unknown]>([
  ['an iterator whose return()', failingIterable],
  ['a web stream whose cancel()', failingWebStream],
])(
  'C31: %s rejects after its client has disconnected is reported, without unhandledRejection',
  async (_kind, make) => {
    const server = await serve((app, sse) => app.get('/', sse(make)));

    const client = await server.openStream('/');
    await client.next();
    client.drop();

    expect(await server.errorsHandled(1)).toEqual([expect.objectContaining({ message: 'clean-up failed' })]);
  },
);

it.each<[string, () => unknown]>([
  ['immediately', () => undefined],
  ['in the same turn', () => Promise.resolve()],
  ['in the next turn', () => setImmediate()],
])(
  'C32: no value is lost that becomes ready %s, while earlier bytes are being sent',
  async (_when, pause) => {
    const server = await serve((app) =>
      app.get('/', async function* () {
        for (let n = 0; n < 2_000; n++) {
          // Too small for a separate write, so that the next value is requested before this one is written.
          yield `${n} ${'x'.repeat(10_000)}`;
          await pause();
        }
      }),
    );

    const client = await server.openStream('/');
    client.stall();
    await server.full();
    client.resume();
    await client.ended();

    const numbers = client.events.map(({ data }) => Number.parseInt(data, 10));
    expect(numbers).toEqual([...Array(2_000).keys(), Number.NaN]);
  },
);

it('C33: a value that is iterable in both ways is read as an async iterable', async () => {
  const both = {
    [Symbol.iterator]: () => ['sync'].values(),
    [Symbol.asyncIterator]: async function* () {
      yield 'async';
    },
  };
  const server = await serve((app, sse) =>
    app.get(
      '/',
      sse(() => both),
    ),
  );

  const client = await server.openStream('/');

  expect(await client.ended()).toBe(`data: async\n\n${END}`);
});

it('C36: the events that one client has missed are sent only to that client', async () => {
  const channel = new Channel<string>();
  const lastEventId = await channel.publish('a');
  const server = await serve((app) => app.get('/', () => channel));

  const present = await server.openStream('/', { lastEventId });
  const late = await server.openStream('/', { lastEventId: 'unknown' });
  await late.take(2);
  await channel.publish('b');
  await channel.end();
  await Promise.all([present.ended(), late.ended()]);

  expect(typesOf(present)).toEqual(['message', 'end']);
  expect(typesOf(late)).toEqual(['gap', 'message', 'message', 'end']);
});

it.each([8, 9, 10, 98, 99, 100])(
  'C40: ids are ordered as numbers: %i is followed by the next',
  async (seen) => {
    const channel = new Channel<number>();
    const ids: string[] = [];
    for (let n = 1; n <= 101; n++) ids.push(await channel.publish(n));
    await channel.end();
    const server = await serve((app) => app.get('/', () => channel));

    const client = await server.openStream('/', { lastEventId: ids[seen - 1] });
    await client.ended();

    const expected = Array.from({ length: 101 - seen }, (_, index) => String(seen + index + 1));
    expect(client.events.map(({ data }) => data)).toEqual([...expected, 'null']);
  },
);

it('C46: a client that has reconnected stays subscribed when its old connection closes', async () => {
  const channel = new Channel<string>();
  const lastEventId = await channel.publish('a');
  const server = await serve((app) => app.get('/', () => channel));

  const old = await server.openStream('/', { lastEventId });
  const back = await server.openStream('/', { lastEventId });
  while (channel.size < 2) await setImmediate();
  old.drop();
  while (server.sse.size > 1) await setImmediate();
  await channel.publish('b');

  expect(await back.next()).toMatchObject({ data: 'b' });
  expect(channel.size).toBe(1);
});

it.each<[string, string[], (log: EventLog) => Channel]>([
  ['publish() and end()', ['event', 'event', 'end'], publishTwo],
  ['the values of a run', ['event', 'end'], (log) => Channel.from(oneValue, { log })],
  ['the error of a run', ['event', 'error'], (log) => Channel.from(broken, { log })],
])('C48: the log receives %s, so that other processes receive it', async (_what, kinds, make) => {
  const log = memoryLog();
  const append = jest.spyOn(log, 'append');

  const reading = make(log).subscribe();
  while (!(await reading.next().catch(() => ({ done: true }))).done);

  expect(append.mock.calls.map(([{ kind }]) => kind)).toEqual(kinds);
});

it('C62: a value that several clients receive is not changed', async () => {
  const shared = Object.freeze({ data: Object.freeze(['a']), id: 1, event: 'x' });
  const named = event('tick', shared, { id: 5 });
  const server = await serve((app) =>
    app.get('/', async function* () {
      yield shared;
      yield named;
    }),
  );

  const bodies = [1, 2].map(async () => (await server.openStream('/')).ended());

  const json = '{"data":["a"],"id":1,"event":"x"}';
  const body = `data: ${json}\n\nevent: tick\nid: 5\ndata: ${json}\n\n${END}`;
  expect(await Promise.all(bodies)).toEqual([body, body]);
  expect(JSON.stringify(shared)).toBe(json);
});

it('C63: an import patches nothing and starts nothing', () => {
  const timers = [jest.spyOn(globalThis, 'setInterval'), jest.spyOn(globalThis, 'setTimeout')];
  const before = globalState();

  jest.isolateModules(() => {
    for (const entry of ['index', 'redis', 'testing']) require(`../../../lib/${entry}`);
  });

  expect(globalState()).toEqual(before);
  for (const timer of timers) expect(timer).not.toHaveBeenCalled();
  jest.restoreAllMocks();
});

it('C69: a filter keeps the signal of its subscriber', async () => {
  const leaving = new AbortController();
  const channel = new Channel<number>();
  const even = channel.filter((n) => n % 2 === 0).filter((n) => n > 0);

  const next = even.subscribe({ signal: leaving.signal }).next();
  leaving.abort();

  await expect(next).rejects.toBe(leaving.signal.reason);
  expect(channel.size).toBe(0);
});

it('C70: npm eventsource is stopped by the end of a generator that returns nothing', async () => {
  const server = await serve((app) => app.get('/', oneValue), { retryMs: 1 });

  const source = new EventSource(server.url('/'));
  while (source.readyState !== source.CLOSED) await sleep(1);

  expect(server.responses.map(({ statusCode }) => statusCode)).toEqual([200, 204]);
});

it('C71: the stream adds one drain listener to the socket, however often it waits', async () => {
  let [most, waits] = [0, 0];
  const done = new Gate();
  const count = () => waits++;
  const server = await serve((app) =>
    app.get('/', async function* ({ socket }) {
      socket.on('drain', count);
      for (let n = 0; n < 12; n++) {
        // More than the kernel accepts in one write.
        yield 'x'.repeat(8_000_000);
        most = Math.max(most, socket.listenerCount('drain'));
      }
      socket.off('drain', count);
      done.open();
    }),
  );

  server.send('/');
  await done.promise;

  expect(waits).toBeGreaterThan(5);
  // The listeners of Node, of this test and of the stream.
  expect(most).toBe(3);
});

function failingIterable(): AsyncIterable<string> {
  const steps = [Promise.resolve({ done: false, value: 'a' }), new Promise<never>(() => undefined)];
  const next = () => steps.shift() as Promise<IteratorResult<string>>;
  return { [Symbol.asyncIterator]: () => ({ next, return: () => Promise.reject(cleanUpFailed()) }) };
}

function failingWebStream(): ReadableStream<string> {
  return new ReadableStream({
    start: (controller) => controller.enqueue('a'),
    cancel: () => Promise.reject(cleanUpFailed()),
  });
}

function cleanUpFailed(): Error {
  return new Error('clean-up failed');
}

async function* oneValue() {
  yield 'a';
}

async function* broken() {
  yield 'a';
  throw new Error('broken');
}

function publishTwo(log: EventLog): Channel {
  const channel = new Channel({ log });
  void channel
    .publish('a')
    .then(() => channel.publish('b'))
    .then(() => channel.end());
  return channel;
}

function typesOf({ events }: OpenedStream): string[] {
  return events.map(({ type }) => type);
}

/** The global state that a package could change. */
function globalState(): unknown {
  const prototypes = [
    http.Server,
    http.IncomingMessage,
    http.OutgoingMessage,
    http.ServerResponse,
    EventEmitter,
    Readable,
  ].map(({ prototype }) => Object.getOwnPropertyDescriptors(prototype));
  const listeners = process.eventNames().map((name) => [name, process.listenerCount(name)]);
  const { request, response } = express;
  return {
    prototypes,
    express: [request, response].map((each) => Object.getOwnPropertyDescriptors(each)),
    globals: Object.getOwnPropertyNames(globalThis),
    listeners,
    maxListeners: [EventEmitter.defaultMaxListeners, process.getMaxListeners()],
  };
}
