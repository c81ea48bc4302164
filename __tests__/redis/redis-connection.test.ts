import { setImmediate } from 'node:timers/promises';
import type { Connect, DriverListener, RedisDriver } from '../../lib/redis/drivers';
import { NodeConnection } from '../../lib/redis/redis-connection';

const HEARTBEAT_MS = 1_000;

/** A driver whose replies the test sends. */
class FakeDriver implements RedisDriver {
  readonly listener: DriverListener;
  readonly sent: Array<readonly string[]> = [];
  ended = false;
  open!: () => void;
  #pending: Array<{ resolve(reply: unknown): void; reject(error: Error): void }> = [];
  readonly ready = new Promise<void>((resolve) => {
    this.open = resolve;
  });

  constructor(listener: DriverListener) {
    this.listener = listener;
  }

  send(_key: string, command: readonly string[]): Promise<unknown> {
    this.sent.push(command);
    return new Promise((resolve, reject) => this.#pending.push({ resolve, reject }));
  }

  /** Answers the oldest pending command. */
  answer(reply: unknown): void {
    this.#pending.shift()?.resolve(reply);
  }

  /** Rejects the oldest pending command. */
  refuse(error: Error): void {
    this.#pending.shift()?.reject(error);
  }

  ping(): Promise<unknown> {
    return this.send('', ['ping']);
  }

  subscriberCounts = async () => [];

  subscribe = async () => undefined;
  unsubscribe = async () => undefined;

  async end(): Promise<void> {
    this.ended = true;
    for (const { reject } of this.#pending.splice(0)) reject(new Error('ended'));
  }
}

class ErrorReply extends Error {}

let drivers: FakeDriver[];
let lost: unknown[];
let connection: NodeConnection;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'performance', 'setTimeout'] });
  drivers = [];
  lost = [];
  const connect: Connect = (listener) => {
    const driver = new FakeDriver(listener);
    drivers.push(driver);
    return driver;
  };
  const listener = { onReady: () => undefined, onLost: (error: unknown) => lost.push(error), onMessage: () => undefined }; // biome-ignore format: one line
  connection = new NodeConnection(connect, listener, HEARTBEAT_MS);
});

afterEach(async () => {
  jest.useRealTimers();
  await connection.close();
});

/** Resolves with the newest driver once this number of drivers has been created. */
async function nth(count: number): Promise<FakeDriver> {
  while (drivers.length < count) await setImmediate();
  return drivers[count - 1] as FakeDriver;
}

async function opened(count: number): Promise<FakeDriver> {
  const driver = await nth(count);
  driver.open();
  while (connection.driver !== driver) await setImmediate();
  return driver;
}

async function heartbeat(): Promise<void> {
  jest.advanceTimersByTime(HEARTBEAT_MS);
  await setImmediate();
}

describe('a connection to Redis', () => {
  it('sends pings, and keeps its driver while they are answered', async () => {
    const driver = await opened(1);

    for (let i = 0; i < 3; i++) {
      await heartbeat();
      driver.answer('PONG');
      await setImmediate();
    }

    expect(driver.sent).toEqual([['ping'], ['ping'], ['ping']]);
    expect(lost).toEqual([]);
  });

  it('drops a driver that does not answer a ping, and reconnects', async () => {
    const unanswered = await opened(1);
    const appended = connection.now((driver) => driver.send('key', ['EVAL']));

    await heartbeat();
    await heartbeat();

    expect(unanswered.ended).toBe(true);
    expect(lost).toEqual([expect.objectContaining({ message: 'Redis has not answered in time.' })]);
    await expect(appended).rejects.toMatchObject({ code: 'ERR_SSE_LOG_UNAVAILABLE' });
    expect(await opened(2)).not.toBe(unanswered);
  });

  it('takes only a reply of Redis for an answer, and not a rejection by the client itself', async () => {
    const driver = await opened(1);
    await heartbeat();
    driver.refuse(new ErrorReply('NOPERM this user has no permissions to run the ping command'));
    await setImmediate();
    await heartbeat();
    expect(lost).toEqual([]);

    driver.refuse(new Error('Connection in subscriber mode'));
    await setImmediate();
    await heartbeat();

    expect(driver.ended).toBe(true);
    await opened(2);
  });

  it('says that nothing was appended when a command was not sent', async () => {
    const driver = await opened(1);
    driver.listener.onEnd(new Error('lost'));

    const appended = connection.now((to) => to.send('key', ['EVAL']));

    await expect(appended).rejects.toMatchObject({
      message: expect.stringContaining('Nothing was appended'),
    });
    expect(driver.sent).toEqual([]);
  });

  it('drops a driver that does not connect, too', async () => {
    const first = await nth(1);

    await heartbeat();
    await heartbeat();

    expect(first.ended).toBe(true);
    await opened(2);
  });

  it('sends the commands that waited for it before later ones, in order', async () => {
    const driver = await nth(1);
    const send = (name: string) => connection.now((to) => to.send('key', [name]));
    const sends = [send('a'), send('b')];
    driver.open();
    while (connection.driver === undefined) await Promise.resolve();
    sends.push(send('c'));

    expect(driver.sent).toEqual([['a'], ['b'], ['c']]);
    await connection.close();
    await Promise.allSettled(sends);
  });

  it('sends a repeatable command again, after a loss and while Redis is loading', async () => {
    const reply = connection.retrying((driver) => driver.send('key', ['XRANGE']));
    const first = await opened(1);
    while (first.sent.length < 1) await setImmediate();
    first.listener.onEnd(new Error('lost'));
    const second = await opened(2);
    while (second.sent.length < 1) await setImmediate();
    second.refuse(new ErrorReply('LOADING Redis is loading the dataset in memory'));
    while (second.sent.length < 2) await setImmediate();
    second.answer('found');

    expect(await reply).toBe('found');
  });

  it('reconnects when Redis has become a replica', async () => {
    const driver = await opened(1);
    const appended = connection.now((to) => to.send('key', ['EVAL']));

    driver.refuse(new ErrorReply("READONLY You can't write against a read only replica."));

    await expect(appended).rejects.toMatchObject({ message: expect.stringContaining('READONLY') });
    expect(driver.ended).toBe(true);
    await opened(2);
  });

  it('ignores the end of a driver that it has dropped', async () => {
    const first = await opened(1);
    first.listener.onEnd(new Error('lost'));
    const second = await opened(2);

    first.listener.onEnd(new Error('lost again'));

    expect(connection.driver).toBe(second);
    expect(lost).toHaveLength(1);
  });
});
