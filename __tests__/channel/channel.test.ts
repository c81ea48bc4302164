import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import compression from 'compression';
import type { Express, Request, Response } from 'express';
import {
  Channel,
  type ChannelOptions,
  comment,
  event,
  memoryLog,
  type Sse,
  type Subscribable,
} from '../../lib';
import type { OpenedStream } from '../../lib/testing';
import { Gate } from '../support/gate';
import { releaseAll, serve, type TestServer } from '../support/serve';
import { get, Wire } from '../support/wire';

afterEach(releaseAll);

const END = 'event: end\nid: ~end\ndata: null\n\n';

function frame(id: string, data: string, type?: string): string {
  return `${type === undefined ? '' : `event: ${type}\n`}id: ${id}\ndata: ${data}\n\n`;
}

function gap(lastEventId: string, oldest: string | null): string {
  return `event: gap\ndata: ${JSON.stringify({ lastEventId, oldest })}\n\n`;
}

/** The body without the initial comment or id, which a stream sends first if there is no event. */
function events(body: string): string {
  return body.replace(/^(?::|id:) .*\n\n/, '');
}

/** The position of a new subscriber of a channel: the id of the newest event. */
function positionOf(channel: Subscribable<unknown>): string {
  return channel.subscribe().lastEventId;
}

/** Opens a stream that resumes after an event. */
function reopen(server: TestServer, lastEventId: string, path = '/'): Promise<OpenedStream> {
  return server.openStream(path, { headers: { 'Last-Event-ID': lastEventId } });
}

async function emptied(channel: Channel<never>): Promise<void> {
  while (channel.size > 0) await setImmediate();
}

type Route = (req: Request, res: Response) => unknown;

const APIS: Array<[string, (app: Express, sse: Sse, route: Route) => void]> = [
  ['app.use(sse())', (app, _sse, route) => app.get('/', route)],
  ['sse(handler)', (app, sse, route) => app.get('/', sse(route as (req: unknown, res: unknown) => unknown))],
];

const SHAPES: Array<[string, (channel: Channel) => Route]> = [
  ['a channel', (channel) => () => channel],
  ['a promise of a channel', (channel) => async () => channel],
  ['a filter', (channel) => () => channel.filter(() => true)],
  ['a subscription', (channel) => (_req, res) => channel.subscribe(res.sse)],
  [
    'a generator that delegates to a subscription',
    (channel) =>
      async function* (_req, res) {
        return yield* channel.subscribe(res.sse);
      },
  ],
  [
    'a generator that yields the events of a subscription',
    (channel) =>
      async function* (_req, res) {
        for await (const each of channel.filter(() => true).subscribe(res.sse)) yield each;
      },
  ],
];

const ROUTES = APIS.flatMap(([api, mount]) => SHAPES.map(([shape, make]) => ({ api, shape, mount, make })));

describe.each(ROUTES)('$shape with $api', ({ shape, mount, make }) => {
  const returnsNothing = shape === 'a generator that yields the events of a subscription';
  let channel: Channel;
  let server: TestServer;

  beforeEach(async () => {
    channel = new Channel();
    server = await serve((app, sse) => mount(app, sse, make(channel)), { commitAfterMs: 1 });
  });

  it('sends the published events, then the end', async () => {
    const client = await server.openStream('/');

    const a = await channel.publish('a');
    const b = await channel.publish({ n: 1 });
    const c = await channel.publish(event('tick', 'x\ny', { retry: 5, comment: 'why' }));
    await channel.end();

    expect(events(await client.ended())).toBe(
      `${frame(a, 'a')}${frame(b, '{"n":1}')}: why\nevent: tick\nid: ${c}\nretry: 5\ndata: x\ndata: y\n\n${END}`,
    );
    expect([channel.size, server.errors]).toEqual([0, []]);
  });

  it('resumes after the last event ID', async () => {
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((each) => channel.publish(each)));

    const client = await reopen(server, a as string);
    await client.untilText('data: c');
    const d = await channel.publish('d');
    await client.untilText('data: d');

    expect(client.text).toBe(frame(b as string, 'b') + frame(c as string, 'c') + frame(d, 'd'));
  });

  it('releases a client that disconnects', async () => {
    const client = await server.openStream('/');
    await channel.publish(1);
    await client.untilText('data: 1');

    client.drop();
    await emptied(channel as Channel<never>);

    expect(channel.size).toBe(0);
  });

  it('sends a fetch client the closing value as the last ordinary event', async () => {
    const opening = server.openStream('/', { headers: { Accept: '*/*' } });
    while (channel.size === 0) await setImmediate();

    const a = await channel.publish('a');
    await channel.end({ rows: 1 });

    // A generator returns the value alone, so that its event has no id; one that reads with `for await` returns nothing.
    const body = events(await (await opening).ended()).replace(/id: .*\n(?=data: {)/, '');
    expect(body).toBe(frame(a, 'a') + (returnsNothing ? '' : 'data: {"rows":1}\n\n'));
    expect([channel.size, server.errors]).toEqual([0, []]);
  });

  it('has no subscriber after a HEAD, a refused type or a finished client', async () => {
    const strict = await serve((app, sse) => mount(app, sse, make(channel)), {
      defaults: { client: 'eventsource' },
    });
    const head = await server.openStream('/', { method: 'HEAD' });
    const json = await strict.openStream('/', { headers: { Accept: 'application/json' } });
    const done = await reopen(server, '~end');

    expect([head.status, json.status, done.status]).toEqual([200, 406, 204]);
    expect([await head.ended(), await done.ended()]).toEqual(['', '']);
    expect([channel.size, server.sse.size, strict.sse.size]).toEqual([0, 0, 0]);
  });

  it('ends without ~end when the channel is closed', async () => {
    const client = await server.openStream('/');
    const id = await channel.publish(1);

    await client.untilText('data: 1');
    await channel.close();

    expect(events(await client.ended())).toBe(frame(id, '1'));
    expect([channel.size, server.errors]).toEqual([0, []]);
  });
});

