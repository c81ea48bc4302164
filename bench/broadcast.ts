import { strictEqual } from 'node:assert';
import { setImmediate } from 'node:timers/promises';
import type { Quote, Source } from './sources';

/** All who have subscribed to one run of a source. */
export interface Audience {
  readonly size: number;
  publish(quote: Quote): unknown;
  end(): unknown;
}

/** What each request of an audience says alike. */
interface Wish {
  /** How many events each subscriber is to get. */
  readonly events: number;
  /** How many subscribers there will be. */
  readonly streams: number;
}

/** The part of Express's request that is needed here. */
interface Asking {
  readonly query: { readonly [name: string]: unknown };
}

const NEVER = new AbortController().signal;

/** One route's source, run once all who want it have subscribed. */
class Broadcast<Subscribers extends Audience> {
  readonly #source: Source;
  readonly #open: () => Subscribers;
  readonly #onStart: () => void;
  #audience: Subscribers | undefined;
  #requests = 0;
  #run: Promise<void> | undefined;

  constructor(source: Source, open: () => Subscribers, onStart: () => void) {
    this.#source = source;
    this.#open = open;
    this.#onStart = onStart;
  }

  /** The audience that a request is to be subscribed to, before the event loop goes on. */
  audienceFor({ query }: Asking): Subscribers {
    const wish = { events: Number(query.events), streams: Number(query.streams) };
    this.#audience ??= this.#open();
    this.#requests++;
    if (this.#requests === wish.streams) this.#run = this.#publishTo(this.#audience, wish);
    return this.#audience;
  }

  async #publishTo(audience: Subscribers, { events, streams }: Wish): Promise<void> {
    await setImmediate();
    strictEqual(audience.size, streams, 'Expected everybody to have subscribed.');
    this.#onStart();
    for await (const quote of this.#source({ events, signal: NEVER })) await audience.publish(quote);
  }

  /** Resolves when everything is published. */
  async published(): Promise<void> {
    await this.#run;
  }

  /** Ends everybody's stream; who comes now belongs to the next run. */
  async end(): Promise<void> {
    const audience = this.#audience;
    this.#audience = undefined;
    this.#requests = 0;
    await audience?.end();
  }
}

/** What a server broadcasts, one after the other. */
export class Broadcasts {
  readonly #onStart: () => void;
  readonly #all: Broadcast<Audience>[] = [];

  /** @param onStart called when everybody has subscribed, before the first event */
  constructor(onStart: () => void) {
    this.#onStart = onStart;
  }

  /** @param open makes the audience of one run, before its first subscriber */
  of<Subscribers extends Audience>(source: Source, open: () => Subscribers): Broadcast<Subscribers> {
    const broadcast = new Broadcast(source, open, this.#onStart);
    this.#all.push(broadcast);
    return broadcast;
  }

  async published(): Promise<void> {
    for (const broadcast of this.#all) await broadcast.published();
  }

  async end(): Promise<void> {
    for (const broadcast of this.#all) await broadcast.end();
  }
}
