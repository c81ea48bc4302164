import { isChannel } from '../channel/channel';
import type { FrameSink } from '../channel/subscribers';
import {
  type Attachment,
  attachSink,
  isSubscription,
  openForRoute,
  type Subscription,
} from '../channel/subscription';
import { LazyTimeout } from '../lazy-timeout';
import { closeSource, type OpenSource, openSource } from '../source';
import { warnOfLongCleanup } from './error-report';
import type { StreamRequest } from './stream-request';

/** The origin of a stream's events: a source that is pulled, or a channel that pushes. */
export interface Producer {
  /** Whether it may keep producing for a while after its signal was aborted. */
  readonly hasCleanup: boolean;
  /** Starts producing for a consumer. Must be called at most once. */
  start(consumer: Consumer): void;
  /** The consumer accepts more again. */
  resume(): void;
  /**
   * Ends the source, also before it was started. Never throws.
   *
   * @param onError called with an error of the source's own cleanup
   */
  cancel(onError: (error: unknown) => void): void;
  /** A keep-alive frame with the current id; `undefined` if the client has that id. */
  takeKeepAlive(): string | undefined;
}

/** Receives what a producer produces. */
export interface Consumer extends FrameSink {
  /**
   * Sends one value.
   *
   * @returns whether it accepts more now; if not, it calls {@link Producer.resume} when it does
   * @throws what makes the value impossible to send
   */
  accept(value: unknown): boolean;
  /** The source has returned this value. Nothing follows. */
  finishWith(value: unknown): void;
}

/** Whether `value` is a channel, a filtered channel, or a subscription. */
export function isSubscribable(value: unknown): boolean {
  return isChannel(value) || isSubscription(value);
}

/** @throws `TypeError` `ERR_SSE_INVALID_SOURCE` for a value that cannot be streamed */
export function openProducer(value: unknown, request: StreamRequest): Producer {
  // The signal of the context, which is created on first access, is read only by a subscription that is pulled.
  const source = isChannel(value) ? value.subscribe(request.context) : value;
  if (!isSubscription(source)) return new SourceProducer(openSource(source), request);
  const pushes = openForRoute(source) === 'push' && request.format === undefined;
  return pushes ? new ChannelProducer(source) : new SourceProducer(source, request);
}

/** Pulls values from a source, one at a time. */
class SourceProducer implements Producer {
  readonly #source: OpenSource;
  readonly #request: StreamRequest;
  #consumer: Consumer | undefined;

  constructor(source: OpenSource, request: StreamRequest) {
    this.#source = source;
    this.#request = request;
  }

  get hasCleanup(): boolean {
    return true;
  }

  start(consumer: Consumer): void {
    this.#consumer = consumer;
    void pull(this.#source, consumer);
  }

  resume(): void {
    if (this.#consumer !== undefined) void pull(this.#source, this.#consumer);
  }

  cancel(onError: (error: unknown) => void): void {
    void cancelSource(this.#source, this.#request, onError);
  }

  takeKeepAlive(): undefined {
    return undefined;
  }
}

/** Sends the frames of a channel, which need no iterator. */
class ChannelProducer implements Producer {
  readonly #subscription: Subscription;
  #attachment: Attachment | undefined;
  #started = false;
  #cancelled = false;

  constructor(subscription: Subscription) {
    this.#subscription = subscription;
  }

  /** A channel has no code of the user that could clean up. */
  get hasCleanup(): boolean {
    return false;
  }

  start(consumer: Consumer): void {
    this.#started = true;
    this.#attachment = attachSink(this.#subscription, consumer);
    // The first frames may have ended the stream.
    if (this.#cancelled) this.#attachment.cancel();
  }

  resume(): void {
    this.#attachment?.resume();
  }

  cancel(): void {
    this.#cancelled = true;
    if (this.#started) this.#attachment?.cancel();
    else void this.#subscription.return();
  }

  takeKeepAlive(): string | undefined {
    return this.#attachment?.takeKeepAlive();
  }
}

/** One `await` per value: a promise chain or `for await` would cost another promise for each. */
async function pull(source: OpenSource, consumer: Consumer): Promise<void> {
  try {
    for (;;) {
      const step = await source.next();
      if (step.done) {
        consumer.finishWith(step.value);
        return;
      }
      if (!consumer.accept(step.value)) return;
    }
  } catch (error) {
    consumer.fail(error);
  }
}

/** Warns if the cleanup of the source takes long. Never rejects. */
async function cancelSource(
  source: OpenSource,
  request: StreamRequest,
  onError: (error: unknown) => void,
): Promise<void> {
  const { cleanupWarnMs } = request.options;
  const timeout =
    cleanupWarnMs === false ? undefined : new LazyTimeout(cleanupWarnMs, () => warnOfLongCleanup(request));
  try {
    await closeSource(source);
  } catch (error) {
    if (!request.context.isAbort(error)) onError(error);
  } finally {
    timeout?.clear();
  }
}
