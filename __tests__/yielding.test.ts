import { setImmediate } from 'node:timers/promises';
import { giveWay } from '../lib/yielding';

/** Those who have gone on, in their order, at the end of each turn of the event loop. */
async function turns(names: readonly string[]): Promise<string[]> {
  let now = '';
  for (const name of names) {
    giveWay({
      goOn: () => {
        now += name;
      },
    });
  }
  const each: string[] = [];
  while (each.join('').length < names.length) {
    now = '';
    await setImmediate();
    each.push(now);
  }
  return each;
}

describe('giveWay()', () => {
  it('lets two go on in a turn, in the order in which they came', async () => {
    expect(await turns(['a', 'b', 'c', 'd', 'e'])).toEqual(['ab', 'cd', 'e']);
  });

  it('lets who gives way again wait behind the others', async () => {
    let order = '';
    const noted = (name: string) => ({
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
    for (const yielding of [again, noted('b'), noted('c')]) giveWay(yielding);

    while (order.length < 4) await setImmediate();

    expect(order).toBe('abca');
  });

  it('begins anew after everybody has gone on', async () => {
    expect(await turns(['a'])).toEqual(['a']);
    expect(await turns(['b'])).toEqual(['b']);
  });
});
