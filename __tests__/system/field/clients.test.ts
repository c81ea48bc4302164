import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import express, { type Express } from 'express';
import { Channel, comment, event, memoryLog } from '../../../lib/index';
import { describeInChromium } from '../../support/chromium';
import {
  type ClientKind,
  chromiumEventSource,
  chromiumFetch,
  eventsource,
  eventsourceClient,
  fetchEventSource,
  type Heard,
  ITS_OWN,
  Listener,
  launchDarkly,
  type Post,
  servePages,
} from '../../support/field-clients';
import { Curl } from '../../support/field-curl';
import { Matrix, ms } from '../../support/field-matrix';
import { aborted, Gate } from '../../support/gate';
import { describeWithCommand } from '../../support/proxy';
import { releaseAll, serve, type TestServer } from '../../support/serve';

// A browser starts.
jest.setTimeout(15_000);

const matrix = new Matrix('client');
const closers: Array<() => void> = [];
const servers: Asked[] = [];

// Here, so that it comes after the tabs have been closed.
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await Promise.all(servers.splice(0).map((asked) => asked.left()));
  await releaseAll();
});

afterAll(() => matrix.print());

/** A server for pages and for one stream, and what it was asked for. */
class Asked {
  static async serve(build: (app: Express) => void): Promise<Asked> {
    const before = new WeakMap<Socket, number>();
    const server = await serve(
      (app) => {
        servePages(app);
        app.use('/stream', ({ socket }, _res, next) => {
          before.set(socket, socket.bytesWritten);
          next();
        });
        build(app);
      },
      { retryMs: 1 },
    );
    const asked = new Asked(server, before);
    servers.push(asked);
    return asked;
  }

  readonly listener = new Listener();
  readonly #server: TestServer;
  /** How many bytes had been written to each socket when it was asked for the stream. */
  readonly #before: WeakMap<Socket, number>;

  private constructor(server: TestServer, before: WeakMap<Socket, number>) {
    this.#server = server;
    this.#before = before;
  }

  async open(kind: ClientKind, post?: Post): Promise<() => void> {
    const close = await kind.open(this.#server.url(''), '/stream', this.listener, post);
    closers.push(close);
    return close;
  }

  get url(): string {
    return this.#server.url('/stream');
  }

  get #responses() {
    return this.#server.responses.filter(({ req }) => req.path === '/stream');
  }

  /** `Last-Event-ID` of each request for the stream, decoded. */
  get ids(): string[] {
    return this.#responses.map((res) => res.sse.lastEventId);
  }

  get statuses(): number[] {
    return this.#responses.map(({ statusCode }) => statusCode);
  }

  /** What the client has heard, without what it makes up by itself; of that there are tests of their own. */
  heard(kind: ClientKind): Heard[] {
    const isReal = ({ data }: Heard) => data !== ITS_OWN && (data !== '' || !kind.hearsFramesWithoutData);
    return this.listener.heard.filter(isReal);
  }

  said(kind: ClientKind): string[] {
    return this.heard(kind).map(({ type, data }) => `${type} ${data}`);
  }

