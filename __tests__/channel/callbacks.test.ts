import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import type { Request, Response } from 'express';
import {
  Channel,
  type ChannelEvent,
  event,
  type MemoryLogOptions,
  memoryLog,
  type Subscribable,
} from '../../lib';
import { releaseAll, serve } from '../support/serve';

afterEach(releaseAll);

/** Two turns of the event loop: Jest fails the test in which Node reports an unhandled rejection. */
async function noRejection(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

interface Note {
  readonly to: string;
}

const RESULTS: Array<[string, () => unknown]> = [
  ['a promise of true', async () => true],
  ['a promise of false', async () => false],
  ['a promise that rejects', async () => Promise.reject(new Error('away'))],
  // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
  ['a thenable', () => ({ then: (resolve: (value: boolean) => void) => resolve(true) })],
  [
    'a thenable that throws',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
      then() {
        throw new Error('away');
      },
    }),
  ],
  // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
  ['a callable thenable', () => Object.assign(() => true, Promise.resolve(true), { then: () => undefined })],
];

/** Truthy results that only a filter must refuse, because they are not its answer. */
const UNCALLED: Array<[string, () => unknown]> = [
  ['a function', () => () => false],
  [
    'a generator',
    function* () {
      yield false;
    },
  ],
  [
    'an async generator',
    async function* () {
      yield false;
    },
  ],
];

type Callback = (data: Note) => unknown;

const SHAPES: Array<[string, (part: Subscribable<Note>) => (req: Request, res: Response) => unknown]> = [
  ['a route returns it', (part) => () => part],
  [
    'a generator delegates to it',
    (part) =>
      async function* (_req, res) {
        return yield* part.subscribe(res.sse);
      },
  ],
];

