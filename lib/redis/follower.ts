import type { LogEntry } from '../log/entry';
import type { LogSubscriber, LogSubscription } from '../log/event-log';
import { FIRST } from './append-script';
import { DeliveredIds } from './delivered-ids';
import {
  compareIds,
  type EntryLink,
  type RedisStream,
  type StreamMessage,
  type StreamPage,
} from './redis-stream';
import type { ChannelListener } from './subscriptions';

/** The number of entries that are read at a time. */
const PAGE_SIZE = 500;

/**
 * The maximum number of messages that are held while the stream is read. At one more, all held messages are dropped. The
 * follower then reads their entries from the stream, because the next message does not follow its position.
 */
const MAX_HELD = 1_000;

/** The options of a {@link StreamFollower}. */
export interface StreamFollowerOptions {
  readonly stream: Pick<RedisStream, 'head' | 'page'>;
  readonly subscriber: LogSubscriber;
  /** Called with the head of the stream, and with the id of the newest entry before the subscriber receives it. */
  readonly onReceived: (id: string) => void;
  /** Called with an id that was delivered, if the stream has lost it. */
  readonly onLost: (id: string) => void;
  /** Called with such an id if the log says so to all followers. */
  readonly onLossReported: (id: string) => void;
  /** Called when Redis refuses a read, which is repeated until it succeeds. Returns a function to call afterwards. */
  readonly onRefused: (error: unknown) => () => void;
  /** Called once, by `close()`. Must end the subscription to the channel. */
  readonly onStop: (follower: StreamFollower) => void;
  /** Waits before a read that Redis has refused is sent again. Resolves to `false` once the log is closed. */
  readonly pause: () => Promise<boolean>;
}

/**
 * The state of a {@link StreamFollower}. States only advance, except for the loop between CATCHING_UP and LIVE.
 *
 * | from        | when                                                             | to          |
 * | ----------- | ---------------------------------------------------------------- | ----------- |
 * | SUBSCRIBING | Redis acknowledges the subscription                              | POSITIONING |
 * | POSITIONING | the head of the stream is known                                  | CATCHING_UP |
 * | CATCHING_UP | the stream has been read, and the held messages follow its end   | LIVE        |
 * | LIVE        | a message does not follow the position                           | CATCHING_UP |
 * | LIVE        | Redis acknowledges the subscription again, after it was lost     | CATCHING_UP |
 * | any         | `close()`, or the log is closed                                  | CLOSED      |
 */
enum FollowerState {
  /** The subscription is requested. Messages are held. */
  SUBSCRIBING,
  /** The head of the stream is being read, which becomes the position and `from`. Messages are held. */
  POSITIONING,
  /** The stream is being read, page by page from the position on. Messages are held. No second read may start. */
  CATCHING_UP,
  /** No read is in progress. Each message that follows the position is delivered immediately. */
  LIVE,
  /** Messages are ignored. The result of a read in progress is discarded, but a head that was requested still resolves `from`. */
  CLOSED,
}

/** The position of a follower in its stream. */
interface StreamPosition {
  /** The last entry that was delivered, or that another program added and the follower skipped; at first the head of the stream. */
  readonly id: string;
  /** Whether entries after it were lost, so that the next delivery follows a gap. */
  readonly gapAfter: boolean;
  /** Whether entries after it may have been delivered before. */
  readonly repeats: boolean;
}

function positionAt(id: string, gapAfter = false): StreamPosition {
  return { id, gapAfter, repeats: false };
}

/**
 * Delivers the entries of a stream to one subscriber. Messages are only hints; the stream is authoritative. Each message
 * names the entry before its own: if that is the position, no entry was missed, and the follower delivers the message
 * immediately. Otherwise, and after each new subscription, it reads the stream from its position on, until the messages
 * follow what it has read.
 *
 * The stream may lose its newest entries, for example with its primary, or be deleted, and may then continue with lower ids. The
 * follower reports a gap, unless it knows that it has received everything that was lost, and continues after the entries that it
 * has delivered.
 */
export class StreamFollower implements LogSubscription, ChannelListener {
  readonly from: Promise<string>;
  readonly #options: StreamFollowerOptions;
  #resolveFrom!: (id: string) => void;
  #rejectFrom!: (error: unknown) => void;
  #state = FollowerState.SUBSCRIBING;
  /** Only valid once the head of the stream is known. */
  #position = positionAt(FIRST);
  /** When the head of the stream became the position, in milliseconds by the clock of Redis. */
  #startedAt = 0;
  readonly #delivered = new DeliveredIds();
  /** The messages that arrived before the follower could deliver them, in order. */
  #held: StreamMessage[] = [];
  /** How many of them had arrived when the last read was sent. The stream had their entries then, if it has them at all. */
  #covered = 0;
  /** Whether the last read has found no entry. */
  #isExhausted = false;
  /** How often Redis has acknowledged the subscription. After a change during a read, the stream must be read again. */
  #acknowledgements = 0;