  /** Resolves when every stream is over, and ends the connections that Node's fetch has opened ahead of need. */
  async left(): Promise<void> {
    while (this.#server.sse.size > 0) await setImmediate();
    this.#server.server.closeAllConnections();
  }

  /** What the latest stream has sent arrives, and then the connection is gone. */
  async cut(): Promise<void> {
    const socket = this.#responses.at(-1)?.socket as Socket;
    const before = this.#before.get(socket);
    while (socket.bytesWritten === before || socket.writableLength > 0) await setImmediate();
    socket.destroy();
  }
}

/** What a client hears of a frame that has no data, if it hears of it. */
const EMPTY: Heard = { type: 'message', data: '', id: '' };

/** What a user has of a client that may come again. */
function describeClient(kind: ClientKind): void {
  const note = (column: string, seen: string) => matrix.note(kind.name, column, seen);

  describe(kind.name, () => {
    describeReader(kind);

    it('comes again after a cut, with the id of the last event that it has heard', async () => {
      const asked = await Asked.serve((app) => {
        app.get('/stream', async function* (_req, res) {
          const n = Number(res.sse.lastEventId.slice(1)) + 1;
          if (n > 3) return 'done';
          yield event('message', n, { id: `é${n}` });
          await aborted(res.sse.signal);
        });
      });
      await asked.open(kind);
      const from = performance.now();

      for (const n of ['1', '2', '3']) {
        await asked.listener.until(n);
        await asked.cut();
      }
      await asked.listener.stopped.promise;

      expect(asked.said(kind)).toEqual(['message 1', 'message 2', 'message 3', 'end done']);
      expect(asked.ids.slice(0, 4)).toEqual(['', 'é1', 'é2', 'é3']);
      // Three times sooner than it would by itself: it has read the `retry` of the server.
      const elapsed = performance.now() - from;
      expect(elapsed).toBeLessThan(kind.ownRetryMs * 3);
      note('resume', 'exact');
      note('`retry: 1`', `${ms(elapsed / 3)} each time, not ${kind.ownRetryMs}`);
    });

    it('hears the gap of a channel whose log has gone on without it', async () => {
      const channel = new Channel<number>({ log: memoryLog({ maxEvents: 1 }) });
      const asked = await Asked.serve((app) => app.get('/stream', () => channel));
      await asked.open(kind);
      while (channel.size === 0) await setImmediate();
      const lastEventId = await channel.publish(1);
      await asked.listener.until('1');

      await asked.cut();
      await channel.publish(2);
      const oldest = await channel.publish(3);
      await asked.listener.until('3');

      const gap = JSON.stringify({ lastEventId, oldest });
      expect(asked.said(kind)).toEqual(['message 1', `gap ${gap}`, 'message 3']);
      note('`gap`', 'heard');
    });

    const remembers = kind.forgetsIdsWithoutData ? 'does not remember' : 'remembers';
    it(`${remembers} the place in a channel that came without an event`, async () => {
      const channel = new Channel<string>();
      const asked = await Asked.serve((app) => app.get('/stream', () => channel));
      await asked.open(kind);
      while (channel.size === 0) await setImmediate();
      // A fetch whose connection fails loses what has not been read yet.
      while (kind.hearsFramesWithoutData && asked.listener.heard.length < 2) await setImmediate();

      await asked.cut();
      await channel.publish('meanwhile');
      while (asked.ids.length < 2 || channel.size === 0) await setImmediate();
      await channel.publish('live');
      await asked.listener.until('live');

      const missed = kind.forgetsIdsWithoutData ? [] : ['message meanwhile'];
      expect(asked.said(kind)).toEqual([...missed, 'message live']);
      note('id without data', kind.forgetsIdsWithoutData ? 'forgotten' : 'remembered');
    });
  });
}

/** What a user has of any client. */
function describeReader(kind: ClientKind): void {
  const note = (column: string, seen: string) => matrix.note(kind.name, column, seen);

  it('hears lines, unicode, types and ids as they were meant', async () => {
    const lines = 'one\ntwo\n\nünï ✓ 🚀\u2028 :x';
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* () {
        yield lines;
        yield event('price', { price: 1 }, { id: 'é 7' });
        return { rows: 1 };
      });
    });
    await asked.open(kind);

    await asked.listener.stopped.promise;

    expect(asked.heard(kind)).toEqual([
      { type: 'message', data: lines, id: '' },
      { type: 'price', data: '{"price":1}', id: 'é 7' },
      { type: 'end', data: '{"rows":1}', id: '~end' },
    ]);
    note('data, types, ids', 'exact');
  });

  it('hears each event before the next one is yielded', async () => {
    const gates = Array.from({ length: 5 }, () => new Gate());
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* () {
        for (const [n, gate] of gates.entries()) {
          yield n;
          await gate.promise;
        }
      });
    });
    await asked.open(kind);

    for (const [n, gate] of gates.entries()) {
      await asked.listener.until(`${n}`);
      gate.open();
    }

    await asked.listener.stopped.promise;
    note('each at once', 'yes');
  });

  const hears = kind.hearsFramesWithoutData ? 'also a comment and a `retry` alone' : 'nothing of a comment';
  it(`hears an event of empty data, and ${hears}`, async () => {
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* () {
        yield comment('hidden');
        yield '';
      });
    });
    await asked.open(kind);

    await asked.listener.stopped.promise;

    // Nothing tells its user which is which.
    const madeUp = kind.hearsFramesWithoutData ? [EMPTY, EMPTY] : [];
    expect(asked.listener.heard.filter(({ type }) => type === 'message')).toEqual([...madeUp, EMPTY]);
    note('frames without data', kind.hearsFramesWithoutData ? 'heard as empty messages' : 'not heard');
  });

  it("hears a channel's first event, and no other before it", async () => {
    const channel = new Channel<string>();
    const asked = await Asked.serve((app) => app.get('/stream', () => channel));
    await asked.open(kind);
    while (channel.size === 0) await setImmediate();

    await channel.publish('first');
    await asked.listener.until('first');

    expect(asked.said(kind)).toEqual(['message first']);
    note('channel', 'first event first');
  });

  const requests = kind.stopsAtAnyEnd ? [''] : ['', '~end'];
  it(`makes ${kind.stopsAtAnyEnd ? 'one request' : 'two requests'} for a finished stream`, async () => {
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* () {
        yield 'first';
        return 'done';
      });
    });
    await asked.open(kind);

    await asked.listener.stopped.promise;

    expect(asked.said(kind)).toEqual(['message first', 'end done']);
    expect(asked.ids).toEqual(requests);
    expect(asked.statuses).toEqual([200, 204].slice(0, requests.length));
    note('`end`', kind.stopsAtAnyEnd ? '1 request' : '2 requests, stops on 204');
  });

  it('closes, and the generator knows', async () => {
    const left = new Gate();
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* (_req, res) {
        yield 'first';
        await aborted(res.sse.signal);
        left.open();
      });
    });
    const close = await asked.open(kind);
    await asked.listener.until('first');

    close();

    await left.promise;
    note('closing noticed', 'yes');
  });

  if (kind.canPost) {
    it('hears the answer to a POST with a JSON body', async () => {
      const asked = await Asked.serve((app) => {
        app.post('/stream', express.json(), async function* (req) {
          yield req.body;
        });
      });
      const headers = { 'Content-Type': 'application/json' };

      await asked.open(kind, { method: 'POST', headers, body: '{"prompt":"hé"}' });
      await asked.listener.until('{"prompt":"hé"}');

      note('POST', 'heard');
    });
  }
}