describe('a new subscriber', () => {
  it('receives its position immediately, so that it resumes from there if it disconnects before the first event', async () => {
    const channel = new Channel();
    await channel.publish('before');
    const server = await serve((app) => app.get('/', () => channel));
    const position = positionOf(channel);

    const client = await server.openStream('/');
    await client.untilText('\n\n');

    expect(client.text).toBe(`id: ${position}\n\n`);
  });

  it('receives no earlier events', async () => {
    const channel = new Channel();
    await channel.publish('before');
    const server = await serve((app) => app.get('/', () => channel));

    const client = await server.openStream('/');
    const id = await channel.publish('after');
    await client.untilText('after');

    expect(events(client.text)).toBe(frame(id, 'after'));
  });

  it('receives all retained events with replay: true', async () => {
    const channel = new Channel({ replay: true, log: memoryLog({ maxEvents: 2 }) });
    const ids = [];
    for (const n of [1, 2, 3]) ids.push(await channel.publish(n));
    const server = await serve((app) => app.get('/', () => channel));

    const client = await server.openStream('/');
    await client.untilText('data: 3');

    expect(client.text).toBe(frame(ids[1] as string, '2') + frame(ids[2] as string, '3'));
  });

  it('can send an empty Last-Event-ID', async () => {
    const channel = new Channel();
    await channel.publish('before');
    const server = await serve((app) => app.get('/', () => channel));

    const client = await reopen(server, '');
    await channel.publish('after');
    await client.untilText('after');

    expect(client.text).not.toContain('before');
  });
});

describe('subscribe()', () => {
  it('loses no event between its call and the end of a snapshot', async () => {
    const channel = new Channel<string>();
    const snapshot = new Gate<string>();
    const subscribed = new Gate();
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        const live = channel.subscribe(res.sse);
        subscribed.open();
        yield await snapshot.promise;
        yield* live;
      });
    });
    await channel.publish('too early');

    const opened = server.openStream('/');
    await subscribed.promise;
    const during = await channel.publish('during');
    snapshot.open('snapshot');
    const client = await opened;
    await client.untilText('during');
    const after = await channel.publish('after');
    await client.untilText('after');

    expect(events(client.text)).toBe(`data: snapshot\n\n${frame(during, 'during')}${frame(after, 'after')}`);
  });

  it('adds no subscriber until the subscription is read', async () => {
    const channel = new Channel();

    for (let i = 0; i < 100; i++) channel.subscribe({ lastEventId: `x-${i}` });

    expect(channel.size).toBe(0);
  });

  it.each([5, null, {}])('refuses %p as lastEventId', (lastEventId) => {
    const subscriber = { lastEventId } as unknown as { lastEventId: string };

    expect(() => new Channel().subscribe(subscriber)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_OPTION' }),
    );
  });
});

