import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, RunContext } from '../lib/index';
import { Channel as MadeChannel, memoryLog } from './express-yield';
import { ON_PURPOSE } from './incidents';
import type { Random } from './random';

/** An event; its number is also that of its id. */
export interface Tick {
  readonly seq: number;
  readonly padding: string;
}

/** How often, and what, a feed publishes. */
interface Rhythm {
  readonly everyMs: number;
  readonly burst: number;
  readonly paddingBytes: number;
}

/** One channel and its publisher. */
export class Feed {
  readonly channel: Channel<Tick>;
  readonly #rhythm: Rhythm;
  readonly #published: Published;
  readonly #ending = new AbortController();
  readonly #publishing: Promise<void>;
  #seq = 0;
  #lastId = '';

  constructor(channel: Channel<Tick>, rhythm: Rhythm, published: Published) {
    this.channel = channel;
    this.#rhythm = rhythm;
    this.#published = published;
    this.#publishing = this.#publish();
  }

  /** The number of published events. */
  get seq(): number {
    return this.#seq;
  }

  /** Ends the channel. The closing event carries the id of the last event. */
  async end(): Promise<void> {
    await this.#stop();
    await this.channel.end({ lastId: this.#lastId });
  }

  async close(): Promise<void> {
    await this.#stop();
    await this.channel.close();
  }

  async #stop(): Promise<void> {
    this.#ending.abort();
    await this.#publishing;
  }

  async #publish(): Promise<void> {
    const { everyMs, burst, paddingBytes } = this.#rhythm;
    const padding = 'x'.repeat(paddingBytes);
    while (!this.#ending.signal.aborted) {
      for (let i = 0; i < burst; i++) {
        const seq = ++this.#seq;
        this.#lastId = await this.channel.publish({ seq, padding });
        this.#published.count++;
      }
      await pause(everyMs, this.#ending.signal);
    }
  }
}

export interface Published {
  count: number;
}

const SMALL = { burst: 1, paddingBytes: 40 };
const TICKS: readonly Rhythm[] = [
  { ...SMALL, everyMs: 100 },
  { ...SMALL, everyMs: 500 },
  { burst: 50, everyMs: 8_000, paddingBytes: 40 },
];
const FAT = { burst: 1, everyMs: 70, paddingBytes: 32_768 };
const TOPIC = { ...SMALL, everyMs: 400 };

/** Few enough that the log of a run retains all of them. */
const RUN_STEPS = 120;

/** All channels of a server: permanent ones, temporary topics, and runs. */
export class Feeds {
  readonly published: Published = { count: 0 };
  /** The number of active sources of runs. */
  running = 0;
  readonly ticks: readonly Feed[];
  readonly fat: Feed;
  readonly fatSkipping: Feed;
  readonly #random: Random;
  readonly #topics = new Map<string, Feed>();
  readonly #runs = new Map<string, Channel<Tick>>();
  readonly #ending = new AbortController();
  #stopped = false;

  constructor(random: Random) {
    setMaxListeners(0, this.ending);
    this.#random = random;
    this.ticks = TICKS.map((rhythm) => this.#feed(rhythm, new MadeChannel({ log: memoryLog() })));
    const few = { maxEvents: 20 };
    this.fat = this.#feed(FAT, new MadeChannel({ log: memoryLog(few) }));
    this.fatSkipping = this.#feed(FAT, new MadeChannel({ log: memoryLog(few), overflow: 'skip' }));
  }

  /** Aborts when all channels must end. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** The subscribers of all channels. */
  get subscribers(): number {
    const channels = [this.fat, this.fatSkipping, ...this.ticks, ...this.#topics.values()].map(
      ({ channel }) => channel,
    );
    return [...channels, ...this.#runs.values()].reduce((sum, { size }) => sum + size, 0);
  }

  topic(name: string): Channel<Tick> {
    const known = this.#topics.get(name);
    if (known !== undefined) return known.channel;
    const log = memoryLog({ maxEvents: 20, maxAgeMs: 3_000 });
    const topic = this.#feed(TOPIC, new MadeChannel({ log, replay: true }));
    this.#topics.set(name, topic);
    void this.#expire(name, topic);
    return topic.channel;
  }

  run(name: string): Channel<Tick> {
    const known = this.#runs.get(name);
    if (known !== undefined) return known;
    const run = MadeChannel.from((context) => this.#steps(name, context), { ttlMs: 1_500 });
    this.#runs.set(name, run);
    return run;
  }

  /** Ends all channels in order. */
  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.all([...this.ticks, this.fat, this.fatSkipping].map((feed) => feed.end()));
  }

  /** Closes all channels, like a process that exits. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#ending.abort();
    await Promise.all([...this.ticks, this.fat, this.fatSkipping].map((feed) => feed.close()));
  }

  #feed(rhythm: Rhythm, channel: Channel<Tick>): Feed {
    return new Feed(channel, rhythm, this.published);
  }

  /** Ends or closes a topic after some seconds. Later clients get a new topic of that name. */
  async #expire(name: string, topic: Feed): Promise<void> {
    await pause(this.#random.between(4_000, 20_000), this.ending);
    const finishes = !this.#stopped && (this.ending.aborted || this.#random.chance(0.5));
    if (!this.ending.aborted) this.#topics.delete(name);
    await (finishes ? topic.end() : topic.close());
  }

  async *#steps(name: string, { signal }: RunContext) {
    this.running++;
    const fails = this.#random.chance(0.1);
    try {
      for (let seq = 1; seq <= RUN_STEPS; seq++) {
        if (!this.ending.aborted) await pause(100, signal);
        signal.throwIfAborted();
        if (fails && seq > RUN_STEPS / 2) throw new Error(ON_PURPOSE);
        yield { seq, padding: '' };
      }
      return { count: RUN_STEPS };
    } finally {
      this.running--;
      void this.#forgetRun(name);
    }
  }

  /** Keeps a run for a moment, for late clients. */
  async #forgetRun(name: string): Promise<void> {
    await pause(2_000, this.ending);
    if (!this.ending.aborted) this.#runs.delete(name);
  }
}

/** Waits. An abort of the signal ends the wait without an error. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
