import type { LogEntry } from '../../lib/log/entry';
import type { LogSubscriber } from '../../lib/log/event-log';

/** Records the entries and gaps that a log delivers to a subscriber. */
export class LogRecorder implements LogSubscriber {
  readonly entries: LogEntry[] = [];
  /** For each gap, the number of entries received before it. */
  readonly gaps: number[] = [];
  #onReceived: () => void = () => undefined;

  get received(): string[] {
    return this.entries.map(({ record }) => record.data);
  }

  onEntries(entries: readonly LogEntry[], gapBefore: boolean): void {
    if (gapBefore) this.gaps.push(this.entries.length);
    this.entries.push(...entries);
    this.#onReceived();
  }

  /** Resolves with the data of all entries once an entry with this data has been received. */
  async until(data: string): Promise<string[]> {
    while (this.entries.at(-1)?.record.data !== data && !this.received.includes(data)) {
      await new Promise<void>((resolve) => {
        this.#onReceived = resolve;
      });
    }
    return this.received;
  }
}
