import type { ServerSentEvent } from './event-stream/event';

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

/** As of the native `EventSource`. */
export interface EventSourceOptions {
  /** Whether cookies go along to another origin. @default false */
  readonly withCredentials?: boolean;
}

/** As of the native `addEventListener`. */
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
 * const show = (text: Json<Price>) => console.log(parse(text).symbol);
 */
export type Json<Data> = string & { readonly [json]: Data };

/**
 * What JSON makes of data: a `Date` is a string behind it, as is whatever `toJSON()` says; all else is what it was.
 *
 * @example
 * const at: Parsed<{ at: Date }> = { at: '2026-11-22T13:02:00.000Z' };
 */
export type Parsed<Data> = Data extends { toJSON(...key: never): infer Made }
  ? Parsed<Made>
  : Data extends string | number | boolean | null
    ? Data
    : Data extends object
      ? { [Key in keyof Data]: Parsed<Data[Key]> }
      : Data;

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

/** Events as they are, and what is none as the data of one. */
type Named<Type extends string, Value> =
  | Extract<Value, ServerSentEvent>
  | ([Exclude<Value, ServerSentEvent>] extends [never]
      ? never
      : ServerSentEvent<Type, Exclude<Value, ServerSentEvent>>);

type Closing<Last> = [Last] extends [never]
  ? never
  : [Last] extends [ReturnType<() => void>]
    ? ServerSentEvent<'end', ''>
    : Named<'end', Last>;

/** For `addEventListener`: an event without a type is a `message`. */
type TypesOf<Event> =
  Event extends ServerSentEvent<infer Type, unknown> ? (Type extends string ? Type : 'message') : never;

type Exactly<Type> = ServerSentEvent<Extract<Type, string> | (Type extends 'message' ? undefined : never)>;

/** The data under a type; where only the data is known, as of a `Channel<Price>`, any type has it. */
type DataUnder<Type, Event> = [Extract<Event, Exactly<Type>>] extends [never]
  ? Event extends ServerSentEvent<infer Wide, infer Data>
    ? Type extends Wide
      ? Data
      : never
    : never
  : Extract<Event, Exactly<Type>> extends ServerSentEvent<infer _Type, infer Data>
    ? Data
    : never;

/** Of what is never sent the text is no more than text. */
type TextOf<Data> = [Data] extends [never]
  ? string
  : Extract<Data, string> | ([Exclude<Data, string>] extends [never] ? never : Json<Exclude<Data, string>>);

type EventUnder<Type, Event> = Type extends 'open' | 'error'
  ?
      | NativeEvent
      | ([Extract<Event, Exactly<Type>>] extends [never]
          ? never
          : TypedMessageEvent<TextOf<DataUnder<Type, Event>>>)
  : TypedMessageEvent<TextOf<DataUnder<Type, Event>>>;

type Listener<Event> = ((event: Event) => void) | { handleEvent(event: Event): void };

/**
 * A native `MessageEvent` whose text is known to hold something.
 *
 * @example
 * const onPrice = ({ data }: TypedMessageEvent<Json<Price>>) => show(parse(data));
 */
export interface TypedMessageEvent<Text> extends Omit<NativeMessageEvent, 'data'> {
  /** A string as it was sent; anything else as JSON, for {@link parse}. */
  readonly data: Text;
}

/**
 * A native `EventSource` that knows what a source sends: a misspelt event type does not compile, and each event's data is
 * the text of its own type. It is a type alone, so it costs a page nothing.
 *
 * @example
 * const events: TypedEventSource<typeof market> = new EventSource('/market');
 * events.addEventListener('price', ({ data }) => show(parse(data)));
 */
export interface TypedEventSource<Source>
  extends Omit<NativeEventSource, 'addEventListener' | 'removeEventListener' | 'onmessage'> {
  /** Events of the type `message`, which is that of a value without one. */
  onmessage: ((event: EventUnder<'message', EventsOf<Source>>) => void) | null;

  /** As the native one; beside what the source sends there are `open`, `error` and `message`. */
  addEventListener<Type extends TypesOf<EventsOf<Source>> | 'open' | 'error' | 'message'>(
    type: Type,
    listener: Listener<EventUnder<Type, EventsOf<Source>>>,
    options?: boolean | ListenerOptions,
  ): void;

  /** As the native one. */
  removeEventListener<Type extends TypesOf<EventsOf<Source>> | 'open' | 'error' | 'message'>(
    type: Type,
    listener: Listener<EventUnder<Type, EventsOf<Source>>>,
    options?: boolean | Pick<ListenerOptions, 'capture'>,
  ): void;
}

/**
 * `new EventSource(url, init)`, with the types of what a channel or a handler sends. Nothing is wrapped or read at run time.
 *
 * @param url of the route that sends it; whether it does is your word
 * @param init as of the native `EventSource`
 * @example
 * import type { market } from './server';
 *
 * const events = typedEventSource<typeof market>('/market');
 * events.addEventListener('price', ({ data }) => show(parse(data).symbol));
 * events.addEventListener('gap', ({ data }) => reload(parse(data).lastEventId));
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
 * @throws `SyntaxError` if the channel or the route has a `serialize` of its own that does not make JSON
 * @example
 * events.addEventListener('price', ({ data }) => show(parse(data).symbol));
 */
export function parse<Data>(text: Json<Data>): Parsed<Data> {
  return JSON.parse(text);
}