describe('a gap', () => {
  const HOSTILE = [
    'unknown',
    '-',
    '0',
    '9'.repeat(4_000),
    'é'.repeat(500),
    '__proto__',
    "'; FLUSHALL",
    '$',
    '+',
    '0-0',
    '~x',
    'NaN-NaN',
  ];

  it.each(HOSTILE)('is sent first for the id %.20s, which is not in the log', async (id) => {
    const channel = new Channel();
    const a = await channel.publish('a');
    const server = await serve((app) => app.get('/', () => channel));

    const client = await reopen(server, Buffer.from(id).toString('latin1'));
    await client.untilText('data: a');

    expect(client.text).toBe(gap(id, a) + frame(a, 'a'));
  });

  it('has no oldest id if nothing is retained', async () => {
    const channel = new Channel();
    const server = await serve((app) => app.get('/', () => channel));

    const client = await reopen(server, 'unknown');
    const a = await channel.publish('a');
    await client.untilText('data: a');

    expect(client.text).toBe(gap('unknown', null) + frame(a, 'a'));
  });

  it('is sent for an id from before a restart', async () => {
    const before = await new Channel().publish('before');
    const channel = new Channel();
    const a = await channel.publish('a');
    const server = await serve((app) => app.get('/', () => channel));

    const client = await reopen(server, before);
    await client.untilText('data: a');

    expect(client.text).toBe(gap(before, a) + frame(a, 'a'));
  });

  it.each([
    ['is not sent for the id of the last trimmed event', 1, false],
    ['is sent for the id of an event before that', 0, true],
  ])('%s', async (_which, index, isGap) => {
    const channel = new Channel({ log: memoryLog({ maxEvents: 2 }) });
    const ids: string[] = [];
    for (const n of [1, 2, 3, 4]) ids.push(await channel.publish(n));
    const [, , c, d] = ids as [string, string, string, string];
    const server = await serve((app) => app.get('/', () => channel));

    const client = await reopen(server, ids[index] as string);
    await client.untilText('data: 4');

    expect(client.text).toBe((isGap ? gap(ids[index] as string, c) : '') + frame(c, '3') + frame(d, '4'));
  });

  it('is sent for an id that the log has not assigned yet', async () => {
    const channel = new Channel();
    const a = await channel.publish('a');
    const future = a.replace(/1$/, '2');
    const server = await serve((app) => app.get('/', () => channel));

    const client = await reopen(server, future);
    await client.untilText('data: a');

    expect(client.text).toBe(gap(future, a) + frame(a, 'a'));
  });

  it.each(['01', '1 ', '1.0', '+1', '1e0', '-1'])('is sent for an id with the number %p', async (number) => {
    const channel = new Channel();
    const a = await channel.publish('a');
    const lastEventId = a.replace(/1$/, number);
    const server = await serve((app) => app.get('/', () => channel.subscribe({ lastEventId })));

    const client = await server.openStream('/');
    await client.untilText('data: a');

    expect(client.text).toBe(gap(lastEventId, a) + frame(a, 'a'));
  });

  it('passes every filter', async () => {
    const channel = new Channel();
    const a = await channel.publish('a');
    const server = await serve((app) => app.get('/', () => channel.filter(() => false)));

    const client = await reopen(server, 'unknown');
    await client.untilText('\n\n');

    expect(client.text).toBe(gap('unknown', a));
  });

  it('contains no additional fields if lastEventId has several lines', async () => {
    const channel = new Channel();
    const server = await serve(
      (app) =>
        app.get('/', (req) =>
          channel.filter(() => false).subscribe({ lastEventId: String(req.query.lastEventId) }),
        ),
      { keepAliveMs: 16 },
    );

    const client = await server.openStream(
      `/?lastEventId=${encodeURIComponent('x\nevent: admin\ndata: y\n')}`,
    );
    await client.untilText(': keep-alive\n\n');

    expect(client.text).not.toMatch(/^event: admin$/m);
  });
});

