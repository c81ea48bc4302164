import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { type OpenedStream, openStream, type StreamInit } from '../../../lib/testing';
import { aborted, Gate } from '../gate';
import type { App, Build, Given, Topic } from './contender';

/** Resolves to whether a package, used as in `build`, supports a topic. Rejects if the app fails before that is known. */
export type Probe = (build: Build) => Promise<boolean>;

/** How many other requests are answered before a probe concludes that something does not happen. */
const ROUND_TRIPS = 60;

/** More than the kernel buffers for a client that does not read. */
const MOST_CHUNKS = 600;
const CHUNK = 'x'.repeat(65_536);

const FORGED = 'forged\ndata: forged\n\nevent: admin\ndata: forged\n\n';

const TEXT = 'one\ntwo\r\nthree\rfour\n\nsix \u2028 ü 🚀';

/** What a client gets of {@link TEXT}: an event stream has one kind of line ending. */
const LINES = TEXT.split(/\r\n|\r|\n/);

const opened: Array<{ close(): unknown }> = [];

/** For `afterEach`: disconnects all clients. */
export async function releaseClients(): Promise<void> {
  for (const client of opened.splice(0)) await client.close();
}

export const PROBES: Readonly<Record<Topic, Probe>> = {
  takesGenerators: async (build) => {
    const app = await build(given({ source: countTo(3) }));
    const stream = await open(app);
    const numbers = () =>
      dataOf(stream.text)
        .slice(0, 3)
        .map((data) => Number(JSON.parse(data)));
    return happens(app, () => numbers().join() === '1,2,3');
  },

  endsWaiting: async (build) => {
    let hasEnded = false;
    const source = async function* (signal?: AbortSignal) {
      try {
        yield 'first';
        await (signal === undefined ? new Gate().promise : aborted(signal));
      } finally {
        hasEnded = true;
      }
    };
    const app = await build(given({ source }));
    const stream = await open(app);
    await stream.next();
    if (await happens(app, () => hasEnded)) return false;
    stream.drop();
    return happens(app, () => hasEnded);
  },

  endsUnread: async (build) => {
    const flood = new Flood();
    const app = await build(given({ source: flood.source }));
    const stream = await open(app);
    await stream.next();
    stream.stall();
    await flood.settled(app);
    expect(flood.hasEnded).toBe(false);
    stream.drop();
    return happens(app, () => flood.hasEnded);
  },

  refuses: async (build) => {
    // biome-ignore lint/correctness/useYield: it fails before.
    const source = async function* () {
      throw Object.assign(new Error('Unauthorized'), { status: 401, statusCode: 401 });
    };
    const app = await build(given({ source }));
    const stream = await open(app);
    expect([200, 401]).toContain(stream.status);
    return stream.status === 401;
  },

  waitsForClients: async (build) => {
    const flood = new Flood();
    const app = await build(given({ source: flood.source }));
    const stream = await open(app);
    await stream.next();
    stream.stall();
    await flood.settled(app);
    return !flood.isTaken;
  },

  stopsFinished: async (build) => {
    const app = await build(given({ source: countTo(2) }));
    let requests = 0;
    app.server.on('request', ({ url }) => {
      if (url === '/') requests++;
    });
    const source = new EventSource(urlOf(app));
    opened.push(source);
    await happens(app, () => {
      // It reconnects after seconds; the test does not wait for real time.
      jest.advanceTimersByTime(3_000);
      return source.readyState === source.CLOSED || requests > 4;
    });
    return source.readyState === source.CLOSED && requests === 2;
  },

  forgesNothing: async (build) => {
    for (const message of [
      { data: 'payload', event: FORGED, id: '1' },
      { data: 'payload', event: 'price', id: FORGED },
    ]) {
      const app = await build(given({ message }));
      const stream = await open(app);
      await happens(app, () => stream.text.includes('payload') || stream.status !== 200);
      if (messagesOf(stream.text).some(({ event, data }) => event === 'admin' || data === 'forged'))
        return false;
    }
    return true;
  },

  sendsLines: async (build) => {
    const stream = await openText(build);
    return dataOf(stream.text)[0] === LINES.join('\n');
  },

  sendsJson: async (build) => {
    const stream = await openText(build);
    return dataOf(stream.text)[0] === JSON.stringify(TEXT);
  },

  flushes: async (build) => {
    const gates = [new Gate(), new Gate(), new Gate()];
    const app = await build(given({ source: gated(gates) }));
    const stream = await open(app, { headers: { 'Accept-Encoding': 'gzip' } });
    for (const [index, gate] of gates.entries()) {
      const arrived = await happens(app, () => dataOf(stream.text).length === index + 1);
      if (!arrived) return false;
      gate.open();
    }
    return true;
  },

  answersPosts: async (build) => {
    let hasEnded = false;
    const go = new Gate();
    const source = async function* (signal?: AbortSignal) {
      try {
        yield 'first';
        await go.promise;
        yield 'second';
        if (signal !== undefined) await aborted(signal);
      } finally {
        hasEnded = true;
      }
    };
    const app = await build(given({ source }));
    const headers = { 'Content-Type': 'application/json' };
    const stream = await open(app, { method: 'POST', headers, body: '{"prompt":"hello"}' });
    go.open();
    if (!(await happens(app, () => dataOf(stream.text).length === 2))) return false;
    if (await happens(app, () => hasEnded)) return false;
    stream.drop();
    return happens(app, () => hasEnded);
  },

  sendsToOne: async (build) => {
    const app = await build(given());
    const other = await subscribed(app, 1);
    const mine = await subscribed(app, 2);
    return (await publishes(app, 'for one', [mine])) && !(await publishes(app, 'for one', [other]));
  },

  broadcasts: async (build) => {
    const app = await build(given());
    return publishes(app, 'for all', [await subscribed(app, 1), await subscribed(app, 2)]);
  },

  replays: async (build) => {
    const app = await build(given());
    const stream = await subscribed(app, 1);
    await publish(app, 1);
    await stream.untilText('value 1');
    stream.drop();
    await happens(app, () => app.subscribers() === 0);
    await publish(app, 2);
    await publish(app, 3);
    await stream.reconnect();
    await happens(app, () => app.subscribers() === 1);
    await publish(app, 4);
    await happens(app, () => stream.text.includes('value 4'));
    return valuesOf(stream.text).join() === '2,3,4';
  },

  keepsAlive: async (build) => {
    const app = await build(given({ source: gated([new Gate()]) }));
    const stream = await open(app);
    await stream.next();
    const { length } = stream.text;
    jest.advanceTimersByTime(32_000);
    return happens(app, () => /^:/m.test(stream.text.slice(length)));
  },

  endsAll: async (build) => {
    const app = await build(given({ source: gatedBySignal }));
    const streams = [await open(app), await open(app)];
    for (const stream of streams) await stream.next();
    let ended = 0;
    for (const stream of streams) void stream.ended().then(() => ended++, ignored);
    const ending = app.end();
    // Some packages spread the ends over time with timers.
    jest.advanceTimersByTime(1);
    await ending;
    if (!(await happens(app, () => ended === streams.length))) return false;
    app.server.close();
    await once(app.server, 'close');
    return true;
  },

  hidesErrors: async (build) => {
    const source = async function* () {
      yield 'first';
      throw new Error('password=hunter2');
    };
    const app = await build(given({ source }));
    const stream = await open(app);
    await stream.next();
    await stream.closed();
    return !stream.text.includes('hunter2');
  },

  negotiates: async (build) => {
    const app = await build(given());
    const streamed = await open(app);
    const answered = await open(app, { headers: { Accept: 'application/json' } });
    await streamed.next();
    return happens(app, () => answered.text === '{"streams":false}' || answered.text === '["1"]');
  },
};

