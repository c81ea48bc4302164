import { outsideRequests } from '../async-context';
import type { EventLog } from '../log/event-log';
import type { Window } from '../log/window';

/** The number of entries read from the log at a time. */
const PAGE = 200;

/** Where the replay of a log begins at the earliest (`maxReplayEvents`). */
export class ReplayLimit {
  readonly maxEvents: number;
  readonly #log: EventLog;
  /** Shared by all cursors that need it at a time. */
  #reading: Promise<string | undefined> | undefined;

  constructor(log: EventLog, maxEvents: number) {
    this.#log = log;
    this.maxEvents = maxEvents;
  }

  /** The position of the oldest event in a window that may be replayed. */
  firstIn(window: Window): number {
    const closing = window.ended ? 1 : 0;
    return Math.max(window.first, window.head - closing - this.maxEvents);
  }

  /** The id before the oldest event that may be replayed; `undefined` if the log retains no more events. */
  idBefore(): Promise<string | undefined> {
    this.#reading ??= outsideRequests(() => this.#read()).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<string | undefined> {
    const log = this.#log;
    return log.idBeforeNewest === undefined ? this.#readThrough() : log.idBeforeNewest(this.maxEvents);
  }

  /** For a log that cannot find the id itself. */
  async #readThrough(): Promise<string | undefined> {
    let ids: string[] = [];
    for (let after = ''; ; ) {
      const { entries, gap } = await this.#log.read(after, PAGE);
      const last = entries[entries.length - 1];
      if (last === undefined) break;
      const events = entries.filter(({ record }) => record.kind === 'event').map(({ id }) => id);
      ids = [...(gap ? [] : ids), ...events].slice(-this.maxEvents - 1);
      after = last.id;
    }
    return ids.length > this.maxEvents ? ids[0] : undefined;
  }
}
