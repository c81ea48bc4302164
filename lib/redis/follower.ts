import type { LogEntry } from '../log/entry';
import type { LogSubscriber, LogSubscription } from '../log/event-log';
import { compareIds, FIRST, type RedisStream, type StreamMessage } from './redis-stream';
import type { Listener } from './subscriptions';

/** How many entries are read back at a time. */
const PAGE = 500;

/** How many messages wait while entries are read back. What is dropped is noticed by the next, and read back, too. */
const MAX_HELD = 1_000;

/** What a {@link Hearing} needs. */
export interface HearingOptions {
  readonly stream: RedisStream;
  readonly follower: LogSubscriber;
  /** An entry was heard. */
  readonly onHeard: (id: string) => void;
  /** It listens no longer. */
  readonly onStop: (hearing: Hearing) => void;
  /** Before Redis is asked again for what it has refused. Resolves to `false` once the log is closed. */
  readonly pause: () => Promise<boolean>;
}

/**
 * One follower's ear. Messages only carry the entries; the stream has the truth. Each message names the entry in front
 * of its own: if that is the last one heard, nothing was missed, and it is passed on at once. If not, and each time the
 * subscription has been made anew, the stream is read from the last one heard on, until messages join up with it.
 */
export class Hearing implements LogSubscription, Listener {
  readonly from: Promise<string>;
  readonly #options: HearingOptions;
  #begin!: (id: string) => void;
  #fail!: (error: unknown) => void;
  /** The last entry heard; `undefined` until it is known where to begin. */
  #lastId: string | undefined;
  /** Whether something is on its way from the stream. */
  #reading = false;
  /** Whether the stream has to be read. */
  #isDue = false;
  /** Messages that came meanwhile. */
  #held: StreamMessage[] = [];
  /** Whether entries were lost in front of the next one. */
  #missed = false;
  #stopped = false;

  constructor(options: HearingOptions) {
    this.#options = options;
    this.from = new Promise((resolve, reject) => {
      this.#begin = resolve;
      this.#fail = reject;
    });
    // Whoever does not want to know where it begins need not hear that it never does.
    this.from.catch(() => undefined);
  }

  close(): void {
    if (this.#stopped) return;
    this.#end();
    this.#options.onStop(this);
    if (this.#lastId === undefined && !this.#reading) void this.#catchUp();
  }

  onSubscribed(): void {
    this.#isDue = true;
    if (!this.#reading) void this.#catchUp();
  }

  onMessage(message: StreamMessage): void {
    if (this.#stopped) return;
    if (this.#reading || this.#lastId === undefined) return this.#hold(message);
    if (this.#hear(message)) return;
    this.#hold(message);
    void this.#catchUp();
  }

  onClose(error: unknown): void {
    this.#end();
    this.#fail(error);
  }

  #end(): void {
    this.#stopped = true;
    this.#held = [];
  }

  #hold(message: StreamMessage): void {
    if (this.#held.length === MAX_HELD) this.#held = [];
    this.#held.push(message);
  }

  /** @returns whether it joins up with what was heard before */
  #hear({ id, before, record }: StreamMessage): boolean {
    const lastId = this.#lastId ?? FIRST;
    if (compareIds(id, lastId) <= 0) return true;
    // The first of a new stream: the old one was deleted, or has expired, after everything in it had been told.
    if (before !== lastId && before !== FIRST) return false;
    void this.#tell([{ id, record }], id);
    return true;
  }

  #tell(entries: readonly LogEntry[], lastId: string): void | Promise<void> {
    const missed = this.#missed;
    this.#lastId = lastId;
    this.#missed = false;
    this.#options.onHeard(lastId);
    return this.#options.follower.onEntries(entries, missed);
  }

  async #catchUp(): Promise<void> {
    this.#reading = true;
    if (this.#lastId === undefined) await this.#findBeginning();
    else this.#isDue = true;
    while (!this.#stopped && (this.#isDue || !this.#joinHeld())) {
      this.#isDue = false;
      await this.#readPage(this.#lastId ?? FIRST);
    }
    this.#reading = false;
  }

  /** As far as they join up with what was heard. @returns whether all did */
  #joinHeld(): boolean {
    const broken = this.#held.findIndex((message) => !this.#hear(message));
    this.#held = broken === -1 ? [] : this.#held.slice(broken);
    return broken === -1;
  }

  async #findBeginning(): Promise<void> {
    this.#isDue = false;
    const tail = await this.#ask(() => this.#options.stream.tail());
    if (tail === undefined) return;
    this.#lastId = tail.id;
    this.#begin(tail.id);
  }

  async #readPage(after: string): Promise<void> {
    const page = await this.#ask(() => this.#options.stream.page(after, PAGE));
    if (page === undefined || this.#stopped) return;
    const { entries, joined, lastId, more } = page;
    if (!joined) this.#missed = true;
    if (more) this.#isDue = true;
    this.#lastId = lastId;
    if (entries.length > 0) await this.#tell(entries, lastId);
  }

  /** As long as Redis refuses, it is asked again. @returns `undefined` once the log is closed */
  async #ask<Reply>(question: () => Promise<Reply>): Promise<Reply | undefined> {
    for (;;) {
      try {
        return await question();
      } catch (error) {
        if (this.#stopped || !(await this.#options.pause())) return this.#close(error);
      }
    }
  }

  #close(error: unknown): undefined {
    this.onClose(error);
    return undefined;
  }
}
