import { Channel, type ChannelEvent, type RunContext } from '../../lib';
import { Gate } from './gate';

/** All data of a channel, followed by its end value or the code of its error. */
export async function all(channel: unknown): Promise<unknown[]> {
  if (!(channel instanceof Channel)) throw new Error(`Expected a channel, got ${channel}.`);
  const subscription = channel.subscribe();
  const data: unknown[] = [];
  for (;;) {
    const step = await subscription.next().catch((error) => ({ done: true, value: error.code ?? error }));
    if (step.done) return [...data, step.value];
    data.push((step.value as ChannelEvent<unknown>).data);
  }
}

/** A source that publishes one value and then waits until its signal is aborted. */
export class WaitingSource {
  readonly contexts: RunContext[] = [];
  readonly #started = new Gate();
  readonly #aborted = new Gate<unknown>();
  readonly #closed = new Gate();

  /** Resolves when its first value was published. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Resolves with the reason of its signal. */
  get aborted(): Promise<unknown> {
    return this.#aborted.promise;
  }

  /** Resolves when its cleanup has run. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  readonly run = async function* (this: WaitingSource, context: RunContext) {
    const { signal } = context;
    this.contexts.push(context);
    signal.addEventListener('abort', () => this.#aborted.open(signal.reason));
    try {
      yield `after ${context.lastEvent?.data}`;
      this.#started.open();
      await this.#aborted.promise;
      yield 'late';
    } finally {
      this.#closed.open();
    }
  }.bind(this);
}
