import { setImmediate } from 'node:timers/promises';
import { Channel, comment, event, memoryLog, type Subscribable } from '../../lib';
import { releaseAll, serve } from '../support/serve';
import { Store, StoredLog } from '../support/stored-log';

afterEach(releaseAll);

interface Price {
  readonly symbol: string;
  readonly price: number;
}

const END = 'event: end\nid: ~end\ndata: null\n\n';

const toResult = (params: Price) => ({ jsonrpc: '2.0', method: 'price', params });

async function published(log = memoryLog()): Promise<{ channel: Channel<Price>; ids: string[] }> {
  const channel = new Channel<Price>({ log });
  const ids: string[] = [];
  for (const price of [1, 2, 3]) ids.push(await channel.publish({ symbol: 'ACME', price }));
  return { channel, ids };
}

function serveMapped(part: (channel: Channel<Price>) => Subscribable<unknown>, channel: Channel<Price>) {
  return serve((app) => app.get('/', () => part(channel)));
}

describe('map()', () => {
  it('sends what the function returns, with the ids of the events, and the end unchanged', async () => {
    const { channel, ids } = await published();
    const server = await serveMapped((prices) => prices.map(toResult), channel);

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': ids[0] as string } });
    const live = await channel.publish({ symbol: 'XYZ', price: 9 });
    await channel.end({ symbol: 'ACME', price: 0 });

    const frame = (id: string | undefined, symbol: string, price: number) =>
      `id: ${id}\ndata: {"jsonrpc":"2.0","method":"price","params":{"symbol":"${symbol}","price":${price}}}\n\n`;
    expect(await client.ended()).toBe(
      frame(ids[1], 'ACME', 2) +
        frame(ids[2], 'ACME', 3) +
        frame(live, 'XYZ', 9) +
        'event: end\nid: ~end\ndata: {"symbol":"ACME","price":0}\n\n',
    );
    expect([server.errors, channel.size]).toEqual([[], 0]);
  });

  it('receives the data and the event with its type and id', async () => {
    const channel = new Channel<Price>({ replay: true });
    const id = await channel.publish(event('split', { symbol: 'ACME', price: 50 }));
    const part = channel.map((data, { type, id }) => [data.price, type, id]);

    expect((await part.subscribe().next()).value).toMatchObject({
      id,
      type: undefined,
      data: [50, 'split', id],
    });
    await channel.close();
  });

  it('sets the type, reconnection time and comment of an event that the function returns', async () => {
    const { channel, ids } = await published();
    const server = await serveMapped(
      (prices) => prices.map(({ price }) => event('next', `${price}\n`, { retry: 5, comment: 'why' })),
      channel,
    );

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': ids[1] as string } });
    await channel.end();

    expect(await client.ended()).toBe(
      `: why\nevent: next\nid: ${ids[2]}\nretry: 5\ndata: 3\ndata: \n\n${END}`,
    );
  });

  it('may return the event that it receives', async () => {
    const channel = new Channel<Price>({ replay: true });
    const id = await channel.publish(event('split', { symbol: 'ACME', price: 50 }));
    const server = await serveMapped((prices) => prices.map((_data, event) => event), channel);

    const client = await server.openStream('/');
    await channel.end();

    expect(await client.ended()).toBe(
      `event: split\nid: ${id}\ndata: {"symbol":"ACME","price":50}\n\n${END}`,
    );
  });

  it('passes a gap unchanged', async () => {
    const { channel, ids } = await published();
    const server = await serveMapped((prices) => prices.map(() => 'mapped'), channel);

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': 'unknown' } });
    await channel.end();

    const gap = `event: gap\ndata: ${JSON.stringify({ lastEventId: 'unknown', oldest: ids[0] })}\n\n`;
    expect(await client.ended()).toBe(
      `${gap}${ids.map((id) => `id: ${id}\ndata: mapped\n\n`).join('')}${END}`,
    );
  });

  it.each<[string, (prices: Channel<Price>) => Subscribable<unknown>, string[]]>([
    [
      'before',
      (prices) => prices.filter(({ price }) => price > 1).map(({ price }) => price * 10),
      ['20', '30'],
    ],
    ['after', (prices) => prices.map(({ price }) => price * 10).filter((price) => price > 10), ['20', '30']],
    [
      'between',
      (prices) =>
        prices
          .map(({ price }) => ({ price }))
          .filter(({ price }) => price !== 2)
          .map(({ price }) => `${price}!`),
      ['1!', '3!'],
    ],
  ])('combines with a filter %s it', async (_where, part, expected) => {
    const { channel } = await published();
    const server = await serveMapped(part, channel);

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': 'unknown' } });
    await channel.end();

    expect(
      [...(await client.ended()).matchAll(/^id: (?!~end).*\ndata: (.+)$/gm)].map(([, data]) => data),
    ).toEqual(expected);
  });

  it('gives iterators the data as it is sent, and the closing value of the channel', async () => {
    const { channel, ids } = await published();
    await channel.end({ symbol: 'ACME', price: 0 });
    const subscription = channel
      .map(({ price }) => event('at', { price, at: new Date(0) }))
      .subscribe({ lastEventId: ids[1] as string });

    expect(await subscription.next()).toMatchObject({
      value: { type: 'at', id: ids[2], data: { price: 3, at: '1970-01-01T00:00:00.000Z' } },
    });
    expect(await subscription.next()).toEqual({ done: true, value: { symbol: 'ACME', price: 0 } });
  });

  it('uses the serialize and parse options of the channel', async () => {
    const channel = new Channel<Price>({
      replay: true,
      serialize: (data) => `<${JSON.stringify(data)}>`,
      parse: (text) => JSON.parse(text.slice(1, -1)),
    });
    const id = await channel.publish({ symbol: 'ACME', price: 5 });
    const server = await serveMapped((prices) => prices.map(({ price }) => ({ price })), channel);

    const client = await server.openStream('/');
    await client.untilText('\n\n');

    expect(client.text).toBe(`id: ${id}\ndata: <{"price":5}>\n\n`);
  });

  it('lets a client of a route resume, also through yield*', async () => {
    const { channel, ids } = await published();
    const part = channel.map(({ price }) => price);
    const server = await serve((app) =>
      app.get('/', async function* (_req, res) {
        return yield* part.subscribe(res.sse);
      }),
    );

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': ids[1] as string } });
    await channel.end();

    expect(await client.ended()).toBe(`id: ${ids[2]}\ndata: 3\n\n${END}`);
  });

  it('reads older events of a log that the process does not hold in memory', async () => {
    const channel = new Channel<number>({ log: new StoredLog(new Store(1_000), 5) });
    const first = await channel.publish(-1);
    for (let n = 0; n < 500; n++) await channel.publish(n);
    const server = await serve((app) => app.get('/', () => channel.map((n) => n * 2)));

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': first } });
    await channel.end();

    const frames = Array.from({ length: 500 }, (_, n) => `id: n${n + 2}\ndata: ${n * 2}\n\n`);
    expect((await client.ended()).replace(/^: \n\n/, '')).toBe(frames.join('') + END);
  });

  it.each([undefined, null, 'x', {}])('refuses %p', (map) => {
    const channel = new Channel();

    for (const part of [channel, channel.filter(() => true)]) {
      expect(() => part.map(map as never)).toThrow(
        expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_MAP' }),
      );
    }
  });

  it.each([
    ['undefined', () => undefined, 'ERR_SSE_INVALID_DATA'],
    ['a function', () => () => 1, 'ERR_SSE_INVALID_DATA'],
    ['a BigInt', () => 1n, 'ERR_SSE_INVALID_DATA'],
    ['a comment', () => comment('x'), 'ERR_SSE_INVALID_MAP'],
    ['an event with an id', () => event('x', 1, { id: 5 }), 'ERR_SSE_INVALID_MAP'],
  ])('fails the stream of its subscriber if the function returns %s', async (_what, map, code) => {
    const { channel } = await published();
    const server = await serve((app) => {
      app.get('/', () => channel.map<unknown>(map));
      app.get('/all', () => channel);
    });
    const unaffected = await server.openStream('/all');

    const client = await server.openStream('/', { headers: { 'Last-Event-ID': 'unknown' } });
    await client.ended();
    await channel.publish({ symbol: 'ACME', price: 4 });
    await unaffected.untilText('"price":4');

    expect(server.errors).toEqual([expect.objectContaining({ name: 'TypeError', code })]);
    expect(channel.size).toBe(1);
  });

  it('delivers the earlier events before the error that the function throws', async () => {
    const { channel, ids } = await published();
    const boom = new Error('boom');
    const subscription = channel
      .map(({ price }) => {
        if (price === 3) throw boom;
        return price;
      })
      .subscribe({ lastEventId: ids[0] as string });

    expect(await subscription.next()).toMatchObject({ value: { data: 2 } });
    await expect(subscription.next()).rejects.toBe(boom);
    expect(channel.size).toBe(0);
  });
});

