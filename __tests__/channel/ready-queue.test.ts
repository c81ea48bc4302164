import { Link, ReadyQueue } from '../../lib/channel/ready-queue';

class Named extends Link {
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

function queueOf(...items: Named[]): ReadyQueue<Named> {
  const queue = new ReadyQueue<Named>();
  for (const item of items) queue.push(item);
  return queue;
}

/** Removes all items from first to last. @returns their names */
function drain(queue: ReadyQueue<Named>): string {
  let names = '';
  for (let item = queue.first; item !== undefined; item = queue.first) {
    names += item.name;
    item.unlink();
  }
  return names;
}

describe('ReadyQueue', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Named(name)) as [Named, Named, Named, Named];

  it('is empty at first', () => {
    expect(queueOf().first).toBeUndefined();
  });

  it('keeps the order of its items', () => {
    expect(drain(queueOf(a, b, c))).toBe('abc');
  });

  it('moves an item that is pushed again to the end', () => {
    expect(drain(queueOf(a, b, a))).toBe('ba');
  });

  it.each([
    [a, 'bc'],
    [b, 'ac'],
    [c, 'ab'],
  ])('removes an item from any position: %#', (item, rest) => {
    const queue = queueOf(a, b, c);

    item.unlink();
    item.unlink();

    expect(drain(queue)).toBe(rest);
  });

  it('loses an item that is pushed to another queue', () => {
    const queue = queueOf(a, b);

    const other = queueOf(a);

    expect([drain(queue), drain(other)]).toEqual(['b', 'a']);
  });

  it.each([
    [[a, b], [c, d], 'abcd'],
    [[], [c, d], 'cd'],
    [[a, b], [], 'ab'],
    [[], [], ''],
  ])('appends all items of another queue: %#', (own, others, all) => {
    const [queue, other] = [queueOf(...own), queueOf(...others)];

    queue.pushAll(other);

    expect(other.first).toBeUndefined();
    expect(drain(queue)).toBe(all);
  });

  it('and the other queue still work after pushAll()', () => {
    const [queue, other] = [queueOf(a), queueOf(b)];

    queue.pushAll(other);
    other.push(c);
    b.unlink();
    queue.push(d);

    expect([drain(queue), drain(other)]).toEqual(['ad', 'c']);
  });
});
