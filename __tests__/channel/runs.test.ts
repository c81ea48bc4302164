import { once } from 'node:events';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel, createRuns, event, memoryLog, type RunFunction, type RunsOptions } from '../../lib';
import { errorWith } from '../support/error-with';
import { Gate } from '../support/gate';
import { all, WaitingSource } from '../support/runs';
import { releaseAll, serve } from '../support/serve';
import { LibTimers } from '../support/timers';

afterEach(releaseAll);

let emitWarning: jest.SpyInstance<void, Parameters<typeof process.emitWarning>>;
let timers: LibTimers;

beforeEach(() => {
  emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation();
  timers = new LibTimers();
});

afterEach(() => {
  emitWarning.mockRestore();
  timers.stop();
});

/** Resolves when no timer of the package is left. */
async function noTimers(): Promise<void> {
  while (timers.active().length > 0) await setImmediate();
}

/** Resolves when the key is free. */
async function released(runs: ReturnType<typeof createRuns<string>>, key: string): Promise<void> {
  while ((await runs.find(key)) !== undefined) await sleep(1);
}

describe('createRuns() in memory', () => {
  it('starts one source for a key, which all callers join', async () => {
    const runs = createRuns<string>();
    const source = jest.fn(() => ['a', 'b']);

    const first = runs.start('job', source);
    const second = runs.start('job', source);
    const other = runs.start('other', source);

    expect(first).toBeInstanceOf(Channel);
    expect(second).toBe(first);
    expect(runs.find('job')).toBe(first);
    expect(other).not.toBe(first);
    expect(await all(first)).toEqual(['a', 'b', undefined]);
    expect(source).toHaveBeenCalledTimes(2);
    expect(source).toHaveBeenCalledWith({
      signal: expect.any(AbortSignal),
      lastId: '',
      lastEvent: undefined,
    });
    await runs.close();
  });

  it('has no channel for a key that never ran, so that a route can answer 204', async () => {
    const runs = createRuns<string>();
    const server = await serve((app, sse) => {
      app.use(sse());
      app.get('/:key', async (req, res) => (await runs.find(req.params.key)) ?? void res.sendStatus(204));
    });

    const response = await fetch(server.url('/never'));

    expect(response.status).toBe(204);
    expect(runs.find('never')).toBeUndefined();
  });

  it.each<[string, RunFunction<string>, unknown[]]>([
    [
      'the return value',
      async function* () {
        yield 'a';
        return 'done';
      },
      ['a', 'done'],
    ],
    [
      'the error',
      async function* () {
        yield 'a';
        throw Object.assign(new Error('boom'), { code: 'BOOM' });
      },
      ['a', 'BOOM'],
    ],
  ])('retains the events and %s for ttlMs, and then frees the key', async (_name, source, expected) => {
    const runs = createRuns<string>({ ttlMs: 30 });
    const channel = runs.start('job', source);

    const early = await all(channel);
    const late = await all(await runs.find('job'));
    const joined = await all(runs.start('job', () => ['another']));
    await released(runs, 'job');
    const next = await all(runs.start('job', () => ['next']));

    expect([early, late, joined, next]).toEqual([expected, expected, expected, ['next', undefined]]);
    await runs.close();
    await noTimers();
  });

  it('iterates over the runs whose sources run, and counts them', async () => {
    const runs = createRuns<string>();
    const source = new WaitingSource();
    await all(runs.start('ended', () => []));
    const channel = runs.start('running', source.run);
    await source.started;

    const running = [...runs];

    expect(running).toHaveLength(1);
    expect(running[0]?.key).toBe('running');
    expect(running[0]?.channel).toBe(channel);
    expect(running[0]?.signal).toBe(source.contexts[0]?.signal);
    expect(runs.size).toBe(1);
    await runs.stop('running');
    expect([runs.size, [...runs]]).toEqual([0, []]);
    await runs.close();
  });

  it('stops a source that waits, and ends its run with a value', async () => {
    const runs = createRuns<string>();
    const source = new WaitingSource();
    const reading = all(runs.start('job', source.run));
    await source.started;

    const stopped = [
      await runs.stop('job', { stopped: true }),
      await runs.stop('job'),
      await runs.stop('never'),
    ];

    expect(stopped).toEqual([true, false, false]);
    expect(await source.aborted).toMatchObject({ name: 'AbortError' });
    await source.closed;
    expect(await reading).toEqual(['after undefined', { stopped: true }]);
    await runs.close();
    expect(emitWarning).not.toHaveBeenCalled();
  });

  it('does not abort the signal of a source that has ended', async () => {
    const runs = createRuns<string>();
    let signal: AbortSignal | undefined;
    const channel = runs.start('job', (context) => {
      signal = context.signal;
      return ['a'];
    });

    await all(channel);

    expect(signal?.aborted).toBe(false);
    await runs.close();
    expect(signal?.aborted).toBe(false);
  });

  it('continues without subscribers, however long', async () => {
    const runs = createRuns<string>({ ttlMs: 1 });
    const go = new Gate();
    runs.start('job', async function* () {
      await go.promise;
      yield 'a';
    });

    await sleep(20);

    expect(runs.size).toBe(1);
    const reading = all(runs.find('job'));
    go.open();
    expect(await reading).toEqual(['a', undefined]);
    await runs.close();
  });

  it('frees the key of a channel that was closed', async () => {
    const runs = createRuns<string>();
    const source = new WaitingSource();
    const channel = runs.start('job', source.run) as Channel<string>;
    await source.started;

    await channel.close();

    await source.closed;
    expect([runs.find('job'), runs.size]).toEqual([undefined, 0]);
    await runs.close();
  });

  it('closes: aborts the sources, and fails their subscribers', async () => {
    const runs = createRuns<string>();
    const source = new WaitingSource();
    const reading = all(runs.start('job', source.run));
    await source.started;
    await runs.start('ended', () => []);

    const closing = runs.close();

    expect(runs.close()).toBe(closing);
    await closing;
    expect(await source.aborted).toMatchObject({ name: 'AbortError', code: 'ERR_SSE_CLOSING' });
    expect(await reading).toEqual(['after undefined', 'ERR_SSE_RUN_LOST']);
    expect([runs.size, runs.find('job')]).toEqual([0, undefined]);
    expect(() => runs.start('job', source.run)).toThrow(
      expect.objectContaining({ code: 'ERR_SSE_CHANNEL_CLOSED' }),
    );
    await noTimers();
  });

  it('closes when the cleanup of every source has run, also of one that was stopped before', async () => {
    const runs = createRuns<string>();
    const ended: string[] = [];
    const cleanup = new Gate();
    const slow = (key: string): RunFunction<string> =>
      async function* ({ signal }) {
        try {
          yield key;
          await once(signal, 'abort');
          yield 'late';
        } finally {
          await cleanup.promise;
          ended.push(key);
        }
      };
    for (const key of ['stopped', 'running']) await (await runs.start(key, slow(key))).subscribe().next();
    await runs.stop('stopped');

    let closed = false;
    const closing = runs.close().then(() => {
      closed = true;
    });
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    expect([closed, ended]).toEqual([false, []]);
    cleanup.open();
    await closing;

    expect(ended).toEqual(['stopped', 'running']);
    await noTimers();
  });

  it('waits for the call of a source function that has not returned its iterable yet', async () => {
    const runs = createRuns<string>();
    const opening = new Gate<string[]>();
    runs.start('job', () => opening.promise);

    let closed = false;
    const closing = runs.close().then(() => {
      closed = true;
    });
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    expect(closed).toBe(false);
    opening.open([]);

    await closing;
    await noTimers();
  });

  it('closes after graceMs if a source ignores its signal', async () => {
    const runs = createRuns<string>();
    const go = new Gate();
    const reading = all(
      runs.start('job', async function* () {
        yield 'a';
        await go.promise;
      }),
    );
    while (runs.size === 0) await setImmediate();

    await runs.close({ graceMs: 20 });

    expect(await reading).toEqual(expect.arrayContaining(['ERR_SSE_RUN_LOST']));
    await noTimers();
    go.open();
  });

  it('refuses a graceMs that is not a time', () => {
    const runs = createRuns();

    expect(() => runs.close({ graceMs: -1 })).toThrow(
      errorWith({
        code: 'ERR_SSE_INVALID_OPTION',
        message: 'Expected graceMs to be a non-negative integer, got -1 (number).',
      }),
    );
    expect(runs.start('job', () => [])).toBeInstanceOf(Channel);
    return runs.close();
  });

  it('uses the logs and the channel options that it was given', async () => {
    const keys: string[] = [];
    const runs = createRuns<Date>({
      logs: (key) => {
        keys.push(key);
        return memoryLog({ maxEvents: 1 });
      },
      serialize: (value) => `at ${Number(value)}`,
      parse: (text) => new Date(Number(text.slice(3))),
    });

    const channel = runs.start('job', () => [new Date(1), event('second', new Date(2))]);

    expect(keys.at(-1)).toBe('run:job');
    while (runs.size > 0) await sleep(1);
    expect(await all(channel)).toEqual([{ lastEventId: expect.any(String), oldest: expect.any(String) }, new Date(2), undefined].slice(1)); // biome-ignore format: one line
    await runs.close();
  });

  it.each<[string, unknown, string]>([
    ['logs', {}, 'TypeError'],
    ['leaseMs', 0, 'RangeError'],
    ['leaseMs', 1_999, 'RangeError'],
    ['leaseMs', '5s', 'TypeError'],
    ['leaseMs', false, 'TypeError'],
    ['ttlMs', 0, 'RangeError'],
    ['ttlMs', 2 ** 31, 'RangeError'],
    ['overflow', 'drop', 'TypeError'],
    ['parse', 'JSON', 'TypeError'],
    ['leaseMS', 5_000, 'TypeError'],
    ['replay', false, 'TypeError'],
  ])('refuses the option %s: %p', (name, value, error) => {
    expect(() => createRuns({ [name]: value } as RunsOptions)).toThrow(
      expect.objectContaining({
        name: error,
        code: 'ERR_SSE_INVALID_OPTION',
        message: expect.stringContaining(name),
      }),
    );
  });

  it('refuses a key that is not a string, a source that is not a function, and unknown options', async () => {
    const runs = createRuns<string>();
    const source = () => ['a'];
    const invalid = { code: 'ERR_SSE_INVALID_OPTION' };

    for (const key of ['', undefined, 7] as string[]) {
      expect(() => runs.start(key, source)).toThrow(expect.objectContaining(invalid));
      expect(() => runs.find(key)).toThrow(expect.objectContaining(invalid));
      await expect(runs.stop(key)).rejects.toMatchObject(invalid);
    }
    for (const wrong of [undefined, ['a'], source()] as unknown[]) {
      expect(() => runs.start('job', wrong as typeof source)).toThrow(
        expect.objectContaining({ name: 'TypeError', code: 'ERR_SSE_INVALID_SOURCE' }),
      );
    }
    expect(() => runs.start('job', source, { takeOver: true } as object)).toThrow(
      expect.objectContaining({ ...invalid, message: expect.stringContaining("Did you mean 'takeover'?") }),
    );
    expect(runs.size).toBe(0);
  });
});
