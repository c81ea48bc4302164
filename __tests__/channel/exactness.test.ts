import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { Channel, type EventLog, memoryLog, SseError, type Subscribable, type Subscription } from '../../lib';
import { eventLogContract } from '../../lib/testing';
import { Expectation } from '../support/expectation';
import { pauses, Store, StoredLog } from '../support/stored-log';

/** The number of random schedules for each kind of log. */
const SCHEDULES = Number(process.env.SCHEDULES ?? 5_000);

/** Printed, so that you can repeat a failure: `SEED=… npx jest exactness`. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

/** The maximum time until all clients have received all events. */
const SETTLE_MS = 2_000;

jest.setTimeout(120_000);

/** One step of a schedule; `client` is the index of one of the {@link CLIENTS}. */
type Step =
  | { readonly does: 'publish'; readonly count: number }
  | { readonly does: 'connect' | 'disconnect'; readonly client: number }
  | { readonly does: 'read'; readonly client: number; readonly count: number }
  | { readonly does: 'turn' | 'restart' };

const CLIENTS = 4;

const client = fc.nat({ max: CLIENTS - 1 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('connect' as const), client }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('disconnect' as const), client }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('read' as const),
      client,
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('turn' as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const) }) },
);

const schedule = fc.record({
  maxEvents: fc.integer({ min: 1, max: 12 }),
  memoryEvents: fc.integer({ min: 1, max: 6 }),
  overflow: fc.constantFrom('disconnect' as const, 'skip' as const),
  maxReplayEvents: fc.oneof(fc.constant(false as const), fc.integer({ min: 1, max: 8 })),
  seed: fc.nat(),
  steps: fc.array(step, { maxLength: 60, size: 'max' }),
});

type Schedule = typeof schedule extends fc.Arbitrary<infer Value> ? Value : never;

/** Creates the log of a new process: empty for a log in memory, with all retained entries for a store. */
type CreateLog = () => EventLog;

/** The published numbers, and the clients that receive them. */
class World {
  channel: Channel<number>;
  published = 0;
  /** What the clients have received that they should not have, and other errors of their reads. */
  readonly failures: unknown[] = [];
  readonly #createLog: CreateLog;
  readonly #options: Pick<Schedule, 'overflow' | 'maxReplayEvents'>;
  readonly #clients = Array.from({ length: CLIENTS }, (_, index) => new Client(this, index));

  constructor(createLog: CreateLog, { overflow, maxReplayEvents }: Schedule) {
    this.#createLog = createLog;
    this.#options = { overflow, maxReplayEvents };
    this.channel = this.#start();
  }

  async take(step: Step): Promise<void> {
    if (this.failures.length > 0) throw this.failures[0];
    if (step.does === 'publish') await this.#publish(step.count);
    else if (step.does === 'connect') this.#client(step.client).connect();
    else if (step.does === 'disconnect') await this.#client(step.client).disconnect();
    else if (step.does === 'read') this.#client(step.client).read(step.count);
    else if (step.does === 'restart') await this.#restart();
    else await setImmediate();
  }

  /** All clients reconnect and read until they have the last number. */
  async settle(): Promise<void> {
    for (const one of this.#clients) one.connect();
    await this.#publish(1);
    const deadline = performance.now() + SETTLE_MS;
    while (performance.now() < deadline && !this.#isSettled) {
      for (const one of this.#clients) {
        // A client that was too slow reconnects, as a browser does.
        one.connect();
        one.read(20);
      }
      await setImmediate();
    }
    if (this.failures.length > 0) throw this.failures[0];
    for (const one of this.#clients) one.checkAll();
    for (const one of this.#clients) await one.disconnect();
    if (this.channel.size !== 0) throw new Error(`${this.channel.size} subscribers are left.`);
  }

  get #isSettled(): boolean {
    return this.failures.length > 0 || this.#clients.every(({ hasAll }) => hasAll);
  }

  #client(index: number): Client {
    return this.#clients[index] as Client;
  }

  /** Publishes all numbers in one turn, so that the log is trimmed past a slow subscriber. */
  async #publish(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, () => this.published++);
    await Promise.all(numbers.map((number) => this.channel.publish(number)));
  }

  /** The process ends without a shutdown, and a new one replaces it. */
  async #restart(): Promise<void> {
    for (const one of this.#clients) await one.disconnect();
    this.channel = this.#start();
  }

