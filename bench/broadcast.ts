import { strictEqual } from 'node:assert';
import { setImmediate } from 'node:timers/promises';
import type { Quote, Source } from './sources';

/** All subscribers to one run of a source. */
export interface Audience {
  readonly size: number;
  publish(quote: Quote): unknown;
  end(): unknown;
}

/** The parameters that all requests of one run share. */
interface Parameters {
  /** How many events each subscriber gets. */
  readonly events: number;
  /** How many subscribers there will be. */
  readonly streams: number;
}

/** The part of Express's request that is used here. */
interface QueryRequest {
  readonly query: { readonly [name: string]: unknown };
}

const NEVER = new AbortController().signal;

/** One route's source. It starts when all expected subscribers have subscribed. */
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

  /** The audience for a request. The caller must subscribe it in the same turn of the event loop. */
  audienceFor({ query }: QueryRequest): Subscribers {
    const parameters = { events: Number(query.events), streams: Number(query.streams) };
    this.#audience ??= this.#open();
    this.#requests++;
    if (this.#requests === parameters.streams) this.#run = this.#publishTo(this.#audience, parameters);
    return this.#audience;
  }

  async #publishTo(audience: Subscribers, { events, streams }: Parameters): Promise<void> {
    await setImmediate();
    strictEqual(audience.size, streams, 'Expected all clients to have subscribed.');
    this.#onStart();
    for await (const quote of this.#source({ events, signal: NEVER })) await audience.publish(quote);
  }

  /** Resolves when everything is published. */
  async published(): Promise<void> {
    await this.#run;
  }

  /** Ends all streams. Later requests belong to the next run. */
  async end(): Promise<void> {
    const audience = this.#audience;
    this.#audience = undefined;
    this.#requests = 0;
    await audience?.end();
  }
}

/** The shared sources of a server, which run one after the other. */
export class Broadcasts {
  readonly #onStart: () => void;
  readonly #all: Broadcast<Audience>[] = [];

  /** @param onStart called when all clients have subscribed, before the first event */
  constructor(onStart: () => void) {
    this.#onStart = onStart;
  }

  /** @param open creates the audience of one run, before its first subscriber */
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