  constructor(options: StreamFollowerOptions) {
    this.#options = options;
    this.from = new Promise((resolve, reject) => {
      this.#resolveFrom = resolve;
      this.#rejectFrom = reject;
    });
    // Without a reader of `from`, its rejection must not be an unhandled rejection.
    this.from.catch(() => undefined);
  }

  close(): void {
    if (this.#state === FollowerState.CLOSED) return;
    const needsPosition = this.#state === FollowerState.SUBSCRIBING;
    this.#stop();
    this.#options.onStop(this);
    // `from` must also resolve for a subscription that is closed before it was acknowledged.
    if (needsPosition) void this.#findPosition();
  }

  onSubscribed(): void {
    this.#acknowledgements++;
    if (this.#state === FollowerState.SUBSCRIBING) void this.#start();
    else if (this.#state === FollowerState.LIVE) void this.#catchUp();
  }

  onMessage(message: StreamMessage): void {
    if (this.#state === FollowerState.CLOSED) return;
    if (this.#state === FollowerState.LIVE && this.#deliverMessage(message)) return;
    this.#hold(message);
    if (this.#state === FollowerState.LIVE) void this.#catchUp();
  }

  onIdle(): void {
    if (this.#state === FollowerState.LIVE) void this.#compareEnd();
  }

  onClose(error: unknown): void {
    this.#stop();
    this.#rejectFrom(error);
  }

  /** Changes the state, unless the follower was closed meanwhile. */
  #enter(state: FollowerState): void {
    if (this.#state !== FollowerState.CLOSED) this.#state = state;
  }

  #stop(): void {
    this.#state = FollowerState.CLOSED;
    this.#held = [];
  }

  /** Reads the stream if its end is not the position. */
  async #compareEnd(): Promise<void> {
    const head = await this.#options.stream.head().catch(() => undefined);
    const isLive = this.#state === FollowerState.LIVE;
    if (isLive && head !== undefined && head.id !== this.#position.id) await this.#catchUp();
  }

  /** Advances the state to POSITIONING, and then to CATCHING_UP. */
  async #start(): Promise<void> {
    this.#enter(FollowerState.POSITIONING);
    const acknowledgements = this.#acknowledgements;
    await this.#findPosition();
    await this.#catchUp(acknowledgements === this.#acknowledgements);
  }

  /** Sets the position to the head of the stream, and resolves `from`. */
  async #findPosition(): Promise<void> {
    const head = await this.#retrying(() => {
      this.#covered = this.#held.length;
      return this.#options.stream.head();
    });
    if (head === undefined) return;
    this.#position = positionAt(head.id);
    this.#startedAt = head.now;
    this.#options.onReceived(head.id);
    this.#resolveFrom(head.id);
  }

  /**
   * Changes the state to CATCHING_UP, and to LIVE once no entry is missing.
   *
   * @param isRead whether the position is the end of the stream, so that there is nothing to read yet
   */
  async #catchUp(isRead = false): Promise<void> {
    this.#enter(FollowerState.CATCHING_UP);
    let isAtEnd = isRead;
    while (this.#state === FollowerState.CATCHING_UP) {
      if (isAtEnd && this.#deliverHeld()) this.#enter(FollowerState.LIVE);
      else isAtEnd = await this.#readPage();
    }
  }

  /** @returns whether the page was the last, and Redis has not acknowledged the subscription again meanwhile */
  async #readPage(): Promise<boolean> {
    const acknowledgements = this.#acknowledgements;
    const page = await this.#retrying(() => {
      this.#covered = this.#held.length;
      return this.#options.stream.page(this.#position.id, PAGE_SIZE);
    });
    if (page === undefined || this.#state === FollowerState.CLOSED) return false;
    const isLast = page.head === undefined ? await this.#deliverPage(page) : this.#stepBack(page.head);
    return isLast && acknowledgements === this.#acknowledgements;
  }

