import type { LogEntry } from '../../lib/log/entry';
import type { LogSubscriber } from '../../lib/log/event-log';

/** Keeps what a log tells a follower. */
export class Ear implements LogSubscriber {
  readonly entries: LogEntry[] = [];
  /** How many entries had been heard each time when some were missed. */
  readonly gaps: number[] = [];
  #onHeard: () => void = () => undefined;

  get heard(): string[] {
    return this.entries.map(({ record }) => record.data);
  }

  onEntries(entries: readonly LogEntry[], missed: boolean): void {
    if (missed) this.gaps.push(this.entries.length);
    this.entries.push(...entries);
    this.#onHeard();
  }

  /** Resolves when an entry with that data was heard, with the data of all. */
  async until(data: string): Promise<string[]> {
    while (this.entries.at(-1)?.record.data !== data && !this.heard.includes(data)) {
      await new Promise<void>((resolve) => {
        this.#onHeard = resolve;
      });
    }
    return this.heard;
  }
}
