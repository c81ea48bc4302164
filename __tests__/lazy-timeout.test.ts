import { setImmediate } from 'node:timers/promises';
import { LazyTimeout } from '../lib/lazy-timeout';
import { LibTimers } from './support/timers';

describe('LazyTimeout', () => {
  let timers: LibTimers;
  beforeEach(() => {
    timers = new LibTimers();
  });
  afterEach(() => expect(timers.stop()).toEqual([]));

  it('calls back after its time', async () => {
    await new Promise<void>((resolve) => {
      new LazyTimeout(1, resolve);
    });
    await setImmediate();
  });

  it('starts no timer if it is cleared in the same turn of the event loop', async () => {
    const timeout = new LazyTimeout(60_000, () => undefined);
    timeout.clear();
    await setImmediate();

    expect(timers.active()).toEqual([]);
  });

  it('clears a timer that it has started', async () => {
    const timeout = new LazyTimeout(60_000, () => undefined);
    await setImmediate();
    expect(timers.active()).toHaveLength(1);

    timeout.clear();
    await setImmediate();
  });
});
