import { describe, wrongType } from '../errors';
import { suggestion } from '../validate';

/**
 * The fields of an event in addition to its type and data.
 *
 * @example
 * const fields: EventFields = { id: 42, retry: 5_000, comment: 'row 42' };
 * yield event('row', { name: 'Ada' }, fields);
 */
export interface EventFields {
  /**
   * Becomes the client's last event ID, which it sends as `Last-Event-ID` when it reconnects. It must be one line
   * without control characters, without spaces at the ends, at most 4,096 bytes long, and must not begin with `~`. `0`
   * and `''` are ids; `''` clears the client's last event ID.
   * @default none: the client keeps its last event ID
   */
  readonly id?: string | number | bigint | undefined;
  /**
   * Sets the client's reconnection time, in milliseconds: a non-negative integer.
   * @default none: the client keeps its reconnection time
   */
  readonly retry?: number | undefined;
  /**
   * A comment that is sent before the event; clients ignore it. Each line of the text becomes a comment line.
   * @default none
   */
  readonly comment?: string | undefined;
}

/** The longest id, in bytes of UTF-8. The client returns it in a request header, and Node accepts 16 KiB of headers. */
export const MAX_ID_BYTES = 4096;

/** The id of the closing event. A client that reconnects with it has received the whole stream. */
export const END_ID = '~end';

const CR_OR_LF = /[\r\n]/;

// RFC 9110 5.5: characters that a header's value cannot contain, and spaces that it loses at its ends.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression searches for them
const NOT_IN_A_HEADER = /[\0-\x08\x0a-\x1f\x7f]|^[\t ]|[\t ]$/;

/**
 * Mark the events of every copy of this package in the process. They stand on the prototypes, so that neither JSON nor a
 * copy of an event's own properties has them. The number counts the contract: a later one may add fields, and keeps those
 * of an earlier one.
 */
const BRAND = Symbol.for('express-yield.event');
const PUBLISHED_BRAND = Symbol.for('express-yield.published-event');

/**
 * An event with its fields, made by {@link event}, or only a comment, made by {@link comment}.
 *
 * Only instances of this class are read as events. A plain object with the keys `data`, `event` or `id` is data, so
 * that data from a user cannot set an event type or an id. Instances are frozen.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (9.2.5)
 * @example
 * const tick: ServerSentEvent<'tick', number> = event('tick', 1, { id: 7 });
 * tick.id; // '7': ids are strings, as on the wire
 */
export class ServerSentEvent<Type extends string | undefined = string | undefined, Data = unknown> {
  /** @internal */
  get [BRAND](): number {
    return 1;
  }

  /** @internal By the brand, so that `instanceof` also recognises the events of another copy of this package. */
  static [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: `this` is the class on the right of instanceof, which may be a subclass
    const isSubclass = this !== ServerSentEvent;
    // biome-ignore lint/complexity/noThisInStatic: as above
    return isSubclass ? Function.prototype[Symbol.hasInstance].call(this, value) : isServerSentEvent(value);
  }

  /** The event type, for `addEventListener(type)`; `undefined` for a comment, and for a published value without a type. */
  readonly type: Type;
  /** The data: the value that was passed, or that a channel has parsed; not serialized. */
  readonly data: Data;
  /** The id as it is sent, always a string; `undefined` if the event has none. */
  readonly id: string | undefined;
  /** The reconnection time in milliseconds; `undefined` if the event has none. */
  readonly retry: number | undefined;
  /** The comment as one text, with its line ends; `undefined` if the event has none. */
  readonly comment: string | undefined;

  /**
   * Makes an event. Prefer {@link event} and {@link comment}, which are shorter.
   *
   * @throws `TypeError` `ERR_SSE_INVALID_EVENT` if a field is invalid, as for {@link event}
   */
  constructor(type: Type, data: Data, fields?: EventFields) {
    const { id, retry, comment } = fields === undefined ? NO_FIELDS : ownFields(fields);
    // checkedType() replaces lone surrogates, which the compiler cannot express: the literal type stays the same.
    this.type = (type === undefined ? undefined : checkedType(type)) as Type;
    this.data = data;
    this.id = id === undefined ? undefined : checkedId(id);
    this.retry = retry === undefined ? undefined : checkedRetry(retry);
    this.comment = comment === undefined ? undefined : checkedComment(comment);
    if (new.target === ServerSentEvent) Object.freeze(this);
  }
}

