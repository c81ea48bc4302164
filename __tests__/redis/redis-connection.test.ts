import { setImmediate } from 'node:timers/promises';
import type { Dial } from '../../lib/redis/address';
import type { Line, LineListener } from '../../lib/redis/drivers';
import { RedisConnection } from '../../lib/redis/redis-connection';

const HEARTBEAT_MS = 1_000;

/** A line at whose other end the test stands. */
class FakeLine implements Line {
  readonly listener: LineListener;
  readonly sent: Array<readonly string[]> = [];
  ended = false;
  open!: () => void;
  #waiting: Array<{ resolve(reply: unknown): void; reject(error: Error): void }> = [];
  readonly ready = new Promise<void>((resolve) => {
    this.open = resolve;
  });

  constructor(listener: LineListener) {
    this.listener = listener;
  }

  send(_key: string, command: readonly string[]): Promise<unknown> {
    this.sent.push(command);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** What is first in line. */
  answer(reply: unknown): void {
    this.#waiting.shift()?.resolve(reply);
  }

  refuse(error: Error): void {
    this.#waiting.shift()?.reject(error);
  }

  async sendToAll(command: readonly string[]): Promise<readonly unknown[]> {
    return [await this.send('', command)];
  }

  subscribe = async () => undefined;
  unsubscribe = async () => undefined;

  async end(): Promise<void> {
    this.ended = true;
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('ended'));
  }
}

class ErrorReply extends Error {}

let lines: FakeLine[];
let lost: unknown[];
let connection: RedisConnection;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'performance', 'setTimeout'] });
  lines = [];
  lost = [];
  const dial: Dial = (listener) => {
    const line = new FakeLine(listener);
    lines.push(line);
    return line;
  };
  const listener = { onReady: () => undefined, onLost: (error: unknown) => lost.push(error), onMessage: () => undefined }; // biome-ignore format: one line
  connection = new RedisConnection(dial, listener, HEARTBEAT_MS);
});

afterEach(async () => {
  jest.useRealTimers();
  await connection.close();
});

/** The newest line, once there are so many. */
async function nth(count: number): Promise<FakeLine> {
  while (lines.length < count) await setImmediate();
  return lines[count - 1] as FakeLine;
}

async function opened(count: number): Promise<FakeLine> {
  const line = await nth(count);
  line.open();
  while (connection.line !== line) await setImmediate();
  return line;
}

async function beat(): Promise<void> {
  jest.advanceTimersByTime(HEARTBEAT_MS);
  await setImmediate();
}

describe('a connection to Redis', () => {
  it('is asked for a sign of life, and stays as long as it gives one', async () => {
    const line = await opened(1);

    for (let i = 0; i < 3; i++) {
      await beat();
      line.answer('PONG');
      await setImmediate();
    }

    expect(line.sent).toEqual([['PING'], ['PING'], ['PING']]);
    expect(lost).toEqual([]);
  });

  it('that gives none is given up, and made anew', async () => {
    const silent = await opened(1);
    const appended = connection.now((line) => line.send('key', ['EVAL']));

    await beat();
    await beat();

    expect(silent.ended).toBe(true);
    expect(lost).toEqual([expect.objectContaining({ message: 'Redis has not answered for too long.' })]);
    await expect(appended).rejects.toMatchObject({ code: 'ERR_SSE_LOG_UNAVAILABLE' });
    expect(await opened(2)).not.toBe(silent);
  });

  it('that does not come about is given up, too', async () => {
    const first = await nth(1);

    await beat();
    await beat();

    expect(first.ended).toBe(true);
    await opened(2);
  });

  it('sends what waited for it before what comes later, in order', async () => {
    const line = await nth(1);
    const send = (name: string) => connection.now((to) => to.send('key', [name]));
    const sends = [send('a'), send('b')];
    line.open();
    while (connection.line === undefined) await Promise.resolve();
    sends.push(send('c'));

    expect(line.sent).toEqual([['a'], ['b'], ['c']]);
    await connection.close();
    await Promise.allSettled(sends);
  });

  it('asks again what may be asked twice, after a loss and while Redis is loading', async () => {
    const asked = connection.patiently((line) => line.send('key', ['XRANGE']));
    const first = await opened(1);
    while (first.sent.length < 1) await setImmediate();
    first.listener.onEnd(new Error('gone'));
    const second = await opened(2);
    while (second.sent.length < 1) await setImmediate();
    second.refuse(new ErrorReply('LOADING Redis is loading the dataset in memory'));
    while (second.sent.length < 2) await setImmediate();
    second.answer('found');

    expect(await asked).toBe('found');
  });

  it('is made anew when Redis has become a replica', async () => {
    const line = await opened(1);
    const appended = connection.now((to) => to.send('key', ['EVAL']));

    line.refuse(new ErrorReply("READONLY You can't write against a read only replica."));

    await expect(appended).rejects.toMatchObject({ message: expect.stringContaining('READONLY') });
    expect(line.ended).toBe(true);
    await opened(2);
  });

  it('is not lost by a line that was given up before', async () => {
    const first = await opened(1);
    first.listener.onEnd(new Error('gone'));
    const second = await opened(2);

    first.listener.onEnd(new Error('gone again'));

    expect(connection.line).toBe(second);
    expect(lost).toHaveLength(1);
  });
});
