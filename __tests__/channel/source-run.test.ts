import { Readable } from 'node:stream';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel, type ChannelEvent, event, memoryLog, type RunOptions, type RunSource } from '../../lib';
import { aborted, Gate } from '../support/gate';
import { releaseAll, serve } from '../support/serve';
import { LibTimers } from '../support/timers';

afterEach(releaseAll);

/** All data of a channel, followed by its end value or its error. */
async function all(channel: Channel<never>): Promise<unknown[]> {
  const subscription = (channel as Channel).subscribe();
  const data: unknown[] = [];
  for (;;) {
    const step = await subscription.next().catch((error: unknown) => ({ done: true, value: error }));
    if (step.done) return [...data, step.value];
    data.push((step.value as ChannelEvent<unknown>).data);
  }
}

const boom = new Error('boom');

/** Opens with the arguments of `process.emitWarning`. */
let warned: Gate<unknown[]>;

beforeEach(() => {
  warned = new Gate();
  jest.spyOn(process, 'emitWarning').mockImplementation((...args) => warned.open(args));
});

afterEach(() => jest.restoreAllMocks());

describe('Channel.from()', () => {
  it('sends every client all events from the beginning, and the return value as the end', async () => {
    const go = new Gate();
    const job = Channel.from(async function* () {
      yield 'a';
      yield event('tick', 1);
      await go.promise;
      yield 'b';
      return { rows: 3 };
    });
    const server = await serve((app) => app.get('/', () => job));

    const early = await server.openStream('/');
    await early.untilText('data: 1');
    go.open();
    const body = await early.ended();
    const late = await server.openStream('/');

    expect(body.replaceAll(/^id: [^~].*\n/gm, '')).toBe(
      'data: a\n\nevent: tick\ndata: 1\n\ndata: b\n\nevent: end\nid: ~end\ndata: {"rows":3}\n\n',
    );
    expect([await late.ended(), job.size]).toEqual([body, 0]);
  });

  it('continues without subscribers, and sends the rest to a client that reconnects', async () => {
    const go = new Gate();
    const job = Channel.from(async function* () {
      yield 'a';
      await go.promise;
      yield 'b';
    });
    const server = await serve((app) => app.get('/', () => job));
    const client = await server.openStream('/');
    await client.untilText('data: a');
    const [, id = ''] = client.text.match(/id: (.*)\n/) ?? [];

    client.drop();
    while (job.size > 0) await setImmediate();
    go.open();
    const back = await server.openStream('/', { headers: { 'Last-Event-ID': id } });

    expect(await back.ended()).toMatch(/^id: .*\ndata: b\n\nevent: end\nid: ~end\ndata: null\n\n$/);
  });

  it('sends a gap to a client that has missed the beginning', async () => {
    const job = Channel.from([1, 2, 3], { log: memoryLog({ maxEvents: 2 }) });

    await setImmediate();
    await setImmediate();
    const gone = job.subscribe({ lastEventId: 'gone' });

    expect((await gone.next()).value).toMatchObject({ type: 'gap', data: { lastEventId: 'gone' } });
    await gone.return();
  });

  it.each<[string, RunSource<unknown>, unknown[]]>([
    ['an array', [1, 2], [1, 2, undefined]],
    ['a set', new Set(['a']), ['a', undefined]],
    ['promises', [Promise.resolve(1), 2] as Iterable<unknown>, [1, 2, undefined]],
    [
      'a sync generator',
      (function* () {
        yield 1;
        return 2;
      })(),
      [1, 2],
    ],
    [
      'an async generator',
      (async function* () {
        yield 1;
        return 2;
      })(),
      [1, 2],
    ],
    ['a function of an array', () => [1], [1, undefined]],
    [
      'an async function of a generator',
      async () =>
        (async function* () {
          yield 1;
        })(),
      [1, undefined],
    ],
    ['a Node stream', Readable.from(['a', 'b']), ['a', 'b', undefined]],
    ['another channel', () => Channel.from([1, 2, 3]).filter((n) => n > 1), [2, 3, undefined]],
    ['nothing', [], [undefined]],
  ])('runs %s', async (_name, source, values) => {
    expect(await all(Channel.from(source) as Channel<never>)).toEqual(values);
  });

  it.each([['text'], [5], [undefined], [null], [new Uint8Array(2)]])(
    'throws immediately for %p',
    (source) => {
      expect(() => Channel.from(source as never)).toThrow(
        expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_SOURCE' }),
      );
    },
  );

  it.each([
    [{ ttlMs: 0 }, 'Expected ttlMs to be a positive integer or false, got 0'],
    [{ ttlMS: 5 }, "Did you mean 'ttlMs'?"],
    [{ overflow: 'x' }, 'Expected overflow to be'],
  ])('refuses the options %p, and does not start', (options, message) => {
    const source = jest.fn(() => []);

    expect(() => Channel.from(source, options as RunOptions)).toThrow(message);
    expect(source).not.toHaveBeenCalled();
  });

  it('does not block the event loop with a source that never waits', async () => {
    const job = Channel.from(async function* ({ signal }) {
      for (let n = 0; !signal.aborted; n++) yield n;
    });

    for (let turn = 0; turn < 3; turn++) await setImmediate();
    await job.close();

    expect(job.size).toBe(0);
  });

  it('pulls no further values until subscribers that keep up have received the earlier ones', async () => {
    let pulled = 0;
    const job = Channel.from(
      (function* () {
        while (pulled < 10_000) yield pulled++;
      })(),
      { log: memoryLog({ maxEvents: 50 }) },
    );

    expect(await all(job as Channel<never>)).toEqual([...Array(10_000).keys(), undefined]);
  });
});