describeClient(eventsource);

describeClient(eventsourceClient);

describeClient(launchDarkly);

describe('launchdarkly-eventsource whose connection ends', () => {
  it('says `end` itself, so that only the data tells it from the closing event', async () => {
    const asked = await Asked.serve((app) => {
      // biome-ignore lint/correctness/useYield: it has nothing else to say.
      app.get('/stream', async function* () {
        return 'ours';
      });
    });
    await asked.open(launchDarkly);

    await asked.listener.stopped.promise;

    expect(asked.listener.heard.map(({ type, data }) => `${type} ${data}`)).toEqual([
      'end ours',
      `end ${ITS_OWN}`,
    ]);
    matrix.note(launchDarkly.name, 'and', 'an `end` of its own after each end');
  });
});

describeInChromium('Chromium', (tabs) => {
  describeClient(chromiumEventSource(tabs));

  describeClient(fetchEventSource(tabs));

  describe(chromiumFetch(tabs).name, () => describeReader(chromiumFetch(tabs)));

  describe('fetch-event-source whose user comes again after an end', () => {
    const finished = (app: Express) => {
      app.get('/stream', async function* () {
        yield 'first';
      });
    };
    it('does not stop on 204 by itself', async () => {
      const asked = await Asked.serve(finished);
      await asked.open(fetchEventSource(tabs, 'come again'));

      while (asked.ids.length < 4) await setImmediate();

      expect(asked.ids.slice(0, 4)).toEqual(['', '~end', '~end', '~end']);
    });

    it('stops if its `onopen` aborts on 204', async () => {
      const asked = await Asked.serve(finished);
      await asked.open(fetchEventSource(tabs, 'come again, unless 204'));

      await asked.listener.stopped.promise;

      expect(asked.ids).toEqual(['', '~end']);
    });
  });
});

describeWithCommand('curl', 'curl', () => {
  const note = (column: string, seen: string) => matrix.note('curl -N', column, seen);
  it('prints each event before the next one is yielded, and ends', async () => {
    const gates = Array.from({ length: 5 }, () => new Gate());
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* () {
        for (const [n, gate] of gates.entries()) {
          yield event('tick', `${n}\nünï ✓ 🚀`, { id: n });
          await gate.promise;
        }
      });
    });
    const curl = await Curl.open(asked.url);

    for (const [n, gate] of gates.entries()) {
      await curl.until(`event: tick\nid: ${n}\ndata: ${n}\ndata: ünï ✓ 🚀\n\n`);
      gate.open();
    }

    expect(await curl.ended()).toMatch(/event: end\nid: ~end\ndata: \n\n$/);
    note('data, types, ids', 'exact');
    note('each at once', 'yes');
    note('`end`', '1 request');
  });

  it('resumes after the id that its user gives, and gets a 204 for `~end`', async () => {
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* (_req, res) {
        yield `after ${res.sse.lastEventId}`;
      });
    });

    const resumed = await Curl.open('-H', 'Last-Event-ID: é 7', asked.url);
    const finished = await Curl.open('-w', '%{http_code}', '-H', 'Last-Event-ID: ~end', asked.url);

    expect(await resumed.ended()).toContain('data: after é 7\n\n');
    expect(await finished.ended()).toBe('204');
    note('resume', 'by `-H`');
  });

  it('prints the answer to a POST with a JSON body', async () => {
    const asked = await Asked.serve((app) => {
      app.post('/stream', express.json(), async function* (req) {
        yield req.body;
      });
    });

    const curl = await Curl.open('-H', 'Content-Type: application/json', '-d', '{"prompt":"hé"}', asked.url);

    expect(await curl.ended()).toContain('data: {"prompt":"hé"}\n\n');
    note('POST', 'heard');
  });

  it('is killed, and the generator knows', async () => {
    const left = new Gate();
    const asked = await Asked.serve((app) => {
      app.get('/stream', async function* (_req, res) {
        yield 'first';
        await aborted(res.sse.signal);
        left.open();
      });
    });
    const curl = await Curl.open(asked.url);
    await curl.until('data: first\n\n');

    await curl.leave();

    await left.promise;
    note('closing noticed', 'yes');
  });
});
