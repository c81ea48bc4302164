import { event, PublishedEvent, type ServerSentEvent } from '../format/event';
import { completeRecord, dataOf, type EventRecord, encodeRecord, isEmptyEnd } from '../format/record';
import { frozen } from './frozen';

/**
 * One record with the id that its log assigned.
 *
 * @example
 * const { id, record }: LogEntry = { id: '42', record: { kind: 'event', data: 'hello', serialized: false } };
 */
export interface LogEntry {
  /** Becomes the event's id, and so the last event ID of clients. */
  readonly id: string;
  /** The record that was appended. */
  readonly record: EventRecord;
}

/** Converts the text of a channel's data back to a value; `JSON.parse` by default. */
export type Parse = (text: string) => unknown;

/**
 * The data of a `gap` event.
 *
 * @example
 * const gap: Gap = { lastEventId: 'lq3k9-17', oldest: 'lq3k9-42' }; // 18 to 41 are missing
 */
export interface Gap {
  /** The id after which events are missing. */
  readonly lastEventId: string;
  /** The id of the oldest retained event, which follows the gap; `null` if there is none yet. */
  readonly oldest: string | null;
}

/** One entry of a log in memory, encoded once for all subscribers. */
export class Entry implements LogEntry {
  readonly id: string;
  readonly kind: EventRecord['kind'] | 'gap';
  readonly frame: string;
  /** The length of the frame in UTF-8. */
  readonly bytes: number;
  readonly #dataOffset: number;
  // Flattened: one allocation less for each retained event.
  readonly #type: string | undefined;
  readonly #serialized: boolean;
  readonly #isEmpty: boolean;
  readonly #retry: number | undefined;
  readonly #comment: string | undefined;
  #event: ServerSentEvent | undefined;

  constructor(id: string, record: EventRecord, isGap = false) {
    const { frame, dataOffset } = encodeRecord(record, isGap ? undefined : id);
    this.id = id;
    this.kind = isGap ? 'gap' : record.kind;
    this.frame = frame;
    this.bytes = Buffer.byteLength(frame);
    this.#dataOffset = dataOffset;
    this.#type = record.type;
    this.#serialized = record.serialized;
    this.#isEmpty = isEmptyEnd(record);
    this.#retry = record.retry;
    this.#comment = record.comment;
  }

  static of(entry: LogEntry): Entry {
    return entry instanceof Entry ? entry : new Entry(entry.id, completeRecord(entry.record));
  }

  /** Makes an entry that represents missing entries. Its id is that of the entry before it, so that a window is in order. */
  static gap(gap: Gap): Entry {
    const record = { kind: 'event', type: 'gap', data: JSON.stringify(gap), serialized: true } as const;
    return new Entry(gap.lastEventId, completeRecord(record), true);
  }

  /** Whether no entry can follow in this log. */
  get isLast(): boolean {
    return this.kind === 'end' || this.kind === 'error';
  }

  /** The data as text. It is a part of the frame and not stored a second time. */
  get data(): string {
    return dataOf(this.frame, this.#dataOffset);
  }

  /** Whether the channel was ended with a value. */
  get hasValue(): boolean {
    return !this.#isEmpty;
  }

  /**
   * The closing value as an ordinary event; `''` if there is none. It has no id: a client that resumes with the id of the last
   * entry would wait for a next one.
   */
  get lastFrame(): string {
    return this.#isEmpty ? '' : encodeRecord({ ...this.record, kind: 'event' }, undefined).frame;
  }

  get record(): EventRecord {
    return {
      kind: this.kind === 'gap' ? 'event' : this.kind,
      type: this.#type,
      data: this.#isEmpty ? '' : this.data,
      serialized: this.#serialized,
      retry: this.#retry,
      comment: this.#comment,
    };
  }

  /** The event for filters, maps and iterators, which share it; made on first use. Its data is frozen. */
  event(parse: Parse): ServerSentEvent {
    this.#event ??= this.#makeEvent(parse);
    return this.#event;
  }

  /** The event, if it is in memory. */
  get parsedEvent(): ServerSentEvent | undefined {
    return this.#event;
  }

  /** Drops the event from memory; it is made again on the next use. */
  releaseEvent(): void {
    this.#event = undefined;
  }

  #makeEvent(parse: Parse): ServerSentEvent {
    const [type, retry, comment] = [this.#type, this.#retry, this.#comment];
    if (this.kind === 'gap')
      return new PublishedEvent(type, frozen(JSON.parse(this.data)), {}, this.frame, this.#dataOffset);
    const data = this.#serialized ? frozen(parse(this.data)) : this.data;
    // A route that returns the closing event gives it the reserved id, so it must not have the log's.
    if (this.kind === 'end') return event(type ?? 'end', data, { retry, comment });
    const serializedAt = this.#serialized ? this.#dataOffset : -1;
    return new PublishedEvent(type, data, { id: this.id, retry, comment }, this.frame, serializedAt);
  }
}