describe.each(SHAPES)('a callback that returns a promise, if %s', (_shape, route) => {
  async function failureOf(part: (channel: Channel<Note>) => Subscribable<Note>, options = {}) {
    const channel = new Channel<Note>({ replay: true, ...options });
    await channel.publish({ to: 'alice' });
    const server = await serve((app) => {
      app.get('/', route(part(channel)) as never);
      app.get('/all', () => channel);
    });
    const unaffected = await server.openStream('/all');
    const client = await server.openStream('/');
    const body = await client.ended();
    await channel.publish({ to: 'bob' });
    await unaffected.untilText('bob');
    return { status: client.status, body, errors: server.errors, size: channel.size };
  }

  it.each([...RESULTS, ...UNCALLED])(
    'fails the stream of a filter that returns %s, which shows nothing',
    async (_what, result) => {
      const filter = result as unknown as (data: Note) => boolean;

      const { status, body, errors, size } = await failureOf((channel) => channel.filter(filter));

      expect([status, size, body]).toEqual([500, 1, expect.not.stringContaining('"to"')]);
      expect(errors).toEqual([
        expect.objectContaining({
          name: 'TypeError',
          code: 'ERR_SSE_INVALID_FILTER',
          message: expect.stringContaining('a filter'),
        }),
      ]);
      await noRejection();
    },
  );

  it.each(RESULTS)('fails the stream of a map function that returns %s', async (_what, result) => {
    const { status, errors, size } = await failureOf(
      (channel) => channel.map(result as Callback) as Subscribable<Note>,
    );

    expect([status, size]).toEqual([500, 1]);
    expect(errors).toEqual([expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_MAP' })]);
    await noRejection();
  });

  it.each(RESULTS)('fails the stream of a filter whose data parse() makes as %s', async (_what, parse) => {
    const { status, errors, size } = await failureOf((channel) => channel.filter(() => true), { parse });

    expect([status, size]).toEqual([500, 1]);
    expect(errors).toEqual([expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_DATA' })]);
    await noRejection();
  });
});

it.each(RESULTS)('publish() rejects if serialize() returns %s', async (_what, serialize) => {
  const channel = new Channel({ serialize: serialize as unknown as () => string });

  await expect(channel.publish({})).rejects.toMatchObject({
    name: 'TypeError',
    code: 'ERR_SSE_INVALID_DATA',
  });
  await expect(channel.end({})).rejects.toMatchObject({ code: 'ERR_SSE_INVALID_DATA' });
  await noRejection();
});

it('a filter may return a truthy value that is no boolean, such as the result of match()', async () => {
  const channel = new Channel<string>({ replay: true });
  for (const text of ['apple', 'pear', 'apricot']) await channel.publish(text);
  const part = channel.filter((text) => text.match(/^ap/) as unknown as boolean);

  const subscription = part.subscribe();

  expect([(await subscription.next()).value, (await subscription.next()).value]).toMatchObject([
    { data: 'apple' },
    { data: 'apricot' },
  ]);
  await subscription.return();
});

const user = new AsyncLocalStorage<string>();

/** Serves each request as the user that its path names. */
function serveUsers(route: (req: Request, res: Response) => unknown) {
  return serve((app) => {
    app.use((req, _res, next) => user.run(req.path.slice(1), next));
    app.get('/:user', route as never);
  });
}

describe('the AsyncLocalStorage context', () => {
  const PARTS: Array<[string, (channel: Channel<Note>) => Subscribable<unknown>]> = [
    ['a filter', (channel) => channel.filter(({ to }) => to === user.getStore())],
    [
      'the second of two filters',
      (channel) => channel.filter(() => true).filter(({ to }) => to === user.getStore()),
    ],
    [
      'a filter after a map',
      (channel) => channel.map((data) => data).filter(({ to }) => to === user.getStore()),
    ],
    [
      'a filter before a map',
      (channel) => channel.filter(({ to }) => to === user.getStore()).map(({ to }) => ({ to })),
    ],
  ];

  describe.each(SHAPES)('if %s', (_shape, route) => {
    it.each(PARTS)('of %s is that of its own request, whoever publishes', async (_what, part) => {
      const channel = new Channel<Note>();
      const server = await serveUsers((req, res) => route(part(channel) as Subscribable<Note>)(req, res));
      const [alice, bob] = await Promise.all([server.openStream('/alice'), server.openStream('/bob')]);
      while (channel.size < 2) await setImmediate();

      await user.run('bob', () =>
        Promise.all([channel.publish({ to: 'bob' }), channel.publish({ to: 'alice' })]),
      );
      await channel.publish({ to: 'bob' });
      await channel.end();
      const [toAlice, toBob] = await Promise.all([alice.ended(), bob.ended()]);

      expect(toAlice.match(/"to":"\w+"/g)).toEqual(['"to":"alice"']);
      expect(toBob.match(/"to":"\w+"/g)).toEqual(['"to":"bob"', '"to":"bob"']);
    });

    it('of a filter is the same for a replay', async () => {
      const channel = new Channel<Note>({ replay: true });
      for (const to of ['bob', 'alice', 'bob']) await user.run('bob', () => channel.publish({ to }));
      const server = await serveUsers((req, res) =>
        route(channel.filter(({ to }) => to === user.getStore()))(req, res),
      );

      const alice = await server.openStream('/alice');
      await channel.end();

      expect((await alice.ended()).match(/"to":"\w+"/g)).toEqual(['"to":"alice"']);
    });
  });

  it('of a map function that is made in a route is that of its request', async () => {
    const channel = new Channel<Note>();
    const server = await serveUsers(() => channel.map(() => `for ${user.getStore()}`));
    const [alice, bob] = await Promise.all([server.openStream('/alice'), server.openStream('/bob')]);

    await user.run('bob', () => channel.publish({ to: 'x' }));
    await channel.end();

    expect(await alice.ended()).toContain('data: for alice\n');
    expect(await bob.ended()).toContain('data: for bob\n');
  });

  it('of a map function that several subscribers share is that of no request', async () => {
    const channel = new Channel<Note>();
    const seen: unknown[] = [];
    const shared = () => `for ${seen.push(user.getStore())}`;
    const server = await serveUsers(() => channel.map(shared));
    const clients = await Promise.all([server.openStream('/alice'), server.openStream('/bob')]);

    await user.run('bob', () => channel.publish({ to: 'x' }));
    for (const client of clients) await client.untilText('for 1');

    expect(seen).toEqual([undefined]);
  });

  it('of parse() is that of no request, because all subscribers share the result', async () => {
    const seen: unknown[] = [];
    const parse = (text: string) => {
      seen.push(user.getStore());
      return JSON.parse(text);
    };
    const channel = new Channel<Note>({ parse });
    const server = await serveUsers(() => channel.filter(() => true));
    const clients = await Promise.all([server.openStream('/alice'), server.openStream('/bob')]);

    await user.run('bob', () => channel.publish({ to: 'x' }));
    for (const client of clients) await client.untilText('"to":"x"');

    expect(seen).toEqual([undefined]);
  });

  it.each([
    ['close()', (channel: Channel<never>) => channel.close()],
    ['end()', (channel: Channel<never>) => channel.end()],
  ])('of the cleanup of a run is that in which it was made, whoever calls %s', async (_name, end) => {
    const seen: unknown[] = [];
    async function* source({ signal }: { signal: AbortSignal }) {
      signal.addEventListener('abort', () => seen.push(`signal: ${user.getStore()}`));
      try {
        for (;;) {
          yield 1;
          await setImmediate();
        }
      } finally {
        seen.push(`finally: ${user.getStore()}`);
      }
    }
    const run = user.run('alice', () => Channel.from<number>(source));
    await run.subscribe().next();

    await user.run('bob', () => end(run as Channel<never>));
    while (seen.length < 2) await setImmediate();

    expect(seen).toEqual(['signal: alice', 'finally: alice']);
  });

  it('of a hand-made iterator of a run is that in which it was made, also when the run is cancelled by ttlMs', async () => {
    const returned = new Promise((resolve) => {
      const source = {
        [Symbol.asyncIterator]: () => source,
        next: () => new Promise<IteratorResult<number>>(() => undefined),
        return: async () => {
          resolve(user.getStore());
          return { done: true as const, value: undefined };
        },
      };
      user.run('alice', () => Channel.from<number>(source, { ttlMs: 1 }));
    });

    expect(await user.run('bob', () => returned)).toBe('alice');
  });
});

describe('parsed data', () => {
  const PARSED: Array<[string, (channel: Channel<Data>, look: (data: Data) => void) => Promise<unknown>]> = [
    [
      'a filter',
      async (channel, look) => {
        const part = channel.filter((data) => {
          look(data);
          return true;
        });
        await part.subscribe().next();
      },
    ],
    [
      'a map function',
      async (channel, look) => {
        const part = channel.map((data) => {
          look(data);
          return data;
        });
        await part.subscribe().next();
      },
    ],
    [
      'an iterator',
      async (channel, look) =>
        look(((await channel.subscribe().next()).value as ChannelEvent<Data>).data as Data),
    ],
    [
      'an iterator after a map function',
      async (channel, look) => {
        const part = channel.map((data) => data);
        look(((await part.subscribe().next()).value as ChannelEvent<Data>).data as Data);
      },
    ],
  ];

  interface Data {
    user: { name: string };
    tags: string[];
  }

  it.each(PARSED)('cannot be changed by %s for the next subscriber', async (_what, read) => {
    const channel = new Channel<Data>({ replay: true });
    await channel.publish({ user: { name: 'Ada' }, tags: ['a'] });
    const changes: Array<(data: Data) => void> = [
      (data) => Object.assign(data, { user: { name: 'Bob' } }),
      (data) => {
        data.user.name = 'Bob';
      },
      (data) => data.tags.push('b'),
    ];

    for (const change of changes) {
      await read(channel, (data) => expect(() => change(data)).toThrow(TypeError));
    }

    const { value } = await channel.subscribe().next();
    expect(value).toMatchObject({ data: { user: { name: 'Ada' }, tags: ['a'] } });
    await channel.close();
  });

  it('that is nested 100,000 levels deep is frozen, too', async () => {
    const text = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const channel = new Channel<unknown[]>({ serialize: () => text, replay: true });
    await channel.publish([]);

    const { value } = await channel.subscribe().next();

    let [depth, isFrozen] = [0, true];
    for (let data = (value as ChannelEvent<unknown[]>).data as unknown[]; data.length > 0; depth++) {
      isFrozen &&= Object.isFrozen(data);
      data = data[0] as unknown[];
    }
    expect([depth, isFrozen]).toEqual([99_999, true]);
    await channel.close();
  });

  it('keeps instances of classes that parse() returns as they are', async () => {
    class Point {
      x = 0;
      readonly cycle: { self?: unknown } = {};
    }
    const channel = new Channel<Point>({ replay: true, parse: () => ({ at: new Point(), map: new Map() }) });
    await channel.publish(new Point());

    const { value } = await channel.subscribe().next();

    const { data } = value as unknown as { data: { at: Point } };
    data.at.x = 5;
    expect([Object.isFrozen(data), data.at.x]).toEqual([true, 5]);
    await channel.close();
  });
});

describe('a filter that takes 1 ms for each event', () => {
  /** Calls in one turn of the event loop: what a setImmediate callback counts. */
  class CallsPerTurn {
    max = 0;
    #calls = 0;
    #counting = false;

    count(): void {
      this.#calls++;
      this.max = Math.max(this.max, this.#calls);
      if (this.#counting) return;
      this.#counting = true;
      void setImmediate().then(() => {
        this.#calls = 0;
        this.#counting = false;
      });
    }
  }

  function busy(): void {
    const until = performance.now() + 1;
    while (performance.now() < until);
  }

  async function filled(events: number, options?: MemoryLogOptions): Promise<Channel<number>> {
    const channel = new Channel<number>({ log: memoryLog(options) });
    for (let n = 0; n < events; n++) await channel.publish(n);
    return channel;
  }

  it.each([
    ['a client with an id that was made up', 1],
    ['10 clients with ids that were made up', 10],
  ])(
    'is called at most about ten times in a turn by %s',
    async (_who, count) => {
      const channel = await filled(100);
      const calls = new CallsPerTurn();
      const server = await serve((app) =>
        app.get('/', () =>
          channel.filter((n) => {
            calls.count();
            busy();
            return n === 49;
          }),
        ),
      );

      const clients = await Promise.all(
        Array.from({ length: count }, (_, n) =>
          server.openStream('/', { headers: { 'Last-Event-ID': `made-up-${n}` } }),
        ),
      );
      for (const client of clients) await client.untilText('data: 49\n');

      // Two budgets of 5 ms can meet: of the requests, and of the turn after them.
      expect(calls.max).toBeLessThan(20);
    },
    30_000,
  );

  it('is called at most about ten times in a turn by 50 iterators', async () => {
    const channel = await filled(3);
    const calls = new CallsPerTurn();
    const part = channel.filter((n) => {
      calls.count();
      busy();
      return n === 2;
    });
    const subscriptions = Array.from({ length: 50 }, () => part.subscribe({ lastEventId: 'made-up' }));
    const gaps = await Promise.all(subscriptions.map((subscription) => subscription.next()));

    const events = await Promise.all(subscriptions.map((subscription) => subscription.next()));

    expect(gaps.map(({ value }) => (value as ChannelEvent<number>).type)).toEqual(Array(50).fill('gap'));
    expect(events.map(({ value }) => (value as ChannelEvent<number>).data)).toEqual(Array(50).fill(2));
    expect(calls.max).toBeLessThan(20);
    await channel.close();
  });

  it('leaves turns for other subscribers', async () => {
    const channel = await filled(200);
    let scanned = 0;
    const server = await serve((app) => {
      app.get('/slow', () =>
        channel.filter(() => {
          scanned++;
          busy();
          return false;
        }),
      );
      app.get('/', () => channel);
    });
    const other = await server.openStream('/');
    await server.openStream('/slow', { headers: { 'Last-Event-ID': 'made-up' } });

    const before = scanned;
    await channel.publish(-1);
    await other.untilText('data: -1\n');

    expect(scanned - before).toBeLessThan(100);
  });

  it('is called for each event once, in order', async () => {
    const channel = await filled(60);
    const seen: number[] = [];
    const subscription = channel
      .filter((n) => {
        seen.push(n);
        busy();
        return n === 59;
      })
      .subscribe({ lastEventId: 'made-up' });

    await subscription.next();
    await subscription.next();

    expect(seen).toEqual([...Array(60).keys()]);
    await subscription.return();
  });
});

it('an event is made with event() by a map function of one subscriber, and its filter sees that', async () => {
  const channel = new Channel<number>({ replay: true });
  await channel.publish(1);
  const part = channel
    .map((n) => event('next', { n }))
    .filter(({ n }, { type }) => type === 'next' && n === 1);

  expect((await part.subscribe().next()).value).toMatchObject({ type: 'next', data: { n: 1 } });
  await channel.close();
});
