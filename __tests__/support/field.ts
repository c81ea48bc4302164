import http from 'node:http';
import http2 from 'node:http2';
import { setImmediate } from 'node:timers/promises';
import express, { type Express, type RequestHandler } from 'express';
import { Channel, event, type Sse } from '../../lib';
import { openStream, type StreamInit } from '../../lib/testing';
import { type FieldStream, Http2Stream } from './field-http2';
import { type Matrix, median, ms } from './field-matrix';
import { aborted, Gate } from './gate';
import { type ProxyKind, ProxyProcess } from './proxy';
import { releaseAll, type ServeOptions, serve, type TestServer } from './serve';

/** A setup under test: the client's protocol and headers, the proxy, and the middleware of the app. */
export interface Setup {
  readonly name: string;
  readonly proxy?: ProxyKind;
  readonly http2?: boolean;
  /** The headers of each request. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly options?: Omit<ServeOptions, 'outermost'>;
  /** Creates the middleware that runs before `app.use(sse())`; called once for each app. */
  readonly middleware?: () => RequestHandler[];
  /** Whether the proxy reports a disconnected client to the server only at the next write. */
  readonly reportsLate?: boolean;
  /** The response headers that this setup adds to the usual ones. */
  readonly head?: Readonly<Record<string, unknown>>;
}

/** A running setup: an app, its proxy and its clients. */
export class Field {
  static async start(
    setup: Setup,
    build: (app: Express, sse: Sse) => void,
    options?: ServeOptions,
  ): Promise<Field> {
    // Such a proxy reports a disconnected client only if the server writes.
    const writes = setup.reportsLate ? { keepAliveMs: 64 } : {};
    const server = await serve(build, {
      ...writes,
      ...setup.options,
      ...options,
      outermost: setup.middleware?.(),
    });
    const proxy = setup.proxy && (await ProxyProcess.start(setup.proxy, server.port));
    const field = new Field(setup, server, proxy);
    running.push(field);
    return field;
  }

  readonly server: TestServer;
  readonly url: string;
  readonly #setup: Setup;
  readonly #proxy: ProxyProcess | undefined;
  readonly #streams: FieldStream[] = [];

  private constructor(setup: Setup, server: TestServer, proxy: ProxyProcess | undefined) {
    this.#setup = setup;
    this.server = server;
    this.#proxy = proxy;
    this.url = proxy?.url ?? server.url('');
  }

  /** Opens a stream with the protocol and headers of the setup. */
  async open(path: string, init: StreamInit = {}): Promise<FieldStream> {
    const whole = { ...init, headers: { ...this.#setup.headers, ...init.headers } };
    const stream = this.#setup.http2
      ? await new Http2Stream(this.url, path, whole).reconnect()
      : await openStream(this.url, path, whole);
    this.#streams.push(stream);
    return stream;
  }

  /** Sends a request whose response may never start. @returns a function that disconnects the client */
  send(path: string): () => void {
    const { headers } = this.#setup;
    if (this.#setup.http2) {
      const session = http2.connect(this.url, { rejectUnauthorized: false }).on('error', () => undefined);
      session.request({ ...headers, ':path': path }).on('error', () => undefined);
      return () => session.destroy();
    }
    const request = http.get(this.url + path, { headers, agent: false }).on('error', () => undefined);
    return () => request.destroy();
  }

  /** Disconnects the clients. Every test includes that the server detects this through the proxy. */
  async release(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.close()));
    const late = AbortSignal.timeout(3_000);
    while (this.server.sse.size > 0 && !late.aborted) await setImmediate();
    const { size } = this.server.sse;
    await this.#proxy?.stop();
    if (size > 0)
      throw new Error(
        `Expected the server to detect that all clients have disconnected, but ${size} streams are open.`,
      );
  }
}

const running: Field[] = [];

/** For `afterEach`: ends everything that {@link Field.start} has started and asserts that nothing remains. */
export async function releaseFields(): Promise<void> {
  try {
    await Promise.all(running.splice(0).map((field) => field.release()));
  } finally {
    await releaseAll();
  }
}

