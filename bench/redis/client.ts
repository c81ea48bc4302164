import { setTimeout } from 'node:timers';
import { now } from '../clock';
import { createLatencies, type Latency, latencyOf } from '../latency';
import { Subscriber } from './subscriber';
import { type Account, Tally } from './tally';

/** What the parent asks for: one run. The first answer is `'open'`, the second what was seen. */
export interface ClientQuestion {
  /** Of each process; the subscribers are dealt out to them in turn. */
  readonly ports: readonly number[];
  readonly streams: number;
  readonly publishers: number;
  /** Of each publisher. */
  readonly events: number;
}

/** Everybody has subscribed. */
export const OPEN = 'open';

export interface Seen {
  /** When the last of all arrived, by `now()`. */
  readonly lastAt: number;
  /** From publishing to the client; `undefined` where the events carry no time. */
  readonly latency?: Latency;
  /** Over all subscribers. */
  readonly total: Omit<Account, 'order'>;
  /** In how many different orders the events came. */
  readonly orders: number;
}

/** So many connect at a time. */
const CONNECTING = 100;

/** After so long without a byte on any connection, what is still missing is lost. */
const SILENCE_MS = 5_000;

/** All subscribers of one run. */
class Crowd {
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
    for (const subscriber of this.#subscribers) subscriber.leave();
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
  return { received: sum('received'), lost: sum('lost'), doubled: sum('doubled'), late: sum('late') };
}

process.on('message', async (question: ClientQuestion) => {
  const crowd = new Crowd(question);
  await crowd.open();
  process.send?.(OPEN);
  process.send?.(await crowd.seen());
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