describe('filter()', () => {
  it('receives the data and the event', async () => {
    const channel = new Channel<{ n: number }>();
    const seen: unknown[] = [];
    const server = await serve((app) =>
      app.get('/', () =>
        channel.filter((data, { type, id }) => {
          seen.push([data, type, id]);
          return type === 'even';
        }),
      ),
    );
    const client = await server.openStream('/');

    const odd = await channel.publish({ n: 1 });
    const even = await channel.publish(event('even', { n: 2 }));
    await client.untilText('{"n":2}');

    expect(events(client.text)).toBe(frame(even, '{"n":2}', 'even'));
    expect(seen).toEqual([
      [{ n: 1 }, undefined, odd],
      [{ n: 2 }, 'even', even],
    ]);
  });

  it('of a filter accepts the events that both accept', async () => {
    const channel = new Channel<number>();
    const filtered = channel.filter((n) => n > 1).filter((n) => n < 3);
    const server = await serve((app) => app.get('/', () => filtered));
    const client = await server.openStream('/');

    const ids = await Promise.all([1, 2, 3].map((n) => channel.publish(n)));
    await channel.end();

    expect(events(await client.ended())).toBe(frame(ids[1] as string, '2') + END);
  });

  it('parses each event once for all filters', async () => {
    const parse = jest.fn(JSON.parse);
    const channel = new Channel<number[]>({ parse });
    const got: unknown[] = [];
    const server = await serve((app) => app.get('/', () => channel.filter((data) => got.push(data) > 0)));
    const clients = await Promise.all([
      server.openStream('/'),
      server.openStream('/'),
      server.openStream('/'),
    ]);

    await channel.publish([1, 2]);
    for (const client of clients) await client.untilText('[1,2]');

    expect(parse).toHaveBeenCalledTimes(1);
    expect(got).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
  });

  it.each(['', 'a', 'a\nb', '\n', 'data: x\ndata: y', '{"n":1}', 'ü\u2028😀'])(
    'receives the string %j unchanged',
    async (text) => {
      const channel = new Channel<string>({ replay: true });
      await channel.publish(text);
      const seen: string[] = [];

      await channel
        .filter((data) => seen.push(data) > 0)
        .subscribe()
        .next();

      expect(seen).toEqual([text]);
    },
  );

  it.each([undefined, null, 'x', /x/, {}])('refuses %p', (predicate) => {
    const channel = new Channel();

    for (const source of [channel, channel.filter(() => true)]) {
      expect(() => source.filter(predicate as never)).toThrow(
        expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_FILTER' }),
      );
    }
  });

  it('that throws ends only its own subscriber, and passes the error to next after the response', async () => {
    const channel = new Channel<number>();
    const boom = new Error('boom');
    const server = await serve((app) => {
      app.get('/', () => channel);
      app.get('/broken', () =>
        channel.filter((n) => {
          if (n === 2) throw boom;
          return true;
        }),
      );
    });
    const [whole, broken] = await Promise.all([server.openStream('/'), server.openStream('/broken')]);

    const a = await channel.publish(1);
    await broken.untilText('data: 1');
    const b = await channel.publish(2);
    const c = await channel.publish(3);
    await whole.untilText('data: 3');

    expect(events(await broken.ended())).toBe(frame(a, '1'));
    expect(events(whole.text)).toBe(frame(a, '1') + frame(b, '2') + frame(c, '3'));
    expect(await server.errorsHandled(1)).toEqual([boom]);
    expect([server.closedBefore, channel.size]).toEqual([[true], 1]);
  });

  it('that throws within a batch still delivers the events that it accepted before', async () => {
    const channel = new Channel<number>();
    const server = await serve((app) =>
      app.get('/', () =>
        channel.filter((n) => {
          if (n === 3) throw new Error('boom');
          return true;
        }),
      ),
    );
    const client = await server.openStream('/');

    const [a, b] = await Promise.all([1, 2, 3].map((n) => channel.publish(n)));

    expect(events(await client.ended())).toBe(frame(a as string, '1') + frame(b as string, '2'));
    expect(await server.errorsHandled(1)).toHaveLength(1);
  });

  it('that throws leaves its subscription positioned after the last accepted event', async () => {
    const channel = new Channel<number>();
    const subscriptions: Array<{ readonly lastEventId: string }> = [];
    const server = await serve((app) =>
      app.get('/', (_req, res) => {
        const subscription = channel
          .filter((n) => {
            if (n === 2) throw new Error('boom');
            return true;
          })
          .subscribe(res.sse);
        subscriptions.push(subscription);
        return subscription;
      }),
    );
    const client = await server.openStream('/');

    const a = await channel.publish(1);
    await client.untilText('data: 1');
    await channel.publish(2);
    await client.ended();

    expect(subscriptions.map(({ lastEventId }) => lastEventId)).toEqual([a]);
  });

  it('that throws before the first byte causes an error status', async () => {
    const channel = new Channel({ replay: true });
    await channel.publish(1);
    const server = await serve((app) =>
      app.get('/', () =>
        channel.filter(() => {
          throw Object.assign(new Error('boom'), { status: 418 });
        }),
      ),
    );

    const client = await server.openStream('/');

    expect([client.status, await client.ended()]).toEqual([418, '{"error":"boom"}']);
    expect(channel.size).toBe(0);
  });

  it('can publish, end other subscriptions, and close its own channel', async () => {
    const channel = new Channel<number>();
    const others = [1, 2].map(() => channel.subscribe());
    const pending = others.map((other) => other.next());
    const server = await serve((app) =>
      app.get('/', () =>
        channel.filter((n) => {
          if (n === 1) void channel.publish(2);
          if (n === 2) for (const other of others) void other.return();
          if (n === 2) void channel.close();
          return true;
        }),
      ),
    );
    const client = await server.openStream('/');

    await channel.publish(1);

    expect(await client.ended()).not.toContain('~end');
    expect(await Promise.all(pending)).toMatchObject([{ value: { data: 1 } }, { value: { data: 1 } }]);
    expect([channel.size, server.errors]).toEqual([0, []]);
  });

  it('that publishes for each event does not block the event loop', async () => {
    const channel = new Channel<number>();
    let calls = 0;
    const publishing = channel.filter(() => {
      calls++;
      void channel.publish(calls);
      return false;
    });
    const server = await serve((app) => app.get('/', () => publishing));
    await server.openStream('/');
    const subscription = publishing.subscribe();
    const pending = subscription.next().catch((error: { code: string }) => error.code);

    void channel.publish(0);
    for (let turn = 0; turn < 5; turn++) await setImmediate();

    expect(calls).toBeGreaterThan(2);
    await channel.close();
    // The filter fills the log faster than the subscription reads it.
    expect(await pending).toMatch(/ERR_SSE_(OVERFLOW|CHANNEL_CLOSED)/);
  });

  it('that throws still lets onError send a last event', async () => {
    const channel = new Channel<number>();
    const server = await serve(
      (app) =>
        app.get('/', () =>
          channel.filter((n) => {
            if (n === 2) throw new Error('boom');
            return true;
          }),
        ),
      { onError: () => event('sorry', '') },
    );
    const client = await server.openStream('/');

    const a = await channel.publish(1);
    await client.untilText('data: 1');
    await channel.publish(2);

    expect(events(await client.ended())).toBe(`${frame(a, '1')}event: sorry\ndata: \n\n`);
    expect(await server.errorsHandled(1)).toHaveLength(1);
  });
});