/** The behaviour that every setup must have. */
export function describeSetup(setup: Setup, matrix: Matrix): void {
  const start = (build: (app: Express, sse: Sse) => void, options?: ServeOptions) =>
    Field.start(setup, build, options);
  const note = (column: string, seen: string) => matrix.note(setup.name, column, seen);

  describe(setup.name, () => {
    it('delivers each event before the next one is yielded', async () => {
      const gates = Array.from({ length: 10 }, () => new Gate());
      const field = await start((app) => {
        app.get('/', async function* () {
          for (const [n, gate] of gates.entries()) {
            yield event('tick', n, { id: n });
            await gate.promise;
          }
        });
      });
      const latencies: number[] = [];
      let from = performance.now();
      const stream = await field.open('/');

      for (const [n, gate] of gates.entries()) {
        expect(await stream.next()).toEqual({ type: 'tick', data: `${n}`, lastEventId: `${n}` });
        latencies.push(performance.now() - from);
        from = performance.now();
        gate.open();
      }

      const [first = 0, ...later] = latencies;
      note('first event', ms(first));
      note('later ones', ms(median(later)));
      note('each immediately', `${latencies.length} of ${gates.length}`);
      expect(await stream.ended()).toContain('id: ~end');
    });

    it('delivers the head and a comment before the first value', async () => {
      const gate = new Gate();
      const field = await start((app) => {
        app.get('/', async function* () {
          await gate.promise;
          yield 'first';
        });
      });

      const stream = await field.open('/');
      expect(stream.status).toBe(200);
      await stream.untilText(':');
      gate.open();

      expect(await stream.next()).toMatchObject({ data: 'first' });
    });

    it('leaves the response head unchanged', async () => {
      const field = await start((app) => {
        app.get('/', async function* (_req, res) {
          res.cookie('theme', 'dark').cookie('size', 'big');
          res.set('Access-Control-Expose-Headers', 'X-Run').set('X-Run', '7');
          yield 'first';
        });
      });

      const { status, headers } = await field.open('/');

      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': setup.options?.compress
          ? 'private, no-cache, no-store'
          : 'private, no-cache, no-store, no-transform',
        'set-cookie': expect.arrayContaining(['theme=dark; Path=/', 'size=big; Path=/']),
        'access-control-expose-headers': expect.stringContaining('X-Run'),
        'x-run': '7',
        ...setup.head,
      });
      expect(headers).not.toHaveProperty('content-length');
      if (setup.http2) expect(headers).not.toHaveProperty('connection');
      note('head', 'intact');
      note('encoding', String(headers['content-encoding'] ?? 'none'));
    });

    it('delivers 2,000 events of all sizes in order', async () => {
      const sizes = Array.from({ length: 2_000 }, (_, n) => (n * 7919) % 1_000);
      sizes.push(1_000_000, 1);
      const field = await start((app) => {
        app.get('/', async function* () {
          for (const [n, size] of sizes.entries()) yield `${n} ${'ü'.repeat(size)}\n🚀`;
        });
      });

      const events = await (await field.open('/')).take(sizes.length);

      const expected = sizes.map((size, n) => `${n} ${'ü'.repeat(size)}\n🚀`);
      expect(events.findIndex(({ data }, n) => data !== expected[n])).toBe(-1);
      note('burst', `${sizes.length} of ${sizes.length}`);
    });

    it('aborts the signal of the generator when the client disconnects', async () => {
      const left = new Gate<number>();
      const field = await start((app) => {
        app.get('/', async function* (_req, res) {
          try {
            yield 'first';
            await aborted(res.sse.signal);
          } finally {
            left.open(performance.now());
          }
        });
      });
      const stream = await field.open('/');
      await stream.next();

      const from = performance.now();
      stream.drop();

      const delayMs = (await left.promise) - from;
      note('disconnect detected', setup.reportsLate ? 'only by keep-alives' : ms(delayMs));
    });

    it('aborts the signal when the client disconnects before the first value', async () => {
      const [started, left] = [new Gate(), new Gate()];
      const field = await start(
        (app) => {
          // biome-ignore lint/correctness/useYield: its client disconnects before the first value.
          app.get('/', async function* (_req, res) {
            started.open();
            await aborted(res.sse.signal);
            left.open();
          });
        },
        // With a late report, only a write detects the disconnect, so the head must be sent first.
        { commitAfterMs: setup.reportsLate ? 0 : false },
      );
      const disconnect = field.send('/');
      await started.promise;

      disconnect();

      await left.promise;
      note('also before the head', setup.reportsLate ? 'no' : 'yes');
    });

    if (setup.reportsLate) {
      it('reports a disconnected client to the server only at the next write', async () => {
        let hasLeft = false;
        const write = new Gate();
        const field = await start(
          (app) => {
            app.get('/', async function* () {
              try {
                yield 'first';
                await write.promise;
                for (;;) yield await setImmediate('on');
              } finally {
                hasLeft = true;
              }
            });
            app.get('/ping', (_req, res) => void res.end('pong'));
          },
          { keepAliveMs: false },
        );
        const stream = await field.open('/');
        await stream.next();

        stream.drop();
        for (let n = 0; n < 20; n++) await (await field.open('/ping')).ended();

        expect(hasLeft).toBe(false);
        write.open();
        while (!hasLeft) await setImmediate();
      });
    }

    it('delivers keep-alives', async () => {
      const field = await start(
        (app) => {
          app.get('/', async function* (_req, res) {
            yield 'first';
            await aborted(res.sse.signal);
          });
        },
        { keepAliveMs: 16 },
      );

      const stream = await field.open('/');
      const text = await stream.untilText(': keep-alive\n\n: keep-alive\n\n');

      expect(text).toContain('data: first\n\n');
      note('keep-alives', 'delivered');
    });

    it('forwards Last-Event-ID unchanged', async () => {
      const field = await start((app) => {
        app.get('/', async function* (_req, res) {
          yield res.sse.lastEventId;
        });
      });

      const stream = await field.open('/', { headers: { 'Last-Event-ID': '1714-7:é ~x' } });

      expect(await stream.next()).toMatchObject({ data: '1714-7:é ~x' });
      note('Last-Event-ID', 'exact');
    });

    it('ends a finished stream and responds to a reconnection with 204', async () => {
      const field = await start((app) => {
        app.get('/', async function* () {
          yield 'first';
          return { rows: 1 };
        });
      });
      const stream = await field.open('/');
      const text = await stream.ended();

      await stream.reconnect();

      expect(withoutComments(text)).toBe('data: first\n\nevent: end\nid: ~end\ndata: {"rows":1}\n\n');
      expect(stream.status).toBe(204);
      note('`end`, 204', 'yes');
    });

    it('delivers the status of an error thrown before the first value', async () => {
      const field = await start((app) => {
        // biome-ignore lint/correctness/useYield: it throws before the first value.
        app.get('/', async function* () {
          throw Object.assign(new Error('Unauthorized'), { status: 401 });
        });
      });

      const stream = await field.open('/');

      expect(stream.status).toBe(401);
      expect(await stream.ended()).toBe('{"error":"Unauthorized"}');
      note('a real 401', 'yes');
    });

    it('streams the response to a POST with a JSON body', async () => {
      const gate = new Gate();
      const field = await start((app) => {
        app.post('/', express.json(), async function* (req) {
          yield req.body;
          await gate.promise;
          yield 'second';
        });
      });
      const headers = { 'Content-Type': 'application/json' };

      const stream = await field.open('/', { method: 'POST', headers, body: '{"prompt":"hé"}' });

      expect(await stream.next()).toMatchObject({ data: '{"prompt":"hé"}' });
      gate.open();
      expect(await stream.next()).toMatchObject({ data: 'second' });
      note('POST', 'streamed');
    });

    it("resumes a channel's stream without loss or duplicates", async () => {
      const channel = new Channel<number>();
      const field = await start((app) => {
        app.get('/', () => channel);
      });
      const stream = await field.open('/');
      while (channel.size === 0) await setImmediate();
      await channel.publish(1);
      await stream.next();

      stream.drop();
      while (channel.size > 0) await setImmediate();
      await channel.publish(2);
      await channel.publish(3);
      await stream.reconnect();
      const replayed = await stream.take(2);
      await channel.publish(4);

      expect([...replayed, await stream.next()].map(({ data }) => data)).toEqual(['2', '3', '4']);
      note('channel, resumed', 'exact');
    });

    it('ends cleanly when the server closes, also for a client that reconnects meanwhile', async () => {
      const field = await start((app) => {
        app.get('/', async function* (_req, res) {
          yield 'first';
          await aborted(res.sse.signal);
        });
      });
      const stream = await field.open('/');
      await stream.next();

      await field.server.sse.close({ spreadMs: 0 });

      expect(withoutComments(await stream.ended())).toBe('data: first\n\n');
      await stream.reconnect();
      expect([stream.status, await stream.ended()]).toEqual([200, '']);
      note('`sse.close()`', 'a clean end, then 200');
    });
  });
}

/** Removes keep-alives, which may arrive at any time. */
function withoutComments(text: string): string {
  return text.replace(/^:.*\n\n/gm, '');
}