/** Whether `value` is an event of any copy of this package in the process. */
export function isServerSentEvent(value: unknown): value is ServerSentEvent {
  return typeof value === 'object' && value !== null && typeof (value as ServerSentEvent)[BRAND] === 'number';
}

/**
 * The event itself if this copy of the package has made it, with its fields checked and frozen. Another copy may have other
 * checks, and a subclass is not frozen, so the fields of their events are checked here.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_EVENT` if a field is invalid, as for {@link event}
 */
export function checkedEvent(event: ServerSentEvent): ServerSentEvent {
  if (event.constructor === ServerSentEvent || event.constructor === PublishedEvent) return event;
  const { type, data, id, retry, comment } = event;
  return new ServerSentEvent(type, data, { id, retry, comment });
}

/**
 * A union of events, written as an object of data types by event type.
 *
 * A channel of this type accepts and delivers only these events, each with its own data; a misspelt event type does not
 * compile. A plain object type as the channel's type parameter is the data of every event instead.
 *
 * @example
 * const market = new Channel<Events<{ price: Price; halt: Halt }>>();
 * await market.publish(event('price', { symbol: 'ACME', price: 101.5 }));
 */
export type Events<DataByType extends object> = {
  [Type in keyof DataByType & string]: ServerSentEvent<Type, DataByType[Type]>;
}[keyof DataByType & string];

/**
 * The event that a subscriber receives for a value of this type.
 *
 * An event stays unchanged; any other value becomes the data of an event. That event may have any type, or only the
 * type `message` if `Value` also contains events.
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

/** An event that was encoded when it was published. A route that yields it sends that frame without encoding it again. */
export class PublishedEvent extends ServerSentEvent {
  get [PUBLISHED_BRAND](): number {
    return 1;
  }

  /** The frame, with the id that the log assigned. */
  readonly frame: string;
  /** Where the text that `serialize` has made of the data begins in the frame; -1 if the data is a string of its own. */
  readonly serializedAt: number;

  constructor(
    type: string | undefined,
    data: unknown,
    fields: EventFields,
    frame: string,
    serializedAt: number,
  ) {
    super(type, data, fields);
    this.frame = frame;
    this.serializedAt = serializedAt;
    Object.freeze(this);
  }
}

/** Whether an event was encoded when it was published, by any copy of this package in the process. */
export function isPublishedEvent(event: ServerSentEvent): event is PublishedEvent {
  return typeof (event as PublishedEvent)[PUBLISHED_BRAND] === 'number';
}

/**
 * Makes an event with a type and, if you need them, an id, a reconnection time or a comment.
 *
 * An `EventSource` dispatches it to the listeners of `addEventListener(type)`; the type `'message'` is also dispatched
 * to `onmessage`. The type `'error'` is allowed, but its listeners also receive the `EventSource`'s own `error` events.
 *
 * @param type the event type: one line
 * @param data a string, which is sent unchanged, or any other value, which is passed to `serialize`; pass `''` for an
 *   event without data
 * @param fields `id`: a string, number or bigint of one line, without control characters, at most 4,096 bytes, not
 *   beginning with `~` · `retry`: whole milliseconds from 0 · `comment`: text of one or more lines
 * @returns a frozen event, to yield, return or publish
 * @throws `TypeError` `ERR_SSE_INVALID_EVENT` if a field cannot be sent unchanged; only lone surrogates are replaced,
 *   by U+FFFD
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
  if (typeof type !== 'string') throw eventTypeError(type);
  if (data === undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_DATA',
      `Expected data for the event '${type}', got undefined. Pass '' for an event without data.`,
    );
  }
  return new ServerSentEvent(type, data, fields);
}

/**
 * Makes a comment, which every client ignores. It keeps an idle connection open, or explains the stream to a developer
 * who reads it with curl.
 *
 * @param text any text; each of its lines becomes a comment line
 * @returns a frozen event without type and data, to yield
 * @throws `TypeError` `ERR_SSE_INVALID_EVENT` if `text` is not a string
 * @example
 * yield comment('still counting');
 */
export function comment(text: string): ServerSentEvent<undefined, undefined> {
  return new ServerSentEvent(undefined, undefined, { comment: checkedComment(text) });
}

const NO_FIELDS = { id: undefined, retry: undefined, comment: undefined } as const;