describe('a run that fails', () => {
  const failing = async function* () {
    yield 'a';
    throw boom;
  };

  it('delivers the earlier events, and passes the same error to next after the response', async () => {
    const go = new Gate();
    const job = Channel.from(async function* () {
      yield 'a';
      await go.promise;
      throw boom;
    });
    const server = await serve((app) => app.get('/', () => job));
    const client = await server.openStream('/');
    await client.untilText('data: a');
    go.open();

    expect(await client.ended()).toMatch(/^id: .*\ndata: a\n\n$/);
    expect([await server.errorsHandled(1), server.closedBefore]).toEqual([[boom], [true]]);
    expect((await server.errorsHandled(1))[0]).toBe(boom);
  });

  it('sends later clients the same events, and an error status if no event is left to replay', async () => {
    const job = Channel.from(failing);
    await warned.promise;
    const server = await serve((app) => app.get('/', () => job));
    const late = await server.openStream('/');
    const [, id = ''] = (await late.ended()).match(/id: (.*)\n/) ?? [];

    const back = await server.openStream('/', { headers: { 'Last-Event-ID': id } });

    expect([late.status, late.text]).toEqual([200, `id: ${id}\ndata: a\n\n`]);
    expect([back.status, await back.ended()]).toEqual([500, '{"error":"boom"}']);
    expect([await server.errorsHandled(2), job.size]).toEqual([[boom, boom], 0]);
  });

  it('before its first value causes an error status', async () => {
    const job = Channel.from(async () => {
      await setImmediate();
      throw Object.assign(new Error('no'), { status: 403 });
    });
    const server = await serve((app) => app.get('/', () => job), { commitAfterMs: false });

    const client = await server.openStream('/');

    expect([client.status, job.size]).toEqual([403, 0]);
  });

  it.each([
    ['an event with an id', event('x', 1, { id: 1 }), 'ERR_SSE_INVALID_EVENT'],
    ['a value that JSON cannot encode', 1n, 'ERR_SSE_INVALID_DATA'],
  ])('because of %s runs the source’s finally and aborts its signal', async (_name, value, code) => {
    const [cleaned, cancelled] = [new Gate(), new Gate()];
    const job = Channel.from<unknown>(async function* ({ signal }) {
      signal.addEventListener('abort', () => cancelled.open());
      try {
        yield value;
      } finally {
        cleaned.open();
      }
    });

    const [error] = await all(job as Channel<never>);

    expect(error).toMatchObject({ name: 'TypeError', code });
    await Promise.all([cleaned.promise, cancelled.promise]);
  });

  it('because of its return value rejects its subscribers', async () => {
    const job = Channel.from(async function* () {
      yield 1;
      return 1n;
    });

    expect(await all(job as Channel<never>)).toMatchObject([1, { code: 'ERR_SSE_INVALID_DATA' }]);
  });

  it('with undefined rejects its subscribers', async () => {
    const job = Channel.from(async function* () {
      yield 1;
      throw undefined;
    });
    await warned.promise;
    const subscription = job.subscribe();
    await subscription.next();

    expect(await Promise.allSettled([subscription.next()])).toEqual([
      { status: 'rejected', reason: undefined },
    ]);
  });

  it('without subscribers causes a warning', async () => {
    Channel.from(failing);

    expect(await warned.promise).toEqual([
      expect.stringContaining('boom'),
      { type: 'SseWarning', code: 'SSE_UNHANDLED_ERROR' },
    ]);
  });

  it('rejects later values', async () => {
    const job = Channel.from<unknown>(failing);
    await warned.promise;

    await expect(job.publish(1)).rejects.toMatchObject({ code: 'ERR_SSE_CHANNEL_CLOSED' });
  });
});

