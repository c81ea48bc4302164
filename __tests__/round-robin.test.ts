import { setImmediate } from 'node:timers/promises';
import { awaitTurn, noteEvent, type Served } from '../lib/round-robin';

/** A number of subscribers to serve. Records how many were served in each turn. */
class Backlog implements Served {
  static turn = 0;
  left: number;
  readonly served: Array<readonly [turn: number, count: number]> = [];

  constructor(count: number) {
    this.left = count;
  }

  serve(most: number): number {
    const count = Math.min(most, this.left);
    this.left -= count;
    this.served.push([Backlog.turn, count]);
    return count;
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await setImmediate();
    Backlog.turn++;
  }
}

beforeEach(() => {
  Backlog.turn = 0;
  noteEvent();
});

describe('awaitTurn()', () => {
  it('serves in a separate turn of the event loop, once for any number of calls', async () => {
    const backlog = new Backlog(5);

    awaitTurn(backlog);
    awaitTurn(backlog);
    await null;
    expect(backlog.served).toEqual([]);
    await turns(3);

    expect(backlog.served).toEqual([[0, 5]]);
  });

  it('serves one slice per turn, a larger one if no event was published since the last slice', async () => {
    const backlog = new Backlog(850);

    awaitTurn(backlog);
    await turns(2);
    noteEvent();
    await turns(3);

    expect(backlog.served.filter(([, count]) => count > 0)).toEqual([
      [0, 25],
      [1, 300],
      [2, 25],
      [3, 300],
      [4, 200],
    ]);
  });

  it('serves several backlogs in one turn, up to one slice for all of them', async () => {
    const backlogs = [10, 10, 10, 10].map((count) => new Backlog(count));

    for (const backlog of backlogs) awaitTurn(backlog);
    await turns(3);

    const first = backlogs.flatMap(({ served }) => served).filter(([turn]) => turn === 0);
    expect(first.reduce((sum, [, count]) => sum + count, 0)).toBe(25);
    expect(backlogs.map(({ left }) => left)).toEqual([0, 0, 0, 0]);
  });

  it('serves the rest of a large backlog after the others', async () => {
    const [large, small] = [new Backlog(1_000), new Backlog(10)];

    awaitTurn(large);
    awaitTurn(small);
    await turns(2);

    expect(small.served).toEqual([[1, 10]]);
    expect(large.left).toBe(685);
    await turns(10);
    expect(large.left).toBe(0);
  });

  it('serves a backlog that is added while another is served', async () => {
    const late = new Backlog(1);
    const early = new Backlog(1);
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
