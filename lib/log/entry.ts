import { event, PublishedEvent, type ServerSentEvent } from '../format/event';
import { dataOf, type EventRecord, encodeRecord } from '../format/record';
import type { LogEntry } from './event-log';

/** Turns a channel's data from the text of its log into a value again; `JSON.parse` by default. */
export type Parse = (text: string) => unknown;

/**
 * What a `gap` tells the client.
 *
 * @example
 * const gap: Gap = { lastEventId: 'lq3k9-17', oldest: 'lq3k9-42' }; // 18 to 41 are missing
 */
export interface Gap {
  /** The id after which something is missing. */
  readonly lastEventId: string;
  /** The id of the oldest retained event, which comes next; `null` if there is none yet. */
  readonly oldest: string | null;
}

/** One entry of a log in memory, encoded once for all who will read it. */
export class Entry implements LogEntry {
  readonly id: string;
  readonly kind: EventRecord['kind'] | 'gap';
  readonly frame: string;
  /** Of the frame, in UTF-8. */
  readonly bytes: number;
  readonly #dataAt: number;
  // Each by itself: an object of them would be one more for each retained event.
  readonly #type: string | undefined;
  readonly #serialized: boolean;
  readonly #retry: number | undefined;
  readonly #comment: string | undefined;
  #event: ServerSentEvent | undefined;

  constructor(id: string, record: EventRecord, isGap = false) {
    const { frame, dataAt } = encodeRecord(record, isGap ? undefined : id);
    this.id = id;
    this.kind = isGap ? 'gap' : record.kind;
    this.frame = frame;
    this.bytes = Buffer.byteLength(frame);
    this.#dataAt = dataAt;
    this.#type = record.type;
    this.#serialized = record.serialized;
    this.#retry = record.retry;
    this.#comment = record.comment;
  }

  static of(entry: LogEntry): Entry {
    return entry instanceof Entry ? entry : new Entry(entry.id, entry.record);
  }

  /** Stands where entries are missing; for the order of a window it has the id of the entry before it. */
  static gap(gap: Gap): Entry {
    const record = { kind: 'event', type: 'gap', data: JSON.stringify(gap), serialized: true } as const;
    return new Entry(gap.lastEventId, record, true);
  }

  /** The data as text; a part of the frame, so that it is kept once. */
  get data(): string {
    return dataOf(this.frame, this.#dataAt);
  }

  get record(): EventRecord {
    return {
      kind: this.kind === 'gap' ? 'event' : this.kind,
      type: this.#type,
      data: this.data,
      serialized: this.#serialized,
      retry: this.#retry,
      comment: this.#comment,
    };
  }

  /** As a filter or an iterator sees it; made for the first that asks. */
  event(parse: Parse): ServerSentEvent {
    this.#event ??= this.#makeEvent(parse);
    return this.#event;
  }

  #makeEvent(parse: Parse): ServerSentEvent {
    const [type, retry, comment] = [this.#type, this.#retry, this.#comment];
    if (this.kind === 'gap') return new PublishedEvent(type, JSON.parse(this.data), {}, this.frame);
    const data = this.#serialized ? parse(this.data) : this.data;
    // The closing event's id is not the log's; whoever returns it gives it the reserved one.
    if (this.kind === 'end') return event(type ?? 'end', data, { retry, comment });
    return new PublishedEvent(type, data, { id: this.id, retry, comment }, this.frame);
  }
}