function given(part: Partial<Given> = {}): Given {
  return { source: countTo(1), message: { data: '', event: 'message', id: '1' }, text: TEXT, ...part };
}

function countTo(last: number) {
  return async function* () {
    for (let n = 1; n <= last; n++) yield `${n}`;
  };
}

/** A value before each gate. */
function gated(gates: readonly Gate[]) {
  return async function* (signal?: AbortSignal) {
    for (const gate of gates) {
      yield 'value';
      await (signal === undefined ? gate.promise : Promise.race([gate.promise, aborted(signal)]));
    }
  };
}

async function* gatedBySignal(signal?: AbortSignal) {
  yield 'first';
  await (signal === undefined ? new Gate().promise : aborted(signal));
}

/** More events than fit in the buffers for a client that does not read, one each turn of the event loop. */
class Flood {
  hasEnded = false;
  #chunks = 0;
  #isStopped = false;

  constructor() {
    // A source that nothing ends would keep this process alive.
    opened.push({
      close: () => {
        this.#isStopped = true;
      },
    });
  }

  /** Whether the package has taken everything, although the client does not read. */
  get isTaken(): boolean {
    return this.#chunks === MOST_CHUNKS;
  }

  /** Resolves when the package has taken everything, or takes no more. */
  async settled(app: App): Promise<void> {
    let before: number;
    do {
      before = this.#chunks;
      await happens(app, () => this.isTaken);
    } while (this.#chunks > before && !this.isTaken);
  }

  readonly source = async function* (this: Flood) {
    try {
      while (!this.isTaken) {
        yield CHUNK;
        this.#chunks++;
        await setImmediate();
      }
      while (!this.#isStopped) {
        yield 'on';
        await setImmediate();
      }
    } finally {
      this.hasEnded = true;
    }
  }.bind(this);
}

async function open(app: App, init?: StreamInit): Promise<OpenedStream> {
  const stream = await openStream(app.server, '/', init);
  opened.push(stream);
  return stream;
}

async function openText(build: Build): Promise<OpenedStream> {
  const app = await build(given());
  const stream = await open(app);
  await stream.next();
  return stream;
}

/** @returns the stream, when the app has `count` of them */
async function subscribed(app: App, count: number): Promise<OpenedStream> {
  const stream = await open(app);
  if (!(await happens(app, () => app.subscribers() === count)))
    throw new Error('Expected a subscriber, got none.');
  return stream;
}

async function publish(app: App, n: number): Promise<void> {
  await app.publish(`value ${n}`, n);
}

async function publishes(app: App, data: string, streams: readonly OpenedStream[]): Promise<boolean> {
  await app.publish(data, 1);
  return happens(app, () => streams.every(({ text }) => text.includes(data)));
}

/** @returns whether something becomes true before {@link ROUND_TRIPS} other requests to the same server are answered */
async function happens(app: App, isSo: () => boolean): Promise<boolean> {
  for (let n = 0; n < ROUND_TRIPS; n++) {
    if (isSo()) return true;
    const other = await openStream(app.server, '/ping');
    expect(await other.ended()).toBe('pong');
    await other.close();
  }
  return isSo();
}

function urlOf({ server }: App): string {
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/`;
}

/** A stream that has not ended is missing in the count. */
function ignored(): void {}

/** As another package's parser reads it. */
function messagesOf(text: string): EventSourceMessage[] {
  const messages: EventSourceMessage[] = [];
  createParser({ onEvent: (message) => messages.push(message) }).feed(text);
  return messages;
}

function dataOf(text: string): string[] {
  return messagesOf(text).map(({ data }) => data);
}

function valuesOf(text: string): string[] {
  return Array.from(text.matchAll(/value (\d)/g), ([, n = '']) => n);
}
