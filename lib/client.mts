import type * as commonjs from './client.js';

export type {
  EventSourceOptions,
  EventsOf,
  Json,
  ListenerOptions,
  Parsed,
  TypedEventSource,
  TypedMessageEvent,
} from './client.js';

// Not re-exported from the CommonJS module: in a page, its wrapper would be larger than both functions.
declare const EventSource: new (url: string | URL, init?: commonjs.EventSourceOptions) => never;

/** {@inheritDoc commonjs.typedEventSource} */
export const typedEventSource: typeof commonjs.typedEventSource = (url, init) => new EventSource(url, init);

/** {@inheritDoc commonjs.parse} */
export const parse: typeof commonjs.parse = (text) => JSON.parse(text);