  /** @returns whether the page was the last */
  async #deliverPage({ entries, contiguous, link, lastId, more }: StreamPage): Promise<boolean> {
    const { gapAfter, repeats } = this.#position;
    const added = repeats ? entries.filter(({ id }) => !this.#delivered.has(id)) : entries;
    // If the stream was deleted, more may be lost than its publisher knows.
    const isNext = contiguous || (link !== undefined && link.previousId !== FIRST && this.#isNext(link));
    this.#noteLink(link);
    this.#position = { id: lastId, gapAfter: gapAfter || !isNext, repeats: repeats && more };
    this.#isExhausted = entries.length === 0;
    if (added.length > 0) await this.#deliver(added, lastId);
    return !more;
  }

  /**
   * The stream has lost the entry at the position. Continues after the last entry that it has in common with what was delivered.
   *
   * @returns whether there is nothing to read
   */
  #stepBack(head: string): boolean {
    const { id, gapAfter } = this.#position;
    this.#isExhausted = true;
    if (head !== FIRST && this.#delivered.has(id)) this.#options.onLost(id);
    if (head === FIRST) {
      this.#position = positionAt(id, true);
      return true;
    }
    if (this.#delivered.has(head)) {
      this.#position = positionAt(head, gapAfter);
      return true;
    }
    const { lowest } = this.#delivered;
    if (lowest !== undefined && compareIds(lowest, head) < 0) {
      this.#position = { id: lowest, gapAfter: true, repeats: true };
      return false;
    }
    // The stream is older than all that was delivered, or its ids have begun again lower. Only messages tell what is new in it.
    const first = this.#held.find((message) => !(compareIds(message.id, head) > 0));
    this.#position = positionAt(first?.previousId ?? head, true);
    return first === undefined;
  }

  #hold(message: StreamMessage): void {
    if (this.#held.length === MAX_HELD) {
      this.#held = [];
      this.#covered = 0;
    }
    this.#held.push(message);
  }

  /** Delivers held messages up to the first that does not follow the position. @returns whether all were delivered */
  #deliverHeld(): boolean {
    const covered = this.#covered;
    const broken = this.#held.findIndex((message, index) => !this.#deliverMessage(message, index < covered));
    this.#held = broken === -1 ? [] : this.#held.slice(broken);
    this.#covered = 0;
    return broken === -1;
  }

  /**
   * Skips a message whose entry was already delivered.
   *
   * @param isCovered whether the message had arrived when the stream was read
   * @returns `false` if entries are missing before the message, or if it must be read whether they are
   */
  #deliverMessage(message: StreamMessage, isCovered = false): boolean {
    // The subscriber may close its subscription at an earlier message.
    if (this.#state === FollowerState.CLOSED) return true;
    const { id, record } = message;
    const order = compareIds(id, this.#position.id);
    if (order === 0) return true;
    // Published before the position was read, unless the ids have begun again lower.
    if (order < 0) return isCovered || this.#delivered.has(id);
    if (!this.#isNext(message)) {
      // The stream has lost the entry after it was published.
      if (!isCovered || !this.#isExhausted) return false;
      this.#position = positionAt(this.#position.id, true);
    }
    this.#noteLink(message);
    void this.#deliver([{ id, record }], id);
    return true;
  }

  /** The stream may have lost the entry at the position, or all followers learn of a loss. */
  #noteLink(link: EntryLink | undefined): void {
    if (link === undefined) return;
    const { id } = this.#position;
    const { previousId, lost } = link;
    if (lost !== undefined) {
      // Its gap is reported once.
      if (!this.#delivered.has(lost)) this.#delivered.add(lost);
      this.#options.onLossReported(lost);
    } else if (previousId !== id && this.#delivered.has(previousId) && this.#delivered.has(id)) {
      this.#options.onLost(id);
    }
  }

  #isNext({ previousId, lost }: EntryLink): boolean {
    const follows = previousId === this.#position.id || this.#delivered.has(previousId);
    if (lost === undefined) return follows;
    // The publisher knows an entry that its stream has lost, perhaps with all others.
    return (follows || previousId === FIRST) && this.#hasHad(lost);
  }

  #hasHad(id: string): boolean {
    if (id === this.#position.id || this.#delivered.has(id)) return true;
    // It was appended before this follower has started.
    return compareIds(id, `${Math.floor(this.#startedAt)}-0`) < 0;
  }

  #deliver(entries: readonly LogEntry[], lastId: string): void | Promise<void> {
    const { gapAfter, repeats } = this.#position;
    this.#position = { id: lastId, gapAfter: false, repeats };
    for (const { id } of entries) this.#delivered.add(id);
    this.#options.onReceived(lastId);
    return this.#options.subscriber.onEntries(entries, gapAfter);
  }

  /** Repeats a read while Redis refuses it. @returns `undefined` if the log is closed */
  async #retrying<Reply>(read: () => Promise<Reply>): Promise<Reply | undefined> {
    let settle: (() => void) | undefined;
    try {
      for (;;) {
        try {
          return await read();
        } catch (error) {
          if (this.#state === FollowerState.CLOSED) throw error;
          settle ??= this.#options.onRefused(error);
          if (!(await this.#options.pause())) throw error;
        }
      }
    } catch (error) {
      this.onClose(error);
      return undefined;
    } finally {
      settle?.();
    }
  }
}
