import type { ServerSentEvent } from '../format/event';
import type { Entry, Parse } from '../log/entry';
import type { OnUsed } from './frame-cache';
import { RecentEntries } from './recent-entries';

/** A cursor that is not further behind reads events that are being delivered, and not a replay. */
const MAX_UNREAD = 256;

/** The events of a log for filters, maps and iterators: parsed once for all of them, and kept only while they are needed. */
export class ParsedEvents {
  /** Inverse of the channel's `serialize`. */
  readonly parse: Parse;
  /** Whether the entries that are read now are near the head of the log. */
  isRecent = true;
  readonly #onUsed: OnUsed;
  #entries: RecentEntries | undefined;

  constructor(parse: Parse, onUsed: OnUsed) {
    this.parse = parse;
    this.#onUsed = onUsed;
  }

  /** @param unread the number of entries between the reader and the head of the log */
  startRead(unread: number): void {
    this.isRecent = unread <= MAX_UNREAD;
  }

  of(entry: Entry): ServerSentEvent {
    return entry.parsedEvent ?? this.#parse(entry);
  }

  clear(): void {
    this.#entries?.clear();
  }

  #parse(entry: Entry): ServerSentEvent {
    const event = entry.event(this.parse);
    this.#entries ??= new RecentEntries((each) => each.releaseEvent(), this.#onUsed);
    this.#entries.add(entry, this.isRecent);
    return event;
  }
}
