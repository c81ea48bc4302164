import { setImmediate } from 'node:timers/promises';
import { type Deliverable, notePublish, scheduleDelivery } from '../../lib/channel/deliveries';

/** A channel with a number of ready subscribers; records how many it has served in which turn. */
class Channel implements Deliverable {
  static turn = 0;
  left: number;
  readonly served: Array<readonly [turn: number, count: number]> = [];

  constructor(count: number) {
    this.left = count;
  }

  deliver(budget: number): number {
    const count = Math.min(budget, this.left);
    this.left -= count;
    this.served.push([Channel.turn, count]);
    if (this.left > 0) scheduleDelivery(this);
    return count;
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await setImmediate();
    Channel.turn++;
  }
}

beforeEach(() => {
  Channel.turn = 0;
  notePublish();
});

describe('scheduleDelivery()', () => {
  it('delivers in a later turn, once however often it was called', async () => {
    const channel = new Channel(5);

    scheduleDelivery(channel);
    scheduleDelivery(channel);
    await null;
    expect(channel.served).toEqual([]);
    await turns(3);

    expect(channel.served).toEqual([[0, 5]]);
  });

  it('serves 25 subscribers per turn, and 300 if no event was published since the last turn', async () => {
    const channel = new Channel(850);

    scheduleDelivery(channel);
    await turns(2);
    notePublish();
    await turns(3);

    expect(channel.served).toEqual([
      [0, 25],
      [1, 300],
      [2, 25],
      [3, 300],
      [4, 200],
    ]);
  });

  it('shares the budget of a turn among all channels', async () => {
    const channels = [10, 10, 10, 10].map((count) => new Channel(count));

    for (const channel of channels) scheduleDelivery(channel);
    await turns(3);

    const first = channels.flatMap(({ served }) => served).filter(([turn]) => turn === 0);
    expect(first.reduce((sum, [, count]) => sum + count, 0)).toBe(25);
    expect(channels.map(({ left }) => left)).toEqual([0, 0, 0, 0]);
  });

  it('continues with a large channel after all others', async () => {
    const [large, small] = [new Channel(1_000), new Channel(10)];

    scheduleDelivery(large);
    scheduleDelivery(small);
    await turns(2);

    expect(small.served).toEqual([[1, 10]]);
    expect(large.left).toBe(685);
    await turns(10);
    expect(large.left).toBe(0);
  });

  it('serves a channel that is scheduled during a delivery', async () => {
    const late = new Channel(1);
    const early = new Channel(1);
    const deliver = early.deliver.bind(early);
    early.deliver = (budget) => {
      scheduleDelivery(late);
      return deliver(budget);
    };

    scheduleDelivery(early);
    await turns(2);

    expect([early.left, late.left]).toEqual([0, 0]);
  });
});
