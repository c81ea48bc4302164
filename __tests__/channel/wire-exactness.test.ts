import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { setImmediate, setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { Channel, memoryLog } from '../../lib';
import { Expectation } from '../support/expectation';
import { releaseAll, serve, type TestServer } from '../support/serve';

/** The number of random schedules over real sockets; `SCHEDULES` is the number for exactness.test.ts. */
const SCHEDULES = Number(process.env.WIRE_SCHEDULES ?? 150);

/** Printed, so that you can repeat a failure: `SEED=… npx jest wire-exactness`. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

const PATHS = ['/all', '/all', '/even', '/generator'];

jest.setTimeout(120_000);

afterEach(releaseAll);

const client = fc.nat({ max: PATHS.length - 1 });
const step = fc.oneof(
  fc.record({ does: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ does: fc.constantFrom('connect' as const, 'drop' as const), client }),
  fc.record({
    does: fc.constantFrom('turn' as const, 'turn' as const, 'pause' as const, 'restart' as const),
  }),
);
const schedule = fc.record({
  maxEvents: fc.integer({ min: 1, max: 12 }),
  steps: fc.array(step, { maxLength: 40 }),
});

type Plan = typeof schedule extends fc.Arbitrary<infer Value> ? Value : never;

/** One browser on a real socket. */
class Browser {
  readonly #url: string;
  readonly #expectation: Expectation;
  readonly #failures: unknown[];
  #response: IncomingMessage | undefined;
  #connected: Promise<void> | undefined;

  constructor(url: string, failures: unknown[]) {
    this.#url = url;
    this.#expectation = new Expectation(url.endsWith('/even') ? (number) => number % 2 === 0 : undefined);
    this.#failures = failures;
  }

  get next(): number {
    return this.#expectation.next;
  }

  /** @param published how many numbers were published; a new subscriber must receive all later ones */
  connect(published: number): Promise<void> {
    this.#connected ??= this.#connect(published);
    return this.#connected;
  }

  drop(): void {
    this.#response?.destroy();
    this.#response = undefined;
    this.#connected = undefined;
    this.#expectation.onDisconnect();
  }

  async #connect(published: number): Promise<void> {
    const { lastEventId } = this.#expectation;
    if (lastEventId === '') this.#expectation.startAt(published);
    const resume = lastEventId === '' ? {} : { 'Last-Event-ID': lastEventId };
    const headers = { Accept: 'text/event-stream', ...resume };
    const [response] = (await once(get(this.#url, { headers, agent: false }), 'response')) as [
      IncomingMessage,
    ];
    this.#response = response.setEncoding('utf8');
    let rest = '';
    response.on('data', (text: string) => {
      const frames = (rest + text).split('\n\n');
      rest = frames.pop() ?? '';
      if (this.#response === response) for (const frame of frames) this.#take(frame);
    });
    // The client was too slow or lost its connection; a browser reconnects.
    response.on('error', () => undefined);
    response.on('close', () => {
      if (this.#response === response) this.drop();
    });
  }

  #take(frame: string): void {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(frame)?.[1];
    const data = field('data');
    const id = field('id');
    // An id without data dispatches no event, but sets the last event ID (spec 9.2.6).
    if (data === undefined) this.#expectation.lastEventId = id ?? this.#expectation.lastEventId;
    else this.#try(() => this.#expectation.take({ type: field('event'), id, data: JSON.parse(data) }));
  }

  #try(take: () => void): void {
    try {
      take();
    } catch (error) {
      this.#failures.push(error);
    }
  }
}

/** A server with a new channel after each restart. */
class Site {
  readonly #failures: unknown[] = [];
  readonly #browsers: readonly Browser[];
  readonly #server: TestServer;
  channel = new Channel<number>();
  published = 0;
  maxEvents = 0;

  constructor(server: TestServer) {
    this.#server = server;
    this.#browsers = PATHS.map((path) => new Browser(server.url(path), this.#failures));
  }

  async run({ maxEvents, steps }: Plan): Promise<void> {
    this.maxEvents = maxEvents;
    await this.#restart();
    for (const one of steps) await this.#take(one);
    await this.#settle();
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  async #take(step: Plan['steps'][number]): Promise<void> {
    if (step.does === 'publish') await this.#publish(step.count);
    else if (step.does === 'connect') await this.#browsers[step.client]?.connect(this.published);
    else if (step.does === 'drop') this.#browsers[step.client]?.drop();
    else if (step.does === 'restart') await this.#restart();
    else await (step.does === 'turn' ? setImmediate() : setTimeout(2));
  }

  async #publish(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, () => this.published++);
    await Promise.all(numbers.map((number) => this.channel.publish(number)));
  }

  async #restart(): Promise<void> {
    for (const browser of this.#browsers) browser.drop();
    await this.channel.close();
    this.channel = new Channel<number>({ log: memoryLog({ maxEvents: this.maxEvents }) });
  }

  /** All browsers reconnect and receive the last two numbers, one of which is even. A short log may need several rounds. */
  async #settle(): Promise<void> {
    const deadline = performance.now() + 5_000;
    do {
      for (let numbers = 0; numbers < 2; numbers++) {
        await Promise.all(this.#browsers.map((browser) => browser.connect(this.published)));
        await this.#publish(1);
        await setTimeout(2);
      }
    } while (this.#browsers.some(({ next }) => next < this.published) && performance.now() < deadline);
    for (const browser of this.#browsers) {
      if (browser.next < this.published)
        this.#failures.push(
          new Error(`Expected all numbers before ${this.published}, got those before ${browser.next}.`),
        );
      browser.drop();
    }
    while (this.#server.sse.size > 0) await setImmediate();
    if (this.channel.size !== 0) throw new Error(`${this.channel.size} subscribers are left.`);
  }
}

it('sends every browser each retained event once and in order, or a gap first, over real sockets', async () => {
  let site: Site | undefined;
  const channel = () => (site as Site).channel;
  const server = await serve((app) => {
    app.get('/all', () => channel());
    app.get('/even', () => channel().filter((number) => number % 2 === 0));
    app.get('/generator', async function* (_req, res) {
      yield* channel().subscribe(res.sse);
    });
  });
  console.log(`${SCHEDULES} schedules, SEED=${SEED}`);

  const check = fc.asyncProperty(schedule, (plan) => {
    site = new Site(server);
    return site.run(plan);
  });
  await fc.assert(check, { numRuns: SCHEDULES, seed: SEED });

  expect(server.sse.size).toBe(0);
});
