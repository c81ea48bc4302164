import { setImmediate } from 'node:timers/promises';
import { RoundRobin, yieldToEventLoop } from '../lib/round-robin';

/** The names that resumed in each turn of the event loop, in their order. */
async function turns(names: readonly string[]): Promise<string[]> {
  let inTurn = '';
  for (const name of names) {
    yieldToEventLoop({
      resume: () => {
        inTurn += name;
      },
    });
  }
  const each: string[] = [];
  while (each.join('').length < names.length) {
    inTurn = '';
    await setImmediate();
    each.push(inTurn);
  }
  return each;
}

describe('yieldToEventLoop()', () => {
  it('resumes two producers in each turn, in the order of the calls', async () => {
    expect(await turns(['a', 'b', 'c', 'd', 'e'])).toEqual(['ab', 'cd', 'e']);
  });

  it('resumes a producer that yields again after all others', async () => {
    let order = '';
    const recorded = (name: string) => ({
      resume: () => {
        order += name;
      },
    });
    const again = {
      resume: () => {
        order += 'a';
        if (order === 'a') yieldToEventLoop(again);
      },
    };
    for (const producer of [again, recorded('b'), recorded('c')]) yieldToEventLoop(producer);

    while (order.length < 4) await setImmediate();

    expect(order).toBe('abca');
  });

  it('schedules a new turn after all producers have resumed', async () => {
    expect(await turns(['a'])).toEqual(['a']);
    expect(await turns(['b'])).toEqual(['b']);
  });
});

describe('RoundRobin', () => {
  it('runs a participant once in a later turn, however often it was added', async () => {
    const runs: string[] = [];
    const robin = new RoundRobin<string>(
      (name) => {
        runs.push(name);
        return 1;
      },
      () => 10,
    );

    robin.add('a');
    robin.add('a');
    await null;
    expect(runs).toEqual([]);
    await setImmediate();
    await setImmediate();

    expect(runs).toEqual(['a']);
  });
});