// Captured, because it stands where any package may put anything. `Object.hasOwn` costs a third of event() (measured).
const isOwn = Object.prototype.hasOwnProperty;

/** The fields that the object itself has, whatever stands on `Object.prototype`. */
function ownFields(fields: EventFields): Pick<EventFields, keyof typeof NO_FIELDS> {
  if (fields === null || typeof fields !== 'object') throw fieldsError(fields);
  let id: EventFields['id'];
  let retry: EventFields['retry'];
  let comment: EventFields['comment'];
  for (const name in fields) {
    if (!isOwn.call(fields, name)) continue;
    if (name === 'id') id = fields[name];
    else if (name === 'retry') retry = fields[name];
    else if (name === 'comment') comment = fields[name];
    else throw Symbol.iterator in fields ? fieldsError(fields) : unknownFieldError(name);
  }
  if (id === undefined && retry === undefined && comment === undefined) checkNotIterable(fields);
  return { id, retry, comment };
}

/** The entries of a Map would be ignored silently. */
function checkNotIterable(fields: object): void {
  if (Symbol.iterator in fields) throw fieldsError(fields);
}

function checkedType(type: string): string {
  if (typeof type !== 'string') throw eventTypeError(type);
  // Spec 9.2.5: a line end ends the field, so the client would read the text after it as further fields or events.
  if (CR_OR_LF.test(type))
    throw fieldError('type', 'without CR or LF', type, 'Put text of several lines in data.');
  return type.toWellFormed();
}

function checkedId(id: string | number | bigint): string {
  const text = typeof id === 'number' && !Number.isFinite(id) ? undefined : idText(id);
  if (text === undefined) throw fieldError('id', 'a string, a finite number or a bigint', id);
  // Spec 9.2.6: an id containing NULL is ignored by the client. With other control characters in the `Last-Event-ID`
  // header, a server rejects the reconnection (measured: Node responds with 400, which stops an EventSource for good).
  // Outer spaces are removed from the header, so the id would change.
  if (!fitsHeader(text)) {
    throw fieldError('id', 'without CR, LF, NUL, other control characters or outer spaces', id);
  }
  if (text.startsWith('~')) {
    throw fieldError(
      'id',
      "one that does not begin with '~'",
      id,
      'Such ids are reserved for the end of a stream.',
    );
  }
  // A UTF-16 code unit is at most three bytes of UTF-8.
  if (text.length * 3 > MAX_ID_BYTES && Buffer.byteLength(text) > MAX_ID_BYTES) {
    throw fieldError(
      'id',
      `of at most ${MAX_ID_BYTES} bytes`,
      id,
      'The client returns it in a request header.',
    );
  }
  return text.toWellFormed();
}

/** Whether a header can hold the text unchanged; the id of every event is such a text. */
export function fitsHeader(text: string): boolean {
  return !NOT_IN_A_HEADER.test(text);
}

function idText(id: unknown): string | undefined {
  if (typeof id === 'string') return id;
  return typeof id === 'number' || typeof id === 'bigint' ? String(id) : undefined;
}

function checkedRetry(retry: number): number {
  // Spec 9.2.6: a retry field of anything but ASCII digits is ignored by the client.
  if (!Number.isSafeInteger(retry) || retry < 0) {
    throw fieldError('retry', 'a non-negative integer of milliseconds', retry);
  }
  return retry;
}

function checkedComment(text: string): string {
  if (typeof text !== 'string') throw fieldError('comment', 'a string', text);
  return text.toWellFormed();
}

function eventTypeError(type: unknown): TypeError {
  return fieldError('type', 'a string', type, "Use 'message' for an event without a type of its own.");
}

function fieldsError(fields: unknown): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_EVENT',
    `Expected the fields of an event to be an object like { id, retry, comment }, got ${describe(fields)}.`,
  );
}

function unknownFieldError(name: string): TypeError {
  const hint = suggestion('fields', name, ['id', 'retry', 'comment']);
  return wrongType('ERR_SSE_INVALID_EVENT', `Unknown field '${name}' of an event. ${hint}`);
}

function fieldError(field: string, expected: string, value: unknown, remedy?: string): TypeError {
  const message = `Expected ${field} of an event to be ${expected}, got ${describe(value)}.`;
  return wrongType('ERR_SSE_INVALID_EVENT', remedy === undefined ? message : `${message} ${remedy}`);
}
