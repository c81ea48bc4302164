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

/** Takes all, first to last. */
function drain(queue: ReadyQueue<Named>): string {
  let names = '';
  for (let item = queue.first; item !== undefined; item = queue.first) {
    names += item.name;
    item.unlink();
  }
  return names;
}

describe('Queue', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Named(name)) as [Named, Named, Named, Named];

  it('is empty at first', () => {
    expect(queueOf().first).toBeUndefined();
  });

  it('keeps the order', () => {
    expect(drain(queueOf(a, b, c))).toBe('abc');
  });

  it('puts who is pushed again at its end', () => {
    expect(drain(queueOf(a, b, a))).toBe('ba');
  });

  it.each([
    [a, 'bc'],
    [b, 'ac'],
    [c, 'ab'],
  ])('can be left from anywhere: %#', (leaver, rest) => {
    const queue = queueOf(a, b, c);

    leaver.unlink();
    leaver.unlink();

    expect(drain(queue)).toBe(rest);
  });

  it('gives up who is pushed to another', () => {
    const queue = queueOf(a, b);

    const other = queueOf(a);

    expect([drain(queue), drain(other)]).toEqual(['b', 'a']);
  });

  it.each([
    [[a, b], [c, d], 'abcd'],
    [[], [c, d], 'cd'],
    [[a, b], [], 'ab'],
    [[], [], ''],
  ])('takes all of another behind its own: %#', (own, others, all) => {
    const [queue, other] = [queueOf(...own), queueOf(...others)];

    queue.pushAll(other);

    expect(other.first).toBeUndefined();
    expect(drain(queue)).toBe(all);
  });

  it('and the other work on after that', () => {
    const [queue, other] = [queueOf(a), queueOf(b)];

    queue.pushAll(other);
    other.push(c);
    b.unlink();
    queue.push(d);

    expect([drain(queue), drain(other)]).toEqual(['ad', 'c']);
  });
});