describe('end()', () => {
  it.each([
    ['nothing', undefined, END],
    ['data', { rows: 2 }, 'event: end\nid: ~end\ndata: {"rows":2}\n\n'],
    ['a string of several lines', 'a\nb', 'event: end\nid: ~end\ndata: a\ndata: b\n\n'],
    ['null', null, 'event: end\nid: ~end\ndata: null\n\n'],
    [
      'a named event',
      event('done', 1, { retry: 9, comment: 'c' }),
      ': c\nevent: done\nid: ~end\nretry: 9\ndata: 1\n\n',
    ],
  ])('with %s sends the last frame to present and later clients', async (_name, value, last) => {
    const channel = new Channel();
    const server = await serve((app) => app.get('/', () => channel));
    const present = await server.openStream('/');

    const a = await channel.publish('a');
    await channel.end(value);
    const late = await server.openStream('/');
    const back = await reopen(server, a);

    expect(events(await present.ended())).toBe(frame(a, 'a') + last);
    expect(await late.ended()).toBe(frame(a, 'a') + last);
    expect(await back.ended()).toBe(last);
    expect(channel.size).toBe(0);
  });

  it('can be called again after it has rejected', async () => {
    const channel = new Channel();

    await expect(channel.end(1n)).rejects.toMatchObject({ code: 'ERR_SSE_INVALID_DATA' });
    await expect(channel.end(event('x', 1, { id: 1 }))).rejects.toMatchObject({
      code: 'ERR_SSE_INVALID_EVENT',
    });
    await channel.end(1);

    await expect(channel.end(1)).rejects.toMatchObject({ code: 'ERR_SSE_CHANNEL_CLOSED' });
  });

  it('is retained with maxEvents: 1', async () => {
    const channel = new Channel({ log: memoryLog({ maxEvents: 1 }) });
    const a = await channel.publish(1);
    await channel.end('over');
    const server = await serve((app) => app.get('/', () => channel));

    const back = await reopen(server, a);

    expect(await back.ended()).toBe('event: end\nid: ~end\ndata: over\n\n');
  });

  it('is an ordinary event with the route option end: reconnect, which treats ~end as an ordinary id', async () => {
    const channel = new Channel();
    const server = await serve((app) => app.get('/', () => channel), { end: 'reconnect' });
    const present = await server.openStream('/');

    const a = await channel.publish('a');
    await channel.end('over');
    const late = await reopen(server, '~end');
    const body = events(await present.ended());

    // Without an id: a client that resumed after the last entry would wait for a next one.
    const all = `${frame(a, 'a')}data: over\n\n`;
    expect([body, present.lastEventId]).toEqual([all, a]);
    expect([late.status, await late.ended()]).toEqual([200, gap('~end', a) + all]);
  });

  it('sends nothing to a stream that sse.close() has ended', async () => {
    const channel = new Channel();
    const server = await serve((app) => app.get('/', () => channel));
    const client = await server.openStream('/');

    const closed = server.sse.close({ spreadMs: 0 });
    await client.ended();
    await channel.end('over');
    await closed;

    expect(events(client.text)).toBe('');
  });
});

describe('close()', () => {
  it('also ends later streams, and always returns the same promise', async () => {
    const channel = new Channel();
    const server = await serve((app) => {
      app.get('/', () => channel);
      app.get('/filter', () => channel.filter(() => true));
    });
    await channel.publish(1);

    const closing = channel.close();
    const bodies = await Promise.all(
      ['/', '/filter'].map(async (path) => (await server.openStream(path)).ended()),
    );

    expect(channel.close()).toBe(closing);
    expect(bodies.map(events)).toEqual(['', '']);
    expect([channel.size, server.errors]).toEqual([0, []]);
  });

  it('after end() does not prevent clients from receiving the end', async () => {
    const channel = new Channel();
    const a = await channel.publish(1);
    await channel.end();
    const server = await serve((app) => app.get('/', () => channel));

    const client = await reopen(server, a);
    await channel.close();

    expect(await client.ended()).toBe(END);
  });

  it('ends the streams of many subscribers', async () => {
    const channel = new Channel();
    const server = await serve((app) => app.get('/', () => channel));
    const clients = await Promise.all(Array.from({ length: 50 }, () => server.openStream('/')));

    await channel.close();

    expect(channel.size).toBe(0);
    for (const client of clients) expect(events(await client.ended())).toBe('');
  });
});

