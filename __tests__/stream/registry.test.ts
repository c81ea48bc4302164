import { setImmediate as turn } from 'node:timers/promises';
import type { OpenStream } from '../../lib';
import { type Closable, Registry } from '../../lib/stream/registry';

const SPREAD_MS = 1_000;
const GRACE_MS = 5_000;
const DRAIN_MS = 10_000;
const OPTIONS = { spreadMs: SPREAD_MS, graceMs: GRACE_MS, drainMs: DRAIN_MS };

/** Records when it was asked to end, and with which grace period. */
class FakeStream implements Closable {
  readonly shutdowns: { readonly atMs: number; readonly graceMs: number }[] = [];
  readonly key: string | undefined;
  readonly drains: boolean;

  constructor({ key, drains = false }: { key?: string; drains?: boolean } = {}) {
    this.key = key;
    this.drains = drains;
  }

  get view(): OpenStream {
    throw new Error('A fake stream has no request.');
  }

  shutdown(graceMs: number): void {
    this.shutdowns.push({ atMs: Date.now(), graceMs });
  }
}

function registryOf(...streams: readonly Closable[]): Registry {
  const registry = new Registry();
  for (const stream of streams) registry.add(stream);
  return registry;
}

/** Whether a promise has resolved by now. */
async function isResolved(promise: Promise<void>): Promise<boolean> {
  let resolved = false;
  void promise.then(() => {
    resolved = true;
  });
  await turn();
  return resolved;
}

describe('Registry', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 0, doNotFake: ['nextTick', 'setImmediate'] });
  });

  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  it('counts the open streams', () => {
    const stream = new FakeStream();
    const registry = registryOf(stream, new FakeStream());
    expect(registry.size).toBe(2);

    registry.delete(stream);
    expect(registry.size).toBe(1);
  });

  it('ignores a second delete of the same stream', () => {
    const stream = new FakeStream();
    const registry = registryOf(stream, new FakeStream());

    registry.delete(stream);
    registry.delete(stream);

    expect(registry.size).toBe(1);
  });

  it('has no timers before it is closed', () => {
    registryOf(new FakeStream());

    expect(jest.getTimerCount()).toBe(0);
  });

  describe('close()', () => {
    it('sets closed permanently', async () => {
      const registry = registryOf();
      expect(registry.closed).toBe(false);

      await registry.close(OPTIONS);
      expect(registry.closed).toBe(true);
    });

    it('resolves immediately when no stream is open', async () => {
      await expect(registryOf().close(OPTIONS)).resolves.toBeUndefined();
    });

    it('resolves when the last stream is deleted, not earlier', async () => {
      const [first, last] = [new FakeStream(), new FakeStream()];
      const registry = registryOf(first, last);
      const closed = registry.close(OPTIONS);

      jest.advanceTimersByTime(SPREAD_MS + GRACE_MS);
      registry.delete(first);
      expect(await isResolved(closed)).toBe(false);

      registry.delete(last);
      expect(await isResolved(closed)).toBe(true);
    });

    it('returns the same promise when it is called again', () => {
      const registry = registryOf(new FakeStream());

      expect(registry.close(OPTIONS)).toBe(registry.close({ spreadMs: 0, graceMs: 0, drainMs: 0 }));
    });

    it('notifies no stream twice when it is called again', () => {
      const stream = new FakeStream();
      const registry = registryOf(stream);

      registry.close(OPTIONS);
      registry.close(OPTIONS);
      jest.advanceTimersByTime(SPREAD_MS);

      expect(stream.shutdowns).toHaveLength(1);
    });

    it('notifies each stream at a separate random time', () => {
      const random = jest.spyOn(Math, 'random');
      for (const value of [0.75, 0, 0.25]) random.mockReturnValueOnce(value);
      const streams = [new FakeStream(), new FakeStream(), new FakeStream()];

      registryOf(...streams).close(OPTIONS);
      jest.advanceTimersByTime(SPREAD_MS);

      expect(streams.map(({ shutdowns }) => shutdowns[0]?.atMs)).toEqual([750, 0, 250]);
    });

    it('notifies every stream within spreadMs', () => {
      const streams = Array.from({ length: 100 }, () => new FakeStream());

      registryOf(...streams).close(OPTIONS);
      jest.advanceTimersByTime(SPREAD_MS);

      expect(streams.filter(({ shutdowns }) => shutdowns.length === 0)).toEqual([]);
    });

    it('passes graceMs to each stream', () => {
      const stream = new FakeStream();

      registryOf(stream).close(OPTIONS);
      jest.advanceTimersByTime(SPREAD_MS);

      expect(stream.shutdowns).toEqual([expect.objectContaining({ graceMs: GRACE_MS })]);
    });

    it('does not keep the process alive', () => {
      const setTimeout = jest.spyOn(globalThis, 'setTimeout');

      registryOf(new FakeStream(), new FakeStream()).close(OPTIONS);

      expect(setTimeout.mock.results.map(({ value }) => value.hasRef())).toEqual([false, false]);
    });

    it('leaves no timer', () => {
      registryOf(new FakeStream(), new FakeStream()).close(OPTIONS);

      jest.advanceTimersByTime(SPREAD_MS);

      expect(jest.getTimerCount()).toBe(0);
    });
  });

  it('counts the streams of each key, and retains no key without streams', () => {
    const [first, second] = [new FakeStream({ key: 'a' }), new FakeStream({ key: 'a' })];
    const registry = registryOf(first, second, new FakeStream({ key: 'b' }), new FakeStream());

    expect([registry.sizeOf('a'), registry.sizeOf('b'), registry.sizeOf('c')]).toEqual([2, 1, 0]);
    registry.delete(first);
    registry.delete(first);
    registry.delete(second);

    expect([registry.sizeOf('a'), registry.sizeOf('b')]).toEqual([0, 1]);
  });

  it('leaves streams that drain alone for drainMs, and then ends them within spreadMs', () => {
    const [stream, draining] = [new FakeStream(), new FakeStream({ drains: true })];
    const registry = registryOf(stream, draining);

    void registry.close(OPTIONS);
    jest.advanceTimersByTime(DRAIN_MS - 1);
    expect([stream.shutdowns.length, draining.shutdowns.length]).toEqual([1, 0]);
    jest.advanceTimersByTime(SPREAD_MS + 1);

    expect(draining.shutdowns).toEqual([{ atMs: expect.any(Number), graceMs: GRACE_MS }]);
  });
});