describe('ttlMs', () => {
  /** A run that waits for its signal. */
  function waiting(options: RunOptions) {
    const [cancelled, cleaned] = [new Gate(), new Gate()];
    const job = Channel.from(async function* ({ signal }) {
      try {
        yield 'a';
        await aborted(signal);
        cancelled.open();
      } finally {
        cleaned.open();
      }
    }, options);
    return { job, cancelled, cleaned };
  }

  it('cancels a run that has never had a subscriber', async () => {
    const { job, cancelled, cleaned } = waiting({ ttlMs: 20 });

    await Promise.all([cancelled.promise, cleaned.promise]);

    expect(await all(job as Channel<never>)).toMatchObject(['a', { code: 'ERR_SSE_CHANNEL_FAILED' }]);
  });

  it('cancels a run ttlMs after its last subscriber has left', async () => {
    const { job, cancelled } = waiting({ ttlMs: 30 });
    const subscription = job.subscribe();
    await subscription.next();
    let isCancelled = false;
    void cancelled.promise.then(() => {
      isCancelled = true;
    });

    await sleep(80);
    expect(isCancelled).toBe(false);
    const left = performance.now();
    await subscription.return();
    await cancelled.promise;

    expect(performance.now() - left).toBeGreaterThan(28);
  });

  it('restarts with every subscriber', async () => {
    const { job, cancelled } = waiting({ ttlMs: 250 });
    let isCancelled = false;
    void cancelled.promise.then(() => {
      isCancelled = true;
    });

    for (let i = 0; i < 6; i++) {
      await sleep(60);
      const subscription = job.subscribe();
      await subscription.next();
      await subscription.return();
    }
    expect(isCancelled).toBe(false);

    await cancelled.promise;
    expect(job.size).toBe(0);
  });

  it('leaves no timer when the run has finished', async () => {
    const timers = new LibTimers();
    const job = Channel.from([1]);

    await all(job as Channel<never>);
    await setImmediate();

    expect(timers.stop()).toEqual([]);
  });

  it('never cancels a run if it is false', async () => {
    const timers = new LibTimers();
    const { job, cleaned } = waiting({ ttlMs: false });

    await setImmediate();
    expect(timers.stop()).toEqual([]);
    await job.close();
    await cleaned.promise;
  });

  it('asks the log whether other processes have subscribers', async () => {
    const hasSubscribers = jest.fn<Promise<boolean>, []>();
    hasSubscribers.mockResolvedValueOnce(true).mockResolvedValueOnce(true).mockResolvedValue(false);
    const inner = memoryLog();
    const log = Object.assign(Object.create(inner), { hasSubscribers }) as typeof inner;
    for (const name of ['append', 'read', 'head', 'subscribe', 'compare'] as const) {
      Object.assign(log, { [name]: (inner[name] as (...args: unknown[]) => unknown).bind(inner) });
    }
    const { cancelled } = waiting({ ttlMs: 10, log: { ...log, hasSubscribers } });

    await cancelled.promise;

    expect(hasSubscribers).toHaveBeenCalledTimes(3);
  });

  it('causes no unhandled rejection if the log cannot answer', async () => {
    const inner = memoryLog();
    const called = new Gate();
    const { job, cleaned } = waiting({
      ttlMs: 10,
      log: {
        append: (record) => inner.append(record),
        read: (after, limit) => inner.read(after, limit),
        head: () => inner.head(),
        subscribe: (follower) => inner.subscribe(follower),
        compare: (a, b) => inner.compare(a, b),
        hasSubscribers: async () => {
          called.open();
          throw new Error('away');
        },
      },
    });

    await called.promise;
    await setImmediate();
    await setImmediate();
    await job.close();
    await cleaned.promise;

    // An unhandled rejection would fail the test.
    expect(job.size).toBe(0);
  });
});