describe('publish()', () => {
  it.each([
    ['undefined', undefined, 'ERR_SSE_INVALID_DATA'],
    ['a function', () => 1, 'ERR_SSE_INVALID_DATA'],
    ['a symbol', Symbol('x'), 'ERR_SSE_INVALID_DATA'],
    ['a bigint', 1n, 'ERR_SSE_INVALID_DATA'],
    ['binary data', new Uint8Array(2), 'ERR_SSE_INVALID_DATA'],
    ['a promise', Promise.resolve(1), 'ERR_SSE_INVALID_DATA'],
    ['another channel', new Channel(), 'ERR_SSE_INVALID_DATA'],
    ['a comment', comment('c'), 'ERR_SSE_INVALID_EVENT'],
    ['an event with an id', event('x', 1, { id: 0 }), 'ERR_SSE_INVALID_EVENT'],
    ['an event with an empty id', event('x', 1, { id: '' }), 'ERR_SSE_INVALID_EVENT'],
    ['an event whose data JSON refuses', event('x', { n: 1n }), 'ERR_SSE_INVALID_DATA'],
  ])('rejects %s, and accepts later values', async (_name, value, code) => {
    const channel = new Channel({ replay: true });

    await expect(channel.publish(value)).rejects.toMatchObject({ name: 'TypeError', code });
    await channel.publish('next');

    expect((await channel.subscribe().next()).value).toMatchObject({ data: 'next' });
  });

  it.each([
    ['publish', 'price', { symbol: 'ACME' }, "got a second one: { symbol: 'ACME' } (object). Use event('price', data)."],
    ['publish', 'price', null, "got a second one: null. Use event('price', data)."],
    ['publish', { symbol: 'ACME' }, 'price', "got a second one: 'price' (string). Use event(type, data)."],
    ['end', 'done', { rows: 2 }, "got a second one: { rows: 2 } (object). Use event('done', data)."],
  ] as const)('takes one value: %s(%p, %p) rejects, and changes nothing', async (method, first, second, message) => {
    const channel = new Channel({ replay: true });
    const untyped = channel as unknown as Record<typeof method, (...all: unknown[]) => Promise<unknown>>;

    await expect(untyped[method](first, second)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_SSE_INVALID_EVENT',
      message: expect.stringContaining(`Expected ${method}() to get one value, ${message}`),
    });
    await channel.publish('next');

    expect((await channel.subscribe().next()).value).toMatchObject({ data: 'next' });
  }); // biome-ignore format: table

  it.each([
    ['end()', (channel: Channel) => channel.end(), 'ENDED'],
    ['close()', (channel: Channel) => channel.close(), 'CLOSED'],
  ])('rejects after %s, and names the state', async (_name, stop, state) => {
    const channel = new Channel();
    await stop(channel);

    const refused = expect.objectContaining({
      name: 'SseError',
      code: 'ERR_SSE_CHANNEL_CLOSED',
      message: expect.stringContaining(
        `Cannot publish: the channel is ${state}`.replace('is ENDED', 'has ENDED'),
      ),
    });
    await expect(channel.publish(1)).rejects.toEqual(refused);
    await expect(channel.end()).rejects.toEqual(refused);
  });

  it('assigns a new id to an event of another channel', async () => {
    const [one, other] = [new Channel({ replay: true }), new Channel({ replay: true })];
    await one.publish(event('tick', { n: 1 }, { retry: 5, comment: 'c' }));
    await other.publish('before');
    const { value } = await one.subscribe().next();

    const id = await other.publish(value);

    const copies = other.subscribe();
    await copies.next();
    const { value: copy } = await copies.next();
    expect(copy).toMatchObject({ type: 'tick', data: { n: 1 }, retry: 5, comment: 'c', id });
    expect(id).toMatch(/-2$/);
    await copies.return();
  });

  it('serializes each value once, regardless of the route options', async () => {
    const serialize = jest.fn((data: unknown) => `<${JSON.stringify(data)}>\n`);
    const channel = new Channel({ serialize });
    const server = await serve((app) => app.get('/', () => channel), { serialize: () => 'not this' });
    const clients = await Promise.all([server.openStream('/'), server.openStream('/')]);

    const id = await channel.publish({ n: 1 });
    for (const client of clients) await client.untilText('\ndata: \n\n');

    expect(clients.map(({ text }) => events(text))).toEqual(
      Array(2).fill(`id: ${id}\ndata: <{"n":1}>\ndata: \n\n`),
    );
    expect(serialize).toHaveBeenCalledTimes(1);
  });

  it('assigns ascending ids, with one epoch per channel', async () => {
    const [a, b] = [new Channel(), new Channel()];
    const ids = await Promise.all([a.publish(1), a.publish(2), b.publish(1)]);
    const [epochA, epochB] = [ids[0]?.split('-')[0], ids[2]?.split('-')[0]];

    expect(ids).toEqual([`${epochA}-1`, `${epochA}-2`, `${epochB}-1`]);
    expect(epochA).not.toBe(epochB);
  });
});

describe('the options of a channel', () => {
  it.each([
    [{ overflow: 'drop' }, "Expected overflow to be 'disconnect' or 'skip', got 'drop' (string)."],
    [{ overflow: true }, 'Expected overflow to be'],
    [{ replay: 'yes' }, 'Expected replay to be true or false'],
    [{ serialize: 'json' }, 'Expected serialize to be a function'],
    [{ parse: null }, 'Expected parse to be a function'],
    [{ log: {} }, 'Expected log to be an event log'],
    [{ log: memoryLog }, 'Expected log to be an event log'],
    [{ overflows: 'skip' }, "Did you mean 'overflow'?"],
    [{ ttlMs: 5 }, "Unknown option 'ttlMs'."],
  ])('%p is refused', (options, message) => {
    expect(() => new Channel(options as ChannelOptions)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_OPTION',
        message: expect.stringContaining(message),
      }),
    );
  });
});

