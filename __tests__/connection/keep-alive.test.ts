import { KeepAlive, type KeepAliveTarget } from '../../lib/connection/keep-alive';

const IDLE_MS = 16_000;
const TICK_MS = 1_000;

/** Records when it was asked for a comment. */
class FakeConnection implements KeepAliveTarget {
  static readonly #all = new Set<FakeConnection>();

  static deleteAll(): void {
    for (const connection of FakeConnection.#all) connection.close();
  }

  writtenAt = 0;
  slot = 0;
  readonly commentedAtMs: number[] = [];
  readonly #keepAlive: KeepAlive;

  constructor(idleMs = IDLE_MS) {
    FakeConnection.#all.add(this);
    this.#keepAlive = KeepAlive.after(idleMs);
    this.#keepAlive.add(this);
  }

  write(): void {
    this.writtenAt = this.#keepAlive.tick;
  }

  keepAlive(): void {
    this.commentedAtMs.push(Date.now());
    this.write();
  }

  close(): void {
    FakeConnection.#all.delete(this);
    this.#keepAlive.delete(this);
  }
}

describe('KeepAlive', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 0 });
  });

  afterEach(() => {
    FakeConnection.deleteAll();
    jest.useRealTimers();
  });

  it('asks an idle connection for one comment per idle time', () => {
    const connection = new FakeConnection();

    jest.advanceTimersByTime(3 * (IDLE_MS + TICK_MS));

    expect(connection.commentedAtMs).toHaveLength(3);
  });

  it.each([0, 1, 500, 999, 1_000, 7_300])(
    'asks for a comment 1 to 17/16 idle times after bytes written at %i ms',
    (writtenAtMs) => {
      const connection = new FakeConnection();
      jest.advanceTimersByTime(writtenAtMs);
      connection.write();

      jest.advanceTimersByTime(IDLE_MS + TICK_MS);

      const [commentedAtMs = Number.NaN] = connection.commentedAtMs;
      expect(commentedAtMs - writtenAtMs).toBeGreaterThanOrEqual(IDLE_MS);
      expect(commentedAtMs - writtenAtMs).toBeLessThanOrEqual(IDLE_MS + TICK_MS);
    },
  );

  it('asks for no comment if the connection writes often enough', () => {
    const connection = new FakeConnection();

    for (let turn = 0; turn < 10; turn++) {
      jest.advanceTimersByTime(IDLE_MS - TICK_MS);
      connection.write();
    }

    expect(connection.commentedAtMs).toEqual([]);
  });

  it('waits a full idle time for a connection that is added later', () => {
    new FakeConnection();
    jest.advanceTimersByTime(10 * IDLE_MS + 1);
    const late = new FakeConnection();

    jest.advanceTimersByTime(IDLE_MS - 1);
    expect(late.commentedAtMs).toEqual([]);

    jest.advanceTimersByTime(TICK_MS + 1);
    expect(late.commentedAtMs).toHaveLength(1);
  });

  it('needs one timer for all connections with the same idle time', () => {
    for (let n = 0; n < 100; n++) new FakeConnection();

    expect(jest.getTimerCount()).toBe(1);
  });

  it('counts each idle time separately', () => {
    const often = new FakeConnection(IDLE_MS);
    const rarely = new FakeConnection(4 * IDLE_MS);

    jest.advanceTimersByTime(IDLE_MS + TICK_MS);

    expect([often.commentedAtMs.length, rarely.commentedAtMs.length]).toEqual([1, 0]);
  });

  it('does not keep the process alive', () => {
    const setInterval = jest.spyOn(globalThis, 'setInterval');

    new FakeConnection();

    const [made] = setInterval.mock.results;
    expect(made?.value.hasRef()).toBe(false);
  });

  it('does not ask a deleted connection', () => {
    const deleted = new FakeConnection();
    new FakeConnection();
    deleted.close();

    jest.advanceTimersByTime(2 * IDLE_MS);

    expect(deleted.commentedAtMs).toEqual([]);
  });

  it('still asks the others when one is deleted', () => {
    const other = new FakeConnection();
    new FakeConnection().close();

    jest.advanceTimersByTime(2 * IDLE_MS);

    expect(other.commentedAtMs).toHaveLength(1);
  });

  it('still asks the others when one deletes itself while it is asked', () => {
    const first = new FakeConnection();
    const second = new FakeConnection();
    first.keepAlive = () => first.close();

    jest.advanceTimersByTime(2 * IDLE_MS);

    expect(second.commentedAtMs).toHaveLength(1);
  });

  it('clears its timer when the last connection is deleted', () => {
    const connections = [new FakeConnection(), new FakeConnection(), new FakeConnection(2 * IDLE_MS)];

    for (const connection of connections) connection.close();

    expect(jest.getTimerCount()).toBe(0);
  });

  it('works again after the last connection was deleted', () => {
    new FakeConnection().close();
    const next = new FakeConnection();

    jest.advanceTimersByTime(2 * IDLE_MS);

    expect(next.commentedAtMs).toHaveLength(1);
  });

  it('still needs one timer after a connection was deleted twice', () => {
    const twice = new FakeConnection();
    twice.close();
    new FakeConnection();
    twice.close();

    new FakeConnection();

    expect(jest.getTimerCount()).toBe(1);
  });
});
