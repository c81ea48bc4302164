/**
 * For the page: a native `EventSource` that knows what a route sends. `import { typedEventSource } from
 * 'express-yield/client'`.
 *
 * @module express-yield/client
 */

import type { ServerSentEvent } from './format/event';

// What the page has. The types of the DOM are not asked for: a server's program would have them everywhere.
declare const EventSource: new (url: string | URL, init?: EventSourceOptions) => unknown;
declare const json: unique symbol;

/** The page's own type of this name, and where there are no types of the DOM, its shape. */
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
 * As of the native `EventSource`.
 *
 * @example
 * const init: EventSourceOptions = { withCredentials: true };
 * const events = typedEventSource<typeof market>('https://api.example.com/market', init);
 */
export interface EventSourceOptions {
  /** Whether cookies go along to another origin. @default false */
  readonly withCredentials?: boolean;
}

/**
 * As of the native `addEventListener`.
 *
 * @example
 * const hidden = new AbortController();
 * const options: ListenerOptions = { signal: hidden.signal };
 * const events = typedEventSource<typeof market>('/market');
 * events.addEventListener('price', ({ data }) => console.log(parse(data).symbol), options);
 */
export interface ListenerOptions {
  /** Whether the listener hears of it before the event's target; for an `EventSource` it makes no difference. @default false */
  readonly capture?: boolean;
  /** Whether the listener hears of one event alone. @default false */
  readonly once?: boolean;
  /** Takes the listener off when it aborts. */
  readonly signal?: AbortSignal;
}

/**
 * Text that holds `Data` as JSON: what an event's data is in the browser. {@link parse} takes it apart.
 *
 * @example
 * const symbolIn = (text: Json<Price>): string => parse(text).symbol;
 */
export type Json<Data> = string & {
  /** For the compiler alone; no text has it. */
  readonly [json]: Data;
};

/**
 * What JSON makes of data: a `Date` is a string behind it, as is whatever `toJSON()` says; all else is what it was.
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
 * The events that a source sends, read from its type: a channel, a part of one, a handler that returns either or an async
 * generator, or the events themselves. What it returns is the data of `end`.
 *
 * @example
 * type ReportEvent = EventsOf<typeof report>; // of `async function* report(req, res) { … }`
 */
export type EventsOf<Source> = Source extends ServerSentEvent
  ? Source
  : Source extends (...args: never) => infer Returned
    ? EventsOf<Awaited<Returned>>
    : Source extends AsyncIterable<infer Value, infer Last, never> | Iterable<infer Value, infer Last, never>
      ? Exclude<Named<'message', Value>, ServerSentEvent<undefined, undefined>> | Closing<Last>
      : never;

/** An event as it is, and what is none as the data of one. What nothing is known of may be any event. */
type Named<Type extends string, Value> = unknown extends Value
  ? ServerSentEvent
  : Value extends ServerSentEvent<infer Own, infer Data>
    ? ServerSentEvent<Own, Data>
    : ServerSentEvent<Type, Value>;

/** An `AsyncIterable<Price>` may return anything, but that shall not hide a misspelt event type. */
type Closing<Last> = unknown extends Last
  ? ServerSentEvent<'end'>
  : Last extends ReturnType<() => void>
    ? ServerSentEvent<'end', ''>
    : Named<'end', Last>;

/** Data by its event type; where only the data is known, as of a `Channel<Price>`, it comes under every other. */
type DataByType<Source> = {
  [Event in EventsOf<Source> as NameOf<Event['type']>]: Event['data'];
};

type TypesOf<Source> = Extract<keyof DataByType<Source>, string>;

/** For `addEventListener`: an event without a type is a `message`. */
type NameOf<Type> = Type extends string ? Type : 'message';

/** A string is sent as it is. */
type TextOf<Data> = [Exclude<Data, string>] extends [never]
  ? Data
  : Extract<Data, string> | Json<Exclude<Data, string>>;

/** What a listener hears: events of the source, of its connection, or either where they share a name. */
type EventUnder<Type, Data> = Type extends keyof Data
  ? TypedMessageEvent<TextOf<Data[Type]>> | (Type extends 'open' | 'error' ? NativeEvent : never)
  : Type extends 'message'
    ? TypedMessageEvent<string>
    : NativeEvent;

type Listener<Event> = ((event: Event) => void) | { handleEvent(event: Event): void };

/**
 * A native `MessageEvent` whose text is known to hold something.
 *
 * @example
 * const onPrice = ({ data }: TypedMessageEvent<Json<Price>>) => console.log(parse(data).symbol);
 */
export interface TypedMessageEvent<Text> extends Omit<NativeMessageEvent, 'data'> {
  /** A string as it was sent; anything else as JSON, for {@link parse}. */
  readonly data: Text;
}

/**
 * A native `EventSource` that knows what a source sends: a misspelt event type does not compile, and each event's data is
 * the text of its own type. It is a type alone, so it costs a page nothing.
 *
 * @typeParam Source the type of what the route returns, or of its handler, such as `typeof market`
 * @example
 * const events: TypedEventSource<typeof market> = new EventSource('/market');
 * events.addEventListener('price', ({ data }) => console.log(parse(data).symbol));
 */
export interface TypedEventSource<Source>
  extends Omit<NativeEventSource, 'addEventListener' | 'removeEventListener' | 'onmessage'> {
  /** Events of the type `message`, which is that of a value without one. */
  onmessage: ((event: EventUnder<'message', DataByType<Source>>) => void) | null;

  /**
   * As the native one.
   *
   * @param type what the source sends, `open`, `error` or `message`; another does not compile
   * @param listener gets a {@link TypedMessageEvent}; of what the connection tells by `open` and `error`, a native `Event`
   * @param options as of the native one
   */
  addEventListener<Type extends TypesOf<Source> | 'open' | 'error' | 'message'>(
    type: Type,
    listener: Listener<EventUnder<Type, DataByType<Source>>>,
    options?: boolean | ListenerOptions,
  ): void;

  /**
   * As the native one.
   *
   * @param type as it was added for
   * @param listener the same function or object
   * @param options whose `capture` is the same
   */
  removeEventListener<Type extends TypesOf<Source> | 'open' | 'error' | 'message'>(
    type: Type,
    listener: Listener<EventUnder<Type, DataByType<Source>>>,
    options?: boolean | Pick<ListenerOptions, 'capture'>,
  ): void;
}

/**
 * `new EventSource(url, init)`, with the types of what a channel or a handler sends. Nothing is wrapped or read at run time.
 *
 * @typeParam Source the type of what the route returns, or of its handler, such as `typeof market`
 * @param url of the route that sends it; whether it does is your word
 * @param init as of the native `EventSource`
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
 * `JSON.parse(text)`, with the type of what the text holds. A string was sent as it is, so it needs none and is refused.
 *
 * @param text the `data` of an event; whether it is as its type says is the server's word
 * @throws `SyntaxError` for the `end` of a channel that ended without a value, which is empty, and if the channel or the
 *   route has a `serialize` of its own that does not make JSON
 * @example
 * const events = typedEventSource<typeof market>('/market');
 * events.addEventListener('price', ({ data }) => console.log(parse(data).symbol));
 */
export function parse<Data>(text: Json<Data>): Parsed<Data> {
  return JSON.parse(text);
}
