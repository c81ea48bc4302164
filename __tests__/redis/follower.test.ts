import { setImmediate } from 'node:timers/promises';
import type { LogEntry } from '../../lib/log/entry';
import { StreamFollower } from '../../lib/redis/follower';
import type { StreamHead, StreamMessage, StreamPage } from '../../lib/redis/redis-stream';
import { LogRecorder } from '../support/log-recorder';

type Reply = StreamHead & StreamPage;

interface Read {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** A stream whose replies the test sends. */
class FakeStream {
  /** `'head'`, or the id after which a page was read. */
  readonly reads: string[] = [];
  readonly #pending: Read[] = [];

  head(): Promise<StreamHead> {
    return this.#read('head');
  }

  page(after: string): Promise<StreamPage> {
    return this.#read(after);
  }

  /** Answers the oldest read. */
  async answer(reply: Partial<Reply>): Promise<void> {
    const defaults = { id: '', ended: false, now: 0, entries: [], contiguous: true, lastId: '', more: false };
    this.#pending.shift()?.resolve({ ...defaults, ...reply });
    await setImmediate();
  }

  async refuse(): Promise<void> {
    this.#pending.shift()?.reject(new Error('refused'));
    await setImmediate();
  }

  #read(what: string): Promise<Reply> {
    this.reads.push(what);
    return new Promise((resolve, reject) => this.#pending.push({ resolve, reject }));
  }
}

function entry(number: number): LogEntry {
  return { id: `${number}-0`, record: { kind: 'event', data: String(number), serialized: false } };
}

function entries(from: number, to: number): LogEntry[] {
  return Array.from({ length: to - from + 1 }, (_, index) => entry(from + index));
}

function page(from: number, to: number): Pick<StreamPage, 'entries' | 'lastId'> {
  return { entries: entries(from, to), lastId: `${to}-0` };
}

function message(number: number): StreamMessage {
  return { ...entry(number), previousId: `${number - 1}-0` };
}

let stream: FakeStream;
let recorder: LogRecorder;
let canRetry: boolean;
let stopped: number;
let follower: StreamFollower;

beforeEach(() => {
  stream = new FakeStream();
  recorder = new LogRecorder();
  canRetry = true;
  stopped = 0;
  follower = new StreamFollower({
    stream,
    subscriber: recorder,
    onReceived: () => undefined,
    onLost: () => undefined,
    onLossReported: () => undefined,
    onRefused: () => () => undefined,
    onStop: () => stopped++,
    pause: async () => canRetry,
  });
});

/** Positions the follower at an id; it is LIVE afterwards. */
async function startAt(number: number): Promise<void> {
  follower.onSubscribed();
  await stream.answer({ id: `${number}-0` });
}

describe('a follower', () => {
  it('holds messages until the head is known, and delivers those after it', async () => {
    follower.onMessage(message(4));
    follower.onSubscribed();
    follower.onMessage(message(5));
    follower.onMessage(message(6));
    expect(recorder.received).toEqual([]);

    await stream.answer({ id: '5-0' });

    expect(await follower.from).toBe('5-0');
    expect(recorder.received).toEqual(['6']);
    expect(stream.reads).toEqual(['head']);
  });

  it('delivers a message that follows its position immediately, and each entry once', async () => {
    await startAt(5);

    follower.onMessage(message(6));
    follower.onMessage(message(6));
    follower.onMessage(message(7));

    expect(recorder.received).toEqual(['6', '7']);
    expect(stream.reads).toEqual(['head']);
  });

  it('reads the stream when a message does not follow its position, and holds messages meanwhile', async () => {
    await startAt(5);

    follower.onMessage(message(8));
    follower.onMessage(message(9));
    expect(recorder.received).toEqual([]);
    await stream.answer(page(6, 8));

    expect(recorder.received).toEqual(['6', '7', '8', '9']);
    expect(recorder.gaps).toEqual([]);
    expect(stream.reads).toEqual(['head', '5-0']);
  });

  it('reads page by page, and again while held messages do not follow', async () => {
    await startAt(5);

    follower.onMessage(message(9));
    await stream.answer({ ...page(6, 6), more: true });
    await stream.answer(page(7, 7));
    await stream.answer(page(8, 9));

    expect(recorder.received).toEqual(['6', '7', '8', '9']);
    expect(stream.reads).toEqual(['head', '5-0', '6-0', '7-0']);
  });

  it('reads the stream after each new subscription', async () => {
    await startAt(5);

    follower.onSubscribed();
    await stream.answer(page(6, 7));
    follower.onMessage(message(8));

    expect(recorder.received).toEqual(['6', '7', '8']);
    expect(stream.reads).toEqual(['head', '5-0']);
  });

  it('reads again after a subscription that was acknowledged during a read', async () => {
    follower.onSubscribed();
    follower.onSubscribed();
    await stream.answer({ id: '5-0' });
    follower.onSubscribed();
    await stream.answer(page(6, 6));
    await stream.answer(page(7, 7));
    follower.onMessage(message(8));

    expect(recorder.received).toEqual(['6', '7', '8']);
    expect(stream.reads).toEqual(['head', '5-0', '6-0']);
  });

  it('holds at most 1,000 messages, and reads the entries of the dropped ones from the stream', async () => {
    await startAt(0);

    follower.onSubscribed();
    for (let number = 1; number <= 1_001; number++) follower.onMessage(message(number));
    await stream.answer(page(1, 2));
    expect(recorder.entries).toHaveLength(2);
    await stream.answer(page(3, 1_000));

    expect(recorder.entries).toEqual(entries(1, 1_001));
    expect(stream.reads).toEqual(['head', '0-0', '2-0']);
  });

  it('reports a gap once, before the next entries, even if they arrive later', async () => {
    await startAt(5);

    follower.onSubscribed();
    await stream.answer({ contiguous: false, lastId: '5-0' });
    expect(recorder.gaps).toEqual([]);
    follower.onMessage({ ...message(9), previousId: '0-0' });
    await stream.answer({ ...page(9, 9), contiguous: false });
    follower.onMessage(message(10));

    expect(recorder.received).toEqual(['9', '10']);
    expect(recorder.gaps).toEqual([0]);
  });

  it('repeats a read that Redis refuses, until the log is closed', async () => {
    follower.onSubscribed();
    await stream.refuse();
    await stream.answer({ id: '5-0' });
    expect(stream.reads).toEqual(['head', 'head']);

    follower.onSubscribed();
    canRetry = false;
    await stream.refuse();
    follower.onMessage(message(6));

    expect(stream.reads).toEqual(['head', 'head', '5-0']);
    expect(recorder.received).toEqual([]);
  });
});

describe('close() of a follower', () => {
  it('resolves from if it is called before the acknowledgement', async () => {
    follower.close();
    await stream.answer({ id: '5-0' });

    expect(await follower.from).toBe('5-0');
  });

  it('resolves from if it is called while the head is read, and delivers nothing', async () => {
    follower.onSubscribed();
    follower.onMessage(message(6));
    follower.close();
    await stream.answer({ id: '5-0' });
    follower.onMessage(message(6));

    expect(await follower.from).toBe('5-0');
    expect(recorder.received).toEqual([]);
    expect(stream.reads).toEqual(['head']);
  });

  it('discards held messages and the page of a read in progress', async () => {
    await startAt(5);
    follower.onMessage(message(8));

    follower.close();
    follower.close();
    await stream.answer({ ...page(6, 8), more: true });
    follower.onMessage(message(9));

    expect(recorder.received).toEqual([]);
    expect(stream.reads).toEqual(['head', '5-0']);
    expect(stopped).toBe(1);
  });
});

describe('a subscriber that closes its subscription while held messages are delivered', () => {
  it('receives no further message', async () => {
    const onEntries = recorder.onEntries.bind(recorder);
    recorder.onEntries = (entries, gapBefore) => {
      onEntries(entries, gapBefore);
      follower.close();
    };
    follower.onSubscribed();
    for (const number of [6, 7, 8]) follower.onMessage(message(number));

    await stream.answer({ id: '5-0' });

    expect(recorder.received).toEqual(['6']);
    expect(stopped).toBe(1);
  });
});

describe('onClose() of a follower', () => {
  it('rejects from, and ends the follower', async () => {
    const error = new Error('closed');
    follower.onClose(error);
    follower.close();
    follower.onMessage(message(1));

    await expect(follower.from).rejects.toBe(error);
    expect(recorder.received).toEqual([]);
    expect(stream.reads).toEqual([]);
    expect(stopped).toBe(0);
  });
});
