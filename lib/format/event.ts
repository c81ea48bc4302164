import { describe, wrongType } from '../errors';

/**
 * The fields of an event beside its type and data.
 *
 * @example
 * const fields: EventFields = { id: 42, retry: 5_000, comment: 'row 42' };
 * yield event('row', { name: 'Ada' }, fields);
 */
export interface EventFields {
  /**
   * Becomes the client's last event ID, which it sends as `Last-Event-ID` when it reconnects: one line without control
   * characters or outer spaces, at most 4,096 bytes, not beginning with `~`. `0` and `''` are ids; `''` makes the client
   * forget its last one.
   * @default none: the client keeps its last event ID
   */
  readonly id?: string | number | bigint;
  /**
   * The client's reconnection time from now on, in whole milliseconds, from 0.
   * @default none: the client keeps the one it has
   */
  readonly retry?: number;
  /**
   * A comment in front of the event; clients ignore it. Of several lines, each becomes a comment line.
   * @default none
   */
  readonly comment?: string;
}

/** The longest id in bytes of UTF-8. It comes back in a request header, of which Node takes 16 KiB in all. */
export const MAX_ID_BYTES = 4096;

/** The id of the closing event; a client that reconnects with it is done (DESIGN 6). */
export const END_ID = '~end';

const LINE_END = /[\r\n]/;

// RFC 9110 5.5: what a header's value cannot hold, or loses at its ends.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_IN_A_HEADER = /[\0-\x08\x0a-\x1f\x7f]|^[\t ]|[\t ]$/;

/**
 * One event with its fields, made by {@link event}, or a comment alone, made by {@link comment}.
 *
 * This class is the only thing whose properties are read as fields of an event. A plain object with `data`,
 * `event` or `id` keys is data, so a payload from a user never chooses its own event type or id. Its instances
 * are frozen.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (9.2.5)
 * @example
 * const tick: ServerSentEvent<'tick', number> = event('tick', 1, { id: 7 });
 * tick.id; // '7': ids are strings, as on the wire
 */
export class ServerSentEvent<Type extends string | undefined = string | undefined, Data = unknown> {
  /** The event type, for `addEventListener(type)`; `undefined` for a comment alone, and for a published value without one. */
  readonly type: Type;
  /** As it was given, or as a channel has parsed it; not yet text. */
  readonly data: Data;
  /** As it goes over the wire; `undefined` if the event has none. */
  readonly id: string | undefined;
  /** Milliseconds; `undefined` if the event has none. */
  readonly retry: number | undefined;
  /** Its lines still in one text; `undefined` if the event has none. */
  readonly comment: string | undefined;

  /**
   * {@link event} and {@link comment} are shorter.
   *
   * @throws `TypeError` as {@link event} does
   */
  constructor(type: Type, data: Data, fields: EventFields = {}) {
    checkFields(fields);
    // Well formed, which no type can tell, it is still the type that was given.
    this.type = (type === undefined ? undefined : checkedType(type)) as Type;
    this.data = data;
    this.id = fields.id === undefined ? undefined : checkedId(fields.id);
    this.retry = fields.retry === undefined ? undefined : checkedRetry(fields.retry);
    this.comment = fields.comment === undefined ? undefined : checkedComment(fields.comment);
    if (new.target === ServerSentEvent) Object.freeze(this);
  }
}

/**
 * Events by their types: a channel of them takes and gives these and no others, each with its own data, and a misspelt
 * type does not compile. A bare `{ … }` in its place is the data of a channel, of which each value is one.
 *
 * @example
 * const market = new Channel<Events<{ price: Price; halt: Halt }>>();
 * await market.publish(event('price', { symbol: 'ACME', price: 101.5 }));
 */
export type Events<DataByType extends object> = {
  [Type in keyof DataByType & string]: ServerSentEvent<Type, DataByType[Type]>;
}[keyof DataByType & string];

/**
 * The events as which values travel: an event as it is, and anything else as the data of one, whose type may be any unless
 * events with a type of their own go the same way.
 *
 * @example
 * const onPrice = (event: EventOf<Price>) => console.log(event.type, event.data.symbol);
 */
export type EventOf<Value> =
  | Extract<Value, ServerSentEvent>
  | DataEvent<Exclude<Value, ServerSentEvent>, Extract<Value, ServerSentEvent>>;

type DataEvent<Data, Beside> = [Data] extends [never]
  ? never
  : ServerSentEvent<[Beside] extends [never] ? string | undefined : 'message' | undefined, Data>;

/** An event that was encoded when it was published: wherever it is yielded, it leaves as that very frame. */
export class PublishedEvent extends ServerSentEvent {
  /** The frame, with the id that the log gave. */
  readonly frame: string;

  constructor(type: string | undefined, data: unknown, fields: EventFields, frame: string) {
    super(type, data, fields);
    this.frame = frame;
    Object.freeze(this);
  }
}