describe('a map function that several subscribers use', () => {
  it('is called once for each event, and its result is encoded once', async () => {
    const map = jest.fn(toResult);
    const serialize = jest.fn(JSON.stringify);
    const channel = new Channel<Price>({ serialize });
    const server = await serve((app) => {
      app.get('/', () => channel.map(map));
      app.get('/:symbol', ({ params }) => channel.filter(({ symbol }) => symbol === params.symbol).map(map));
    });
    const paths = [...Array(30).fill('/'), '/ACME', '/ACME', '/XYZ'];
    const clients = await Promise.all(paths.map((path) => server.openStream(path)));
    while (channel.size < paths.length) await setImmediate();

    for (const symbol of ['ACME', 'XYZ']) await channel.publish({ symbol, price: 1 });
    await channel.end();
    const bodies = await Promise.all(clients.map((client) => client.ended()));

    const events = bodies.map((body) => [...body.matchAll(/"symbol":"(\w+)"/g)].map(([, symbol]) => symbol));
    expect(events).toEqual([...Array(30).fill(['ACME', 'XYZ']), ['ACME'], ['ACME'], ['XYZ']]);
    expect(map).toHaveBeenCalledTimes(2);
    // Twice to publish, once for each mapped event, and the closing event has no data.
    expect(serialize).toHaveBeenCalledTimes(4);
  });

  it('is called once for each event of a chain of map functions', async () => {
    const [first, second] = [jest.fn(({ price }: Price) => ({ price })), jest.fn(({ price }) => price)];
    const channel = new Channel<Price>();
    const server = await serve((app) => app.get('/', () => channel.map(first).map(second)));
    const clients = await Promise.all(Array.from({ length: 10 }, () => server.openStream('/')));
    while (channel.size < 10) await setImmediate();

    await channel.publish({ symbol: 'ACME', price: 7 });
    for (const client of clients) await client.untilText('data: 7\n');

    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 1]);
  });

  it('fails all of them with the error that it throws, and no other subscriber', async () => {
    const channel = new Channel<Price>();
    const map = ({ price }: Price) => {
      if (price === 2) throw new Error('boom');
      return price;
    };
    const server = await serve((app) => {
      app.get('/', () => channel.map(map));
      app.get('/all', () => channel);
    });
    const clients = await Promise.all([server.openStream('/'), server.openStream('/')]);
    const unaffected = await server.openStream('/all');
    while (channel.size < 3) await setImmediate();

    for (const price of [1, 2, 3]) await channel.publish({ symbol: 'ACME', price });
    await unaffected.untilText('"price":3');

    for (const client of clients) expect(await client.ended()).toMatch(/data: 1\n\n$/);
    expect([channel.size, server.errors.map((error) => (error as Error).message)]).toEqual([
      1,
      ['boom', 'boom'],
    ]);
  });

  it('is one that each request makes anew if it is written in the route', async () => {
    const map = jest.fn(toResult);
    const channel = new Channel<Price>();
    const server = await serve((app) => app.get('/', () => channel.map((data) => map(data))));
    const clients = await Promise.all([server.openStream('/'), server.openStream('/')]);
    while (channel.size < 2) await setImmediate();

    await channel.publish({ symbol: 'ACME', price: 1 });
    for (const client of clients) await client.untilText('jsonrpc');

    expect(map).toHaveBeenCalledTimes(2);
  });
});
