import type { LogEntry } from '../log/entry';
import type { LogSubscriber, LogSubscription } from '../log/event-log';
import { compareIds, FIRST, type RedisStream, type StreamMessage } from './redis-stream';
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
  /** Called with the id of the newest entry before the subscriber receives it. */
  readonly onReceived: (id: string) => void;
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
}

/**
 * Delivers the entries of a stream to one subscriber. Messages are only hints; the stream is authoritative. Each message
 * names the entry before its own: if that is the position, no entry was missed, and the follower delivers the message
 * immediately. Otherwise, and after each new subscription, it reads the stream from its position on, until the messages
 * follow what it has read.
 */
export class StreamFollower implements LogSubscription, ChannelListener {
  readonly from: Promise<string>;
  readonly #options: StreamFollowerOptions;
  #resolveFrom!: (id: string) => void;
  #rejectFrom!: (error: unknown) => void;
  #state = FollowerState.SUBSCRIBING;
  /** Only valid once the head of the stream is known. */
  #position: StreamPosition = { id: FIRST, gapAfter: false };
  /** The messages that arrived before the follower could deliver them, in order. */
  #held: StreamMessage[] = [];
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
    if (isLive && head !== undefined && compareIds(head.id, this.#position.id) > 0) await this.#catchUp();
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
    const head = await this.#retrying(() => this.#options.stream.head());
    if (head === undefined) return;
    this.#position = { id: head.id, gapAfter: false };
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
    const { id, gapAfter } = this.#position;
    const page = await this.#retrying(() => this.#options.stream.page(id, PAGE_SIZE));
    if (page === undefined || this.#state === FollowerState.CLOSED) return false;
    const { entries, contiguous, lastId, more } = page;
    this.#position = { id: lastId, gapAfter: gapAfter || !contiguous };
    if (entries.length > 0) await this.#deliver(entries, lastId);
    return !more && acknowledgements === this.#acknowledgements;
  }

  #hold(message: StreamMessage): void {
    if (this.#held.length === MAX_HELD) this.#held = [];
    this.#held.push(message);
  }

  /** Delivers held messages up to the first that does not follow the position. @returns whether all were delivered */
  #deliverHeld(): boolean {
    const broken = this.#held.findIndex((message) => !this.#deliverMessage(message));
    this.#held = broken === -1 ? [] : this.#held.slice(broken);
    return broken === -1;
  }

  /** Skips a message whose entry was already delivered. @returns `false` if entries are missing before the message */
  #deliverMessage({ id, previousId, record }: StreamMessage): boolean {
    // The subscriber may close its subscription at an earlier message.
    if (this.#state === FollowerState.CLOSED) return true;
    if (compareIds(id, this.#position.id) <= 0) return true;
    // FIRST is before the first entry of a new stream: the old one was deleted, or has expired, after all of its entries
    // had been published.
    if (previousId !== this.#position.id && previousId !== FIRST) return false;
    void this.#deliver([{ id, record }], id);
    return true;
  }

  #deliver(entries: readonly LogEntry[], lastId: string): void | Promise<void> {
    const { gapAfter } = this.#position;
    this.#position = { id: lastId, gapAfter: false };
    this.#options.onReceived(lastId);
    return this.#options.subscriber.onEntries(entries, gapAfter);
  }

  /** Repeats a read while Redis refuses it. @returns `undefined` if the log is closed */
  async #retrying<Reply>(read: () => Promise<Reply>): Promise<Reply | undefined> {
    for (;;) {
      try {
        return await read();
      } catch (error) {
        if (await this.#canRetry()) continue;
        this.onClose(error);
        return undefined;
      }
    }
  }

  async #canRetry(): Promise<boolean> {
    return this.#state !== FollowerState.CLOSED && (await this.#options.pause());
  }
}
