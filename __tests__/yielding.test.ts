import { setImmediate } from 'node:timers/promises';
import { giveWay } from '../lib/yielding';

/** The names that are resumed in each turn of the event loop, in order. */
async function resumedPerTurn(names: readonly string[]): Promise<string[]> {
  let resumed = '';
  for (const name of names) {
    giveWay({
      goOn: () => {
        resumed += name;
      },
    });
  }
  const perTurn: string[] = [];
  while (perTurn.join('').length < names.length) {
    resumed = '';
    await setImmediate();
    perTurn.push(resumed);
  }
  return perTurn;
}

describe('giveWay()', () => {
  it('resumes two per turn, in the order of the calls', async () => {
    expect(await resumedPerTurn(['a', 'b', 'c', 'd', 'e'])).toEqual(['ab', 'cd', 'e']);
  });

  it('puts a repeated call after the calls that already wait', async () => {
    let order = '';
    const recorder = (name: string) => ({
      goOn: () => {
        order += name;
      },
    });
    const again = {
      goOn: () => {
        order += 'a';
        if (order === 'a') giveWay(again);
      },
    };
    for (const yielding of [again, recorder('b'), recorder('c')]) giveWay(yielding);

    while (order.length < 4) await setImmediate();

    expect(order).toBe('abca');
  });

  it('works again after all have resumed', async () => {
    expect(await resumedPerTurn(['a'])).toEqual(['a']);
    expect(await resumedPerTurn(['b'])).toEqual(['b']);
  });
});