describe('close() of a run', () => {
  it('cancels it, ends its subscribers without ~end, and publishes nothing more', async () => {
    const cleaned = new Gate();
    const job = Channel.from(async function* ({ signal }) {
      try {
        yield 'a';
        await aborted(signal);
        yield 'too late';
      } finally {
        cleaned.open();
      }
    });
    const server = await serve((app) => app.get('/', () => job));
    const client = await server.openStream('/');
    await client.untilText('data: a');

    await job.close();
    await cleaned.promise;

    expect(await client.ended()).toMatch(/^id: .*\ndata: a\n\n$/);
    expect([job.size, server.errors]).toEqual([0, []]);
  });

  it('does not warn about an abort error that a library has renamed or wrapped', async () => {
    const [cleaned, waiting] = [new Gate(), new Gate()];
    class APIUserAbortError extends Error {}
    const job = Channel.from(async function* ({ signal }) {
      waiting.open();
      await aborted(signal);
      globalThis.setImmediate(() => cleaned.open());
      yield await Promise.reject(new Error('request failed', { cause: new APIUserAbortError() }));
    });

    await waiting.promise;
    await job.close();
    await cleaned.promise;

    expect(process.emitWarning).not.toHaveBeenCalled();
  });

  it('closes a source that becomes available after close()', async () => {
    const [go, closed] = [new Gate(), new Gate()];
    const job = Channel.from(async () => {
      await go.promise;
      const source: AsyncIterator<unknown> = {
        next: () => new Promise(() => undefined),
        return: async () => {
          closed.open();
          return { done: true, value: undefined };
        },
      };
      return { [Symbol.asyncIterator]: () => source };
    });

    await job.close();
    go.open();

    await closed.promise;
  });

  it('destroys a Node stream immediately', async () => {
    const source = new Readable({ read: () => undefined });
    const job = Channel.from(source);
    await setImmediate();

    await job.close();

    expect(source.destroyed).toBe(true);
  });
});

describe('end() of a run', () => {
  it('cancels the source, and later subscribers receive the end', async () => {
    const cleaned = new Gate();
    const job = Channel.from(async function* ({ signal }) {
      try {
        yield 1;
        await aborted(signal);
      } finally {
        cleaned.open();
      }
    });
    const subscription = job.subscribe();
    await subscription.next();

    await job.end('early');
    await cleaned.promise;

    expect(await subscription.next()).toEqual({ done: true, value: 'early' });
    expect(await all(job as Channel<never>)).toEqual([1, 'early']);
  });
});