describe('keep-alives', () => {
  const KEEP_ALIVE = ': keep-alive\n\n';

  it('contain each new position once while a filter accepts no event', async () => {
    const channel = new Channel<number>();
    const server = await serve((app) => app.get('/', () => channel.filter((n) => n > 2)), {
      keepAliveMs: 16,
    });
    const client = await server.openStream('/');

    await channel.publish(1);
    const b = await channel.publish(2);
    await client.untilText(`: keep-alive\nid: ${b}\n\n${KEEP_ALIVE}`);
    const c = await channel.publish(3);
    await client.untilText(`data: 3\n\n${KEEP_ALIVE}`);

    expect(client.text.split(`id: ${b}\n`)).toHaveLength(2);
    expect(client.text.split(`id: ${c}\n`)).toHaveLength(2);
  });

  it('contain no id without a filter', async () => {
    const channel = new Channel<number>();
    const server = await serve((app) => app.get('/', () => channel), { keepAliveMs: 16 });
    const client = await server.openStream('/');

    const a = await channel.publish(1);
    await client.untilText(KEEP_ALIVE + KEEP_ALIVE);

    expect(events(client.text).replaceAll(KEEP_ALIVE, '')).toBe(frame(a, '1'));
  });

  it('prevent a false gap if a filter rarely accepts events', async () => {
    const channel = new Channel<number>({ log: memoryLog({ maxEvents: 3 }) });
    const server = await serve((app) => app.get('/', () => channel.filter((n) => n === 100)), {
      keepAliveMs: 16,
    });
    const client = await server.openStream('/');

    for (let n = 0; n < 20; n++) await channel.publish(n);
    await client.untilText(`id: ${positionOf(channel)}`);
    client.drop();
    const hit = await channel.publish(100);
    const back = await reopen(
      server,
      client.text
        .match(/id: (.*)\n/g)
        ?.at(-1)
        ?.slice(4, -1) as string,
    );
    await back.untilText('data: 100');

    expect(back.text).toBe(frame(hit, '100'));
  });
});

