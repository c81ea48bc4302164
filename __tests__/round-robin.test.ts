import { setImmediate } from 'node:timers/promises';
import { awaitTurn, noteEvent, type Served } from '../lib/round-robin';

/** Has so many to serve, and notes in which turn how many were. */
class Crowd implements Served {
  static turn = 0;
  left: number;
  readonly served: Array<readonly [turn: number, count: number]> = [];

  constructor(count: number) {
    this.left = count;
  }

  serve(most: number): number {
    const count = Math.min(most, this.left);
    this.left -= count;
    this.served.push([Crowd.turn, count]);
    return count;
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await setImmediate();
    Crowd.turn++;
  }
}

beforeEach(() => {
  Crowd.turn = 0;
  noteEvent();
});

describe('awaitTurn()', () => {
  it('serves in a turn of its own, and once however often it was called', async () => {
    const crowd = new Crowd(5);

    awaitTurn(crowd);
    awaitTurn(crowd);
    await null;
    expect(crowd.served).toEqual([]);
    await turns(3);

    expect(crowd.served).toEqual([[0, 5]]);
  });

  it('serves a slice a turn, a larger one as long as no event has come since the last', async () => {
    const crowd = new Crowd(850);

    awaitTurn(crowd);
    await turns(2);
    noteEvent();
    await turns(3);

    expect(crowd.served.filter(([, count]) => count > 0)).toEqual([
      [0, 25],
      [1, 300],
      [2, 25],
      [3, 300],
      [4, 200],
    ]);
  });

  it('serves many small crowds in one turn, and the slice is that of all of them', async () => {
    const crowds = [10, 10, 10, 10].map((count) => new Crowd(count));

    for (const crowd of crowds) awaitTurn(crowd);
    await turns(3);

    const first = crowds.flatMap(({ served }) => served).filter(([turn]) => turn === 0);
    expect(first.reduce((sum, [, count]) => sum + count, 0)).toBe(25);
    expect(crowds.map(({ left }) => left)).toEqual([0, 0, 0, 0]);
  });

  it('puts a large crowd behind the others for its next turn', async () => {
    const [large, small] = [new Crowd(1_000), new Crowd(10)];

    awaitTurn(large);
    awaitTurn(small);
    await turns(2);

    expect(small.served).toEqual([[1, 10]]);
    expect(large.left).toBe(685);
    await turns(10);
    expect(large.left).toBe(0);
  });

  it('serves who asks while others are served', async () => {
    const late = new Crowd(1);
    const early = new Crowd(1);
    const serve = early.serve.bind(early);
    early.serve = (most) => {
      awaitTurn(late);
      return serve(most);
    };

    awaitTurn(early);
    await turns(2);

    expect([early.left, late.left]).toEqual([0, 0]);
  });
});
