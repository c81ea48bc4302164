import { describe, wrongType } from '../errors';
import type { Serialize } from '../options';
import { END_ID, PublishedEvent, ServerSentEvent } from './event';
import { linesOf, textOf } from './event-stream';

/**
 * One event as a log keeps it: everything but its id, with the data as text. Plain strings and numbers.
 *
 * @example
 * const record: EventRecord = { kind: 'event', type: 'price', data: '{"cents":101}', serialized: true };
 * const id = await log.append(record);
 */
export interface EventRecord {
  /** `'end'` and `'error'` are the last of a log: the channel has finished, or its run has failed. */
  readonly kind: 'event' | 'end' | 'error';
  /** The event type; `undefined` for one without, which arrives as `message`. */
  readonly type?: string;
  /** The data, as it goes over the wire but for its division into lines. */
  readonly data: string;
  /** Whether `data` is what `serialize` has made of a value; if not, the value is the text itself. */
  readonly serialized: boolean;
  /** Milliseconds. */
  readonly retry?: number;
  /** Text in front of the event, which clients ignore. */
  readonly comment?: string;
}

/**
 * What a published value becomes in a log.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_DATA` as `encode` does, `ERR_SSE_INVALID_EVENT` for a comment alone and for an
 *   event with an id of its own
 */
export function recordOf(value: unknown, serialize: Serialize): EventRecord {
  if (!(value instanceof ServerSentEvent)) return dataRecord('event', undefined, value, serialize);
  checkPublished(value);
  const { type, data, retry, comment } = value;
  return { ...dataRecord('event', type, data, serialize), retry, comment };
}

/** The last record of a finished channel. @throws as {@link recordOf} */
export function endRecordOf(value: unknown, serialize: Serialize): EventRecord {
  if (!(value instanceof ServerSentEvent)) {
    return dataRecord('end', undefined, value === undefined ? '' : value, serialize);
  }
  return { ...recordOf(value, serialize), kind: 'end' };
}

/** The frame of a record, and where its data lines begin; they are its last. Without an `id` it has none. */
export function encodeRecord(record: EventRecord, id: string | undefined): { frame: string; dataAt: number } {
  const { kind, type, data, retry, comment } = record;
  const isEnd = kind === 'end';
  const head =
    (comment === undefined ? '' : `${linesOf('', comment)}\n`) +
    (type === undefined ? (isEnd ? 'event: end\n' : '') : `event: ${type}\n`) +
    (id === undefined ? '' : `id: ${isEnd ? END_ID : id}\n`) +
    (retry === undefined ? '' : `retry: ${retry}\n`);
  return { frame: `${head}${linesOf('data', data)}\n\n`, dataAt: head.length };
}

/** The data of a frame whose data lines begin at `dataAt`. */
export function dataOf(frame: string, dataAt: number): string {
  const lines = frame.slice(dataAt + 'data: '.length, -2);
  return lines.includes('\n') ? lines.replaceAll('\ndata: ', '\n') : lines;
}

function dataRecord(
  kind: EventRecord['kind'],
  type: string | undefined,
  data: unknown,
  serialize: Serialize,
): EventRecord {
  return { kind, type, data: textOf(data, serialize), serialized: typeof data !== 'string' };
}

function checkPublished(event: ServerSentEvent): void {
  const { type, data, id } = event;
  if (type === undefined && data === undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_EVENT',
      'Expected an event to publish, got a comment(). Publish a value, or event(type, data, { comment }).',
    );
  }
  // An event of another channel has that one's id; here it gets one of this log.
  if (id === undefined || event instanceof PublishedEvent) return;
  throw wrongType(
    'ERR_SSE_INVALID_EVENT',
    `Expected a published event to have no id of its own, got ${describe(id)}. Leave it out: ids are the log's.`,
  );
}
