import { setImmediate } from 'node:timers/promises';
import { LazyTimeout } from '../lib/lazy-timeout';
import { LibTimers } from './support/timers';

describe('Deadline', () => {
  let timers: LibTimers;
  beforeEach(() => {
    timers = new LibTimers();
  });
  afterEach(() => expect(timers.stop()).toEqual([]));

  it('calls back once its time has passed', async () => {
    await new Promise<void>((resolve) => {
      new LazyTimeout(1, resolve);
    });
    await setImmediate();
  });

  it('makes no timer if it is cleared in the same turn', async () => {
    const deadline = new LazyTimeout(60_000, () => undefined);
    deadline.clear();
    await setImmediate();

    expect(timers.active()).toEqual([]);
  });

  it('clears the timer that it has made', async () => {
    const deadline = new LazyTimeout(60_000, () => undefined);
    await setImmediate();
    expect(timers.active()).toHaveLength(1);

    deadline.clear();
    await setImmediate();
  });
});