describe('the response of a channel', () => {
  it('is compressed with compress: true, and each batch is sent immediately', async () => {
    const channel = new Channel();
    const server = await serve((app) => app.get('/', () => channel), {
      compress: true,
      outermost: [compression({ threshold: 0 })],
      foreignListeners: 1,
    });
    const headers = { Accept: 'text/event-stream', 'Accept-Encoding': 'gzip' };
    const request = httpGet(server.url('/'), { headers, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const text = response.pipe(createGunzip()).setEncoding('utf8');
    let body = '';
    text.on('data', (part: string) => {
      body += part;
    });

    const ids = [];
    for (const each of ['a', 'b']) {
      ids.push(await channel.publish(each));
      while (!body.includes(`data: ${each}`)) await once(text, 'data');
    }
    await channel.end();
    await once(text, 'end');

    expect(response.headers['content-encoding']).toBe('gzip');
    expect(events(body)).toBe(frame(ids[0] as string, 'a') + frame(ids[1] as string, 'b') + END);
  });

  it('is not chunked on HTTP/1.0', async () => {
    const channel = new Channel({ replay: true });
    const a = await channel.publish('a');
    const server = await serve((app) => app.get('/', () => channel));

    const wire = await Wire.open(server.port, get('/', '', '1.0'));
    await wire.until('data: a');
    const b = await channel.publish('ü');
    await wire.until('data: ü');
    await channel.end();
    await wire.ended();

    expect(wire.body).toBe(frame(a, 'a') + frame(b, 'ü') + END);
  });

  it('has one chunk for all events published in one turn', async () => {
    const channel = new Channel();
    const server = await serve((app) => app.get('/', () => channel));
    const wire = await Wire.open(server.port, get());
    while (channel.size === 0) await setImmediate();
    await wire.until('\n\n\r\n');

    const ids = await Promise.all(['a', 'ü'].map((each) => channel.publish(each)));
    await wire.until('data: ü');

    const frames = frame(ids[0] as string, 'a') + frame(ids[1] as string, 'ü');
    expect(wire.text).toContain(`\r\n${Buffer.byteLength(frames).toString(16)}\r\n${frames}\r\n`);
    await channel.close();
  });

  it('can be larger than one write', async () => {
    const channel = new Channel({ replay: true });
    const text = 'x'.repeat(50_000);
    const frames = [];
    for (let n = 0; n < 20; n++) frames.push(frame(await channel.publish(text + n), text + n));
    const server = await serve((app) => app.get('/', () => channel));

    const client = await server.openStream('/');
    await channel.end();

    expect((await client.ended()) === frames.join('') + END).toBe(true);
  });
});

describe('the streams of a channel', () => {
  it('end immediately with sse.close(), without ~end, and their clients lose no event', async () => {
    const channel = new Channel();
    const first = await serve((app) => app.get('/', () => channel));
    const second = await serve((app) => app.get('/', () => channel));
    const client = await first.openStream('/');
    const a = await channel.publish('a');
    await client.untilText('data: a');

    await first.sse.close({ spreadMs: 0, graceMs: 60_000 });
    const b = await channel.publish('b');
    const back = await reopen(second, a);
    await back.untilText('data: b');

    expect(events(await client.ended())).toBe(frame(a, 'a'));
    back.drop();
    await emptied(channel as Channel<never>);

    expect(back.text).toBe(frame(b, 'b'));
    expect([first.sse.size, second.sse.size]).toEqual([0, 0]);
  });

  it('end after maxDurationMs, also while events are published', async () => {
    const channel = new Channel<number>();
    const server = await serve((app) => app.get('/', () => channel), { maxDurationMs: 40 });
    const ids: string[] = [];
    let publishing = true;
    const published = (async () => {
      for (let n = 0; publishing; n++) {
        ids.push(await channel.publish(n));
        await setImmediate();
      }
    })();

    const client = await server.openStream('/');
    const body = events(await client.ended());
    publishing = false;
    await published;

    const [, firstId = ''] = body.match(/^id: (.*)\n/) ?? [];
    const from = ids.indexOf(firstId);
    const count = body.split('\n\n').length - 1;
    expect(body).toBe(
      ids
        .slice(from, from + count)
        .map((id, index) => frame(id, `${from + index}`))
        .join(''),
    );
    expect([server.errors, channel.size]).toEqual([[], 0]);
  });

  it('end immediately with sse.close(), also if a generator reads the channel', async () => {
    const channel = new Channel();
    const finished = new Gate();
    const server = await serve((app) =>
      app.get('/', async function* (_req, res) {
        try {
          yield* channel.subscribe(res.sse);
        } finally {
          finished.open();
        }
      }),
    );
    const client = await server.openStream('/');
    const a = await channel.publish('a');
    await client.untilText('data: a');

    await server.sse.close({ spreadMs: 0, graceMs: 60_000 });
    await finished.promise;

    expect(events(await client.ended())).toBe(frame(a, 'a'));
    expect([server.errors, channel.size]).toEqual([[], 0]);
  });
});

describe('a generator around a channel', () => {
  it('that catches the error of close() continues', async () => {
    const channel = new Channel();
    const server = await serve((app) =>
      app.get('/', async function* (_req, res) {
        try {
          yield* channel.subscribe(res.sse);
        } catch (error) {
          yield (error as { code: string }).code;
        }
        return 'done';
      }),
    );
    const client = await server.openStream('/');

    await channel.publish(1);
    await client.untilText('data: 1');
    await channel.close();

    expect(await client.ended()).toContain(
      'data: ERR_SSE_CHANNEL_CLOSED\n\nevent: end\nid: ~end\ndata: done\n\n',
    );
  });

  it('ends without ~end and without next(err) when the log is trimmed past it', async () => {
    const channel = new Channel<number>({ log: memoryLog({ maxEvents: 2 }) });
    const [waiting, go] = [new Gate(), new Gate()];
    const server = await serve((app) =>
      app.get('/', async function* (_req, res) {
        for await (const each of channel.subscribe(res.sse)) {
          yield each;
          waiting.open();
          await go.promise;
        }
      }),
    );
    const client = await server.openStream('/');

    const a = await channel.publish(1);
    await waiting.promise;
    for (const n of [2, 3, 4]) await channel.publish(n);
    go.open();

    expect(events(await client.ended())).toBe(frame(a, '1'));
    expect([server.errors, channel.size]).toEqual([[], 0]);
  });

  it('receives a gap instead with overflow: skip', async () => {
    const channel = new Channel<number>({ overflow: 'skip', log: memoryLog({ maxEvents: 2 }) });
    const [waiting, go] = [new Gate(), new Gate()];
    const server = await serve((app) =>
      app.get('/', async function* (_req, res) {
        for await (const each of channel.subscribe(res.sse)) {
          yield each;
          waiting.open();
          await go.promise;
        }
      }),
    );
    const client = await server.openStream('/');

    const a = await channel.publish(1);
    await waiting.promise;
    const ids: string[] = [];
    for (const n of [2, 3, 4]) ids.push(await channel.publish(n));
    go.open();
    await client.untilText('data: 4');

    const [, c = '', d = ''] = ids;
    expect(events(client.text)).toBe(frame(a, '1') + gap(a, c) + frame(c, '3') + frame(d, '4'));
  });
});

describe('a subscription that a route returns', () => {
  it('ends the response when its own signal aborts', async () => {
    const channel = new Channel();
    const controller = new AbortController();
    const server = await serve((app) =>
      app.get('/', (_req, res) =>
        channel.subscribe({ lastEventId: res.sse.lastEventId, signal: controller.signal }),
      ),
    );
    const client = await server.openStream('/');

    controller.abort();
    await channel.publish('for the remaining subscribers');
    await emptied(channel as Channel<never>);

    expect(events(await client.ended())).toBe('');
  });

  it('ends the response when its return() is called', async () => {
    const channel = new Channel();
    const subscriptions: Array<AsyncIterator<unknown>> = [];
    const server = await serve((app) =>
      app.get('/', (_req, res) => {
        const subscription = channel.subscribe(res.sse);
        subscriptions.push(subscription);
        return subscription;
      }),
    );
    const client = await server.openStream('/');

    await subscriptions[0]?.return?.();

    await client.ended();
    expect([channel.size, server.sse.size]).toEqual([0, 0]);
  });
});
