import { abortError } from '../abort';
import { outsideRequests } from '../async-context';
import { isSseError } from '../errors';
import { Channel, stateOf } from './channel';
import type { ChannelState } from './channel-state';
import { type RunSettings, shutDownError } from './shared-run';
import type { RunSource, SourceRun } from './source-run';

/** A run whose log only this process has. */
export class LocalRun {
  readonly channel: Channel;
  readonly #state: ChannelState;
  readonly #settings: RunSettings;
  readonly #source: SourceRun;
  #releaseTimer: NodeJS.Timeout | undefined;

  constructor(settings: RunSettings, source: RunSource<unknown>) {
    const { log, channelOptions, onStarted } = settings;
    this.#settings = settings;
    this.channel = new Channel({ ...channelOptions, log });
    this.#state = stateOf(this.channel);
    this.#source = this.#state.start(source, { ttlMs: false, onEnded: () => this.#onEnded() });
    onStarted(this.#source);
  }

  get source(): SourceRun | undefined {
    return this.#source.running ? this.#source : undefined;
  }

  get closed(): boolean {
    return this.#state.closed;
  }

  async stop(value: unknown): Promise<boolean> {
    try {
      await this.#state.endAndCancel(value);
      return true;
    } catch (error) {
      if (isSseError(error) && error.code === 'ERR_SSE_CHANNEL_CLOSED') return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#source.running) {
      this.#source.cancel(abortError('ERR_SSE_CLOSING'));
      await this.#state.fail(shutDownError());
    }
    this.#forget();
  }

  #onEnded(): void {
    // Closed by channel.close(): there is no result to keep.
    if (this.#state.closed) {
      this.#forget();
      return;
    }
    const { ttlMs } = this.#settings.terms;
    this.#releaseTimer = outsideRequests(() => setTimeout(() => this.#forget(), ttlMs).unref());
  }

  #forget(): void {
    clearTimeout(this.#releaseTimer);
    this.#settings.onReleased(this);
  }
}
