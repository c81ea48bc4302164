import { setTimeout } from 'node:timers';
import { now } from '../clock';
import { createLatencies, type Latency, latencyOf } from '../latency';
import { Subscriber } from './subscriber';
import { type Account, Tally } from './tally';

/** A request of the parent process: one run. The first answer is `'open'`, the second the result. */
export interface ClientQuestion {
  /** The port of each process; the subscribers are distributed round-robin. */
  readonly ports: readonly number[];
  readonly streams: number;
  readonly publishers: number;
  /** Events of each publisher. */
  readonly events: number;
}

/** The message that all have subscribed. */
export const OPEN = 'open';

export interface Seen {
  /** When the last event arrived, by `now()`. */
  readonly lastAt: number;
  /** From publishing to the client; `undefined` where the events carry no time. */
  readonly latency?: Latency;
  /** Over all subscribers. */
  readonly total: Omit<Account, 'order'>;
  /** In how many different orders the events arrived. */
  readonly orders: number;
}

/** How many connect at a time. */
const CONNECTING = 100;

/** After this long without a byte on any connection, missing events count as lost. */
const SILENCE_MS = 5_000;

/** All subscribers of one run. */
class Subscribers {
  readonly #question: ClientQuestion;
  readonly #latencies = createLatencies();
  readonly #subscribers: Subscriber[] = [];
  readonly #tallies: Tally[] = [];
  readonly #silence: NodeJS.Timeout;
  readonly #done: Promise<void>;
  #onDone!: () => void;
  #waiting: number;
  #lastAt = 0;

  constructor(question: ClientQuestion) {
    this.#question = question;
    this.#waiting = question.streams;
    this.#done = new Promise((resolve) => {
      this.#onDone = resolve;
    });
    this.#silence = setTimeout(this.#onDone, SILENCE_MS);
  }

  async open(): Promise<void> {
    while (this.#subscribers.length < this.#question.streams) {
      const some = Math.min(CONNECTING, this.#question.streams - this.#subscribers.length);
      await Promise.all(Array.from({ length: some }, () => this.#subscribe()));
    }
  }

  async seen(): Promise<Seen> {
    await this.#done;
    clearTimeout(this.#silence);
    const lastAt = this.#lastAt;
    for (const subscriber of this.#subscribers) subscriber.disconnect();
    await Promise.all(this.#subscribers.map(({ closed }) => closed));
    const accounts = this.#tallies.map((tally) => tally.account());
    return {
      lastAt,
      latency: latencyOf(this.#latencies),
      total: totalOf(accounts),
      orders: new Set(accounts.map(({ order }) => order)).size,
    };
  }

  #subscribe(): Promise<void> {
    const { ports, publishers, events } = this.#question;
    const process = this.#subscribers.length % ports.length;
    const tally = new Tally(publishers, events);
    const subscriber = new Subscriber({
      port: ports[process] ?? 0,
      process,
      tally,
      latencies: this.#latencies,
      onArrival: () => this.#onArrival(),
      onFull: () => {
        if (--this.#waiting === 0) this.#onDone();
      },
    });
    this.#subscribers.push(subscriber);
    this.#tallies.push(tally);
    return subscriber.opened;
  }

  #onArrival(): void {
    this.#lastAt = now();
    this.#silence.refresh();
  }
}

function totalOf(accounts: readonly Account[]): Seen['total'] {
  const sum = (field: keyof Account) => accounts.reduce((total, account) => total + account[field], 0);
  return { received: sum('received'), lost: sum('lost'), duplicated: sum('duplicated'), late: sum('late') };
}

process.on('message', async (question: ClientQuestion) => {
  const subscribers = new Subscribers(question);
  await subscribers.open();
  process.send?.(OPEN);
  process.send?.(await subscribers.seen());
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