  #start(): Channel<number> {
    return new Channel<number>({ log: this.#createLog(), ...this.#options });
  }
}

/** All numbers, in the ways in which the clients subscribe to them. */
const PARTS: ReadonlyArray<(channel: Channel<number>) => Subscribable<number>> = [
  (channel) => channel,
  (channel) => channel.filter(() => true),
  (channel) => channel.map(same),
  (channel) => channel.map(same).filter((n) => n >= 0),
];

function same(n: number): number {
  return n;
}

/** One browser, which reads only as many events as requested. */
class Client {
  readonly #world: World;
  readonly #part: (typeof PARTS)[number];
  readonly #expectation = new Expectation();
  #subscription: Subscription<number> | undefined;
  #wanted = 0;

  constructor(world: World, index: number) {
    this.#world = world;
    this.#part = PARTS[index % PARTS.length] as (typeof PARTS)[number];
  }

  get hasAll(): boolean {
    return this.#expectation.next === this.#world.published;
  }

  connect(): void {
    if (this.#subscription !== undefined) return;
    if (this.#expectation.lastEventId === '') this.#expectation.startAt(this.#world.published);
    this.#subscription = this.#part(this.#world.channel).subscribe(this.#expectation);
    // A stream sends this id first, so that a client resumes from it even if it has received no event.
    this.#expectation.lastEventId = this.#subscription.lastEventId;
  }

  async disconnect(): Promise<void> {
    await this.#subscription?.return();
    this.#leave();
  }

  /** Reads `count` more events, each as soon as it is available. */
  read(count: number): void {
    if (this.#subscription === undefined) return;
    const reading = this.#wanted > 0;
    this.#wanted = count;
    if (!reading) this.#pull(this.#subscription).catch((error: unknown) => this.#world.failures.push(error));
  }

  checkAll(): void {
    const { next } = this.#expectation;
    if (!this.hasAll)
      throw new Error(`Expected ${this.#world.published - 1} to be the last, got ${next - 1}.`);
  }

  async #pull(subscription: Subscription<number>): Promise<void> {
    while (this.#subscription === subscription && this.#wanted > 0) {
      this.#wanted--;
      const step = await subscription.next().catch((error: unknown) => this.#onError(error, subscription));
      if (this.#subscription !== subscription || step === undefined) return;
      if (step.done) throw new Error('Expected an event, got the end of a channel that was never ended.');
      this.#expectation.take(step.value);
    }
  }

  #onError(error: unknown, subscription: Subscription<number>): undefined {
    if (!(error instanceof SseError) || error.code !== 'ERR_SSE_OVERFLOW') throw error;
    if (this.#subscription === subscription) this.#leave();
  }

  #leave(): void {
    this.#expectation.onDisconnect();
    this.#subscription = undefined;
    this.#wanted = 0;
  }
}

/** Runs one schedule. @throws if a client lost, duplicated or reordered a number without a gap event */
async function runSchedule(plan: Schedule, createLog: CreateLog): Promise<void> {
  const world = new World(createLog, plan);
  for (const one of plan.steps) await world.take(one);
  await world.settle();
}

async function holds(property: (plan: Schedule) => Promise<void>): Promise<void> {
  console.log(`${SCHEDULES} schedules, SEED=${SEED}`);
  await fc.assert(fc.asyncProperty(schedule, property), { numRuns: SCHEDULES, seed: SEED });
}

describe('a channel under random schedules of publish, connect, read, disconnect, trim and restart', () => {
  it('sends every subscriber each retained event once and in order, or a gap first: log in memory', () =>
    holds((plan) => runSchedule(plan, () => memoryLog({ maxEvents: plan.maxEvents }))));

  it('sends every subscriber each retained event once and in order, or a gap first: slow, partly cached log', () =>
    holds((plan) => {
      const store = new Store(plan.maxEvents);
      return runSchedule(plan, () => new StoredLog(store, plan.memoryEvents, pauses(plan.seed)));
    }));
});

describe('the StoredLog of these tests', () => {
  for (const { name, run } of eventLogContract) {
    it(name, () => {
      const stores = new Map<string, Store>();
      return run((key, maxEvents) => {
        const store = stores.get(key) ?? new Store(maxEvents);
        stores.set(key, store);
        return new StoredLog(store, 5);
      });
    });
  }
});
