/**
 * For the page: types for a native `EventSource`, read from the route on the server. `import { typedEventSource } from
 * 'express-yield/client'`.
 *
 * @module express-yield/client
 */

import type { ServerSentEvent } from './format/event';

// Declared here, because a reference to the DOM's types would add them to every file of a server's program.
declare const EventSource: new (url: string | URL, init?: EventSourceOptions) => unknown;
declare const json: unique symbol;

/** The DOM's own type of this name or, without the DOM's types, `Shape`. */
type Native<Name extends string, Shape> = typeof globalThis extends {
  readonly [Key in Name]: { readonly prototype: infer Instance };
}
  ? Instance
  : Shape;

interface EventSourceShape {
  readonly url: string;
  readonly readyState: number;
  readonly withCredentials: boolean;
  close(): void;
}

type NativeEventSource = Native<'EventSource', EventSourceShape>;
type NativeEvent = Native<'Event', { readonly type: string }>;
type NativeMessageEvent = Native<
  'MessageEvent',
  { readonly type: string; readonly data: unknown; readonly lastEventId: string }
>;

/**
 * The options of the native `EventSource`.
 *
 * @example
 * const init: EventSourceOptions = { withCredentials: true };
 * const events = typedEventSource<typeof market>('https://api.example.com/market', init);
 */
export interface EventSourceOptions {
  /** Whether cookies are sent to another origin. @default false */
  readonly withCredentials?: boolean | undefined;
}

/**
 * The options of the native `addEventListener`.
 *
 * @example
 * const hidden = new AbortController();
 * const options: ListenerOptions = { signal: hidden.signal };
 * const events = typedEventSource<typeof market>('/market');
 * events.addEventListener('price', ({ data }) => console.log(parse(data).symbol), options);
 */