/**
 * One event with a type of its own, and perhaps an id, a reconnection time or a comment.
 *
 * On an `EventSource` it arrives at `addEventListener(type)`; the type `'message'` arrives at `onmessage`. A type
 * named `'error'` is allowed, and collides there with the `EventSource`'s own `error` events.
 *
 * @param type the event type, one line
 * @param data a string as it is, anything else through `serialize`; for an event without data pass `''`
 * @param fields `id`: a string, number or bigint on one line without NUL, at most 4,096 bytes, not beginning
 *   with `~` · `retry`: whole milliseconds · `comment`: text of one line or several
 * @throws `TypeError` `ERR_SSE_INVALID_EVENT` if a field could not be sent as it is; nothing is repaired silently
 * @throws `TypeError` `ERR_SSE_INVALID_DATA` if `data` is `undefined`
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (9.2.6)
 * @example
 * yield event('progress', { percent: 10 }, { id: 1 });
 * yield event('message', 'only an id', { id: 'row-7' });
 */
export function event<Type extends string, Data>(
  type: Type,
  data: Data,
  fields?: EventFields,
): ServerSentEvent<Type, Data> {
  if (typeof type !== 'string') throw notType(type);
  if (data === undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_DATA',
      `Expected data for the event '${type}', got undefined. Pass '' for an event without data.`,
    );
  }
  return new ServerSentEvent(type, data, fields);
}

/**
 * A comment: bytes that every client ignores. It keeps a connection warm, or leaves a note for who reads along
 * with curl.
 *
 * @param text any text; each of its lines becomes a comment line
 * @throws `TypeError` `ERR_SSE_INVALID_EVENT` if `text` is no string
 * @example
 * yield comment('still counting');
 */
export function comment(text: string): ServerSentEvent<undefined, undefined> {
  return new ServerSentEvent(undefined, undefined, { comment: checkedComment(text) });
}

function checkFields(fields: EventFields): void {
  if (fields === null || typeof fields !== 'object') throw notFields(fields);
  for (const name in fields) {
    if (name !== 'id' && name !== 'retry' && name !== 'comment') throw notFields(fields);
  }
}

function checkedType(type: string): string {
  if (typeof type !== 'string') throw notType(type);
  // Spec 9.2.5: a line end closes the field, so what follows it would be read as further fields or events.
  if (LINE_END.test(type))
    throw invalid('type', 'without CR or LF', type, 'Put text of several lines in data.');
  return type.toWellFormed();
}

function checkedId(id: string | number | bigint): string {
  const text = typeof id === 'number' && !Number.isFinite(id) ? undefined : idText(id);
  if (text === undefined) throw invalid('id', 'a string, a finite number or a bigint', id);
  // Spec 9.2.6: an id containing NULL is ignored by the client. The others make a server refuse the header in which
  // the id comes back (measured: Node answers 400, which stops an EventSource for good) or come back without them.
  if (NOT_IN_A_HEADER.test(text)) {
    throw invalid('id', 'without CR, LF, NUL, other control characters or outer spaces', id);
  }
  if (text.startsWith('~')) {
    throw invalid(
      'id',
      "one that does not begin with '~'",
      id,
      'Such ids are reserved for the end of a stream.',
    );
  }
  // A UTF-16 code unit is at most three bytes of UTF-8.
  if (text.length * 3 > MAX_ID_BYTES && Buffer.byteLength(text) > MAX_ID_BYTES) {
    throw invalid('id', `of at most ${MAX_ID_BYTES} bytes`, id, 'It comes back in a request header.');
  }
  return text.toWellFormed();
}

function idText(id: unknown): string | undefined {
  if (typeof id === 'string') return id;
  return typeof id === 'number' || typeof id === 'bigint' ? String(id) : undefined;
}

function checkedRetry(retry: number): number {
  // Spec 9.2.6: a retry field of anything but ASCII digits is ignored by the client.
  if (!Number.isSafeInteger(retry) || retry < 0) {
    throw invalid('retry', 'a non-negative integer of milliseconds', retry);
  }
  return retry;
}

function checkedComment(text: string): string {
  if (typeof text !== 'string') throw invalid('comment', 'a string', text);
  return text.toWellFormed();
}

function notType(type: unknown): TypeError {
  return invalid('type', 'a string', type, "Use 'message' for an event without a type of its own.");
}

function notFields(fields: unknown): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_EVENT',
    `Expected the fields of an event to be an object like { id, retry, comment }, got ${describe(fields)}.`,
  );
}

function invalid(field: string, expected: string, value: unknown, remedy?: string): TypeError {
  const message = `Expected ${field} of an event to be ${expected}, got ${describe(value)}.`;
  return wrongType('ERR_SSE_INVALID_EVENT', remedy === undefined ? message : `${message} ${remedy}`);
}
