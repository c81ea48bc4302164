import { describe, wrongType } from '../errors';
import { given } from '../given';
import { checkedEvent, END_ID, isPublishedEvent, isServerSentEvent, type ServerSentEvent } from './event';
import { fieldLines, linesOf } from './event-stream';
import { dataText, type Serialize } from './serialize';

/**
 * One event in the form in which a log retains it: all fields except the id, with the data as text. Its members are only
 * strings, numbers and booleans.
 *
 * @example
 * const record: EventRecord = { kind: 'event', type: 'price', data: '{"cents":101}', serialized: true };
 * const id = await log.append(record);
 */
export interface EventRecord {
  /** `'end'` and `'error'` are the last record of a log: the channel has ended, or its run has failed. */
  readonly kind: 'event' | 'end' | 'error';
  /** The event type; `undefined` for an event without one, which the client dispatches as `message`. */
  readonly type?: string | undefined;
  /** The data as it is sent, before it is split into lines. */
  readonly data: string;
  /** `true` if `serialize` has made `data`; `false` if the published value was this string. */
  readonly serialized: boolean;
  /** Milliseconds. */
  readonly retry?: number | undefined;
  /** The text of a comment before the event, which clients ignore. */
  readonly comment?: string | undefined;
}

/**
 * The record of a published value.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_DATA` as `encode` does, `ERR_SSE_INVALID_EVENT` for a comment alone and for an
 *   event with an id of its own
 */
export function recordOf(value: unknown, serialize: Serialize): EventRecord {
  if (!isServerSentEvent(value)) return dataRecord('event', undefined, value, serialize);
  checkPublishable(value);
  const { type, data, retry, comment } = checkedEvent(value);
  return { ...dataRecord('event', type, data, serialize), retry, comment };
}

/** Whether a channel was ended without a value: no serialized value is an empty text. */
export function isEmptyEnd({ kind, type, data, serialized }: EventRecord): boolean {
  return kind === 'end' && type === undefined && data === '' && serialized;
}

/** The last record of a channel that has ended. @throws as {@link recordOf} */
export function endRecordOf(value: unknown, serialize: Serialize): EventRecord {
  if (!isServerSentEvent(value)) {
    if (value === undefined) return completeRecord({ kind: 'end', data: '', serialized: true });
    return dataRecord('end', undefined, value, serialize);
  }
  return { ...recordOf(value, serialize), kind: 'end' };
}

/**
 * A record with every property, because a log may leave out those that are `undefined`, and any package may have put
 * others of their names on `Object.prototype`.
 */
export function completeRecord(record: EventRecord): EventRecord {
  return {
    kind: record.kind,
    type: given(record, 'type'),
    data: record.data,
    serialized: record.serialized,
    retry: given(record, 'retry'),
    comment: given(record, 'comment'),
  };
}

/** The frame of a record, and the offset of its data lines, which are its last. Without an `id` it has no id line. */
export function encodeRecord(
  record: EventRecord,
  id: string | undefined,
): { frame: string; dataOffset: number } {
  const { kind, type, data, retry, comment } = record;
  const isEnd = kind === 'end';
  const head = fieldLines({
    comment,
    type: type ?? (isEnd ? 'end' : undefined),
    id: isEnd && id !== undefined ? END_ID : id,
    retry,
  });
  // A closing event has data in any case, so that a client may parse it.
  const lines = isEmptyEnd(record) ? 'data: null' : linesOf('data', data);
  return { frame: `${head}${lines}\n\n`, dataOffset: head.length };
}

/** The data of a frame whose data lines begin at `dataOffset`. */
export function dataOf(frame: string, dataOffset: number): string {
  const lines = frame.slice(dataOffset + 'data: '.length, -2);
  return lines.includes('\n') ? lines.replaceAll('\ndata: ', '\n') : lines;
}

function dataRecord(
  kind: EventRecord['kind'],
  type: string | undefined,
  data: unknown,
  serialize: Serialize,
): EventRecord {
  // With every property, so that none is looked up on `Object.prototype`.
  return {
    kind,
    type,
    data: dataText(data, serialize),
    serialized: typeof data !== 'string',
    retry: undefined,
    comment: undefined,
  };
}

function checkPublishable(event: ServerSentEvent): void {
  const { type, data, id } = event;
  if (type === undefined && data === undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_EVENT',
      'Expected an event to publish, got a comment(). Publish a value, or event(type, data, { comment }).',
    );
  }
  // An event of another channel has that channel's id; this log gives it a new one.
  if (id === undefined || isPublishedEvent(event)) return;
  throw wrongType(
    'ERR_SSE_INVALID_EVENT',
    `Expected a published event to have no id of its own, got ${describe(id)}. Leave it out: the log assigns the ids.`,
  );
}