export interface ListenerOptions {
  /** Whether the listener is called in the capturing phase; for an `EventSource` it makes no difference. @default false */
  readonly capture?: boolean | undefined;
  /** Whether the listener is removed after its first event. @default false */
  readonly once?: boolean | undefined;
  /** Removes the listener when it aborts. @default undefined */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Text that contains `Data` as JSON, as a browser receives it. {@link parse} returns the data.
 *
 * @example
 * const symbolIn = (text: Json<Price>): string => parse(text).symbol;
 */
export type Json<Data> = string & {
  /** For the compiler only: it does not exist at run time. */
  readonly [json]: Data;
};

/**
 * The type of data after JSON: a `Date` becomes a string, an object with `toJSON()` becomes what that returns, and
 * everything else keeps its type.
 *
 * @example
 * const at: Parsed<{ at: Date }> = { at: '2026-11-22T13:02:00.000Z' };
 */
export type Parsed<Data> =
  Data extends MakesJson<infer Made>
    ? Parsed<Made>
    : Data extends string | number | boolean | null
      ? Data
      : Data extends object
        ? { [Key in keyof Data]: Parsed<Data[Key]> }
        : Data;

interface MakesJson<Made> {
  toJSON(...key: never): Made;
}

/**
 * The events that a source sends, read from its type.
 *
 * The source is a channel, a filtered channel, an async generator, a handler that returns one of these, or a union of
 * events. A generator's return value is the data of the event `end`, unless it is itself an event.
 *
 * @example
 * type ReportEvent = EventsOf<typeof report>; // of `async function* report(req, res) { … }`
 */
export type EventsOf<Source> = Source extends ServerSentEvent
  ? Source
  : Source extends (...args: never) => infer Returned
    ? EventsOf<Awaited<Returned>>
    : Source extends Values<infer Value, infer Last>
      ? Exclude<Named<'message', Value>, ServerSentEvent<undefined, undefined>> | Closing<Last>
      : never;

/** An iterable by its method, because the global types of iterables know the last value only since TypeScript 5.6. */
type Values<Value, Last> =
  | { [Symbol.asyncIterator](): { next(): Promise<IteratorResult<Value, Last>> } }
  | { [Symbol.iterator](): { next(): IteratorResult<Value, Last> } };

/** An event unchanged, and any other value as the data of an event. An `unknown` or `any` value may be any event. */
type Named<Type extends string, Value> = unknown extends Value
  ? ServerSentEvent
  : Value extends ServerSentEvent<infer Own, infer Data>
    ? ServerSentEvent<Own, Data>
    : ServerSentEvent<Type, Value>;

/**
 * The closing event. An `AsyncIterable<Price>` may return a value of any type, which does not allow any event type, so
 * that a misspelt one is still an error.
 */
type Closing<Last> = unknown extends Last
  ? ServerSentEvent<'end'>
  : Last extends ReturnType<() => void>
    ? ServerSentEvent<'end', null>
    : Named<'end', Last>;

/** Data by its event type. If only the data is known, as for a `Channel<Price>`, every other type has that data. */
type DataByType<Source> = {
  [Event in EventsOf<Source> as NameOf<Event['type']>]: Event['data'];
};

type TypesOf<Source> = Extract<keyof DataByType<Source>, string>;

/** The name for `addEventListener`: an event without a type is a `message`. */
type NameOf<Type> = Type extends string ? Type : 'message';

/** A string is sent unchanged, everything else as JSON. */
type TextOf<Data> = [Exclude<Data, string>] extends [never]
  ? Data
  : Extract<Data, string> | Json<Exclude<Data, string>>;

/** The event that a listener receives: of the source, of the connection, or of both if they share a name. */
type EventUnder<Type, Data> = Type extends keyof Data
  ? TypedMessageEvent<TextOf<Data[Type]>> | (Type extends 'open' | 'error' ? NativeEvent : never)
  : Type extends 'message'
    ? TypedMessageEvent<string>
    : NativeEvent;

type Listener<Event> = ((event: Event) => void) | { handleEvent(event: Event): void };

/**
 * A native `MessageEvent` with the type of its text.
 *
 * @example
 * const onPrice = ({ data }: TypedMessageEvent<Json<Price>>) => console.log(parse(data).symbol);
 */
export interface TypedMessageEvent<Text> extends Omit<NativeMessageEvent, 'data'> {
  /** A string unchanged; any other value as JSON, for {@link parse}. */
  readonly data: Text;
}

/**
 * A native `EventSource` with the types of the events of a source: a misspelt event type does not compile, and the data of
 * each event has its own type. It is only a type, so it adds no code to a page.
 *
 * @typeParam Source the type of what the route returns, or of its handler, such as `typeof market`
 * @example
 * const events: TypedEventSource<typeof market> = new EventSource('/market');
 * events.addEventListener('price', ({ data }) => console.log(parse(data).symbol));
 */
export interface TypedEventSource<Source>
  extends Omit<NativeEventSource, 'addEventListener' | 'removeEventListener' | 'onmessage'> {
  /** Called with events of the type `message`, which is the type of every value that is yielded without one. */
  onmessage: ((event: EventUnder<'message', DataByType<Source>>) => void) | null;

  /**
   * Adds a listener, as the native method does.
   *
   * @param type an event type of the source, `open`, `error` or `message`; any other does not compile
   * @param listener receives a {@link TypedMessageEvent}; for the connection's own `open` and `error`, a native `Event`
   * @param options as for the native method
   */
  addEventListener<Type extends TypesOf<Source> | 'open' | 'error' | 'message'>(
    type: Type,
    listener: Listener<EventUnder<Type, DataByType<Source>>>,
    options?: boolean | ListenerOptions,
  ): void;

  /**
   * Removes a listener, as the native method does.
   *
   * @param type the event type for which it was added
   * @param listener the function or object that was added
   * @param options must have the same `capture`
   */
  removeEventListener<Type extends TypesOf<Source> | 'open' | 'error' | 'message'>(
    type: Type,
    listener: Listener<EventUnder<Type, DataByType<Source>>>,
    options?: boolean | Pick<ListenerOptions, 'capture'>,
  ): void;
}

/**
 * Creates a `new EventSource(url, init)` with the types of the events that a channel or a handler sends.
 *
 * At run time it is the native object: nothing is wrapped, and nothing is checked.
 *
 * @typeParam Source the type of what the route returns, or of its handler, such as `typeof market`
 * @param url the URL of the route; nothing checks that this route sends `Source`
 * @param init as for the native `EventSource`
 * @returns the native `EventSource`, which connects immediately
 * @example
 * import type { market } from './server.js';
 *
 * const events = typedEventSource<typeof market>('/market');
 * events.addEventListener('price', ({ data }) => console.log(parse(data).symbol));
 * events.addEventListener('gap', () => location.reload());
 */
export function typedEventSource<Source>(
  url: string | URL,
  init?: EventSourceOptions,
): TypedEventSource<Source> {
  return new EventSource(url, init) as TypedEventSource<Source>;
}

/**
 * Returns `JSON.parse(text)` with the type of the data in the text.
 *
 * A string is sent unchanged and needs no parsing, so data of type `string` does not compile. Nothing checks at run time
 * that the data has its type.
 *
 * @param text the `data` of an event
 * @throws `SyntaxError` if the channel or the route has its own `serialize` option that does not make JSON
 * @example
 * const events = typedEventSource<typeof market>('/market');
 * events.addEventListener('price', ({ data }) => console.log(parse(data).symbol));
 */
export function parse<Data>(text: Json<Data>): Parsed<Data> {
  return JSON.parse(text);
}
