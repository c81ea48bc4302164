import { EventEmitter, once } from 'node:events';
import { dirname } from 'node:path';
import { EventSource as NpmEventSource } from 'eventsource';
import { createEventSource } from 'eventsource-client';
import express, { type Express } from 'express';
import { EventSource as LaunchDarkly } from 'launchdarkly-eventsource';
import type { Page } from 'playwright-core';
import type { Tabs } from './chromium';
import { Gate } from './gate';

/** An event as the client has dispatched it. */
export interface ClientEvent {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

/** Records the events that a client dispatches, and when it stops for good. */
export class ClientRecorder {
  readonly events: ClientEvent[] = [];
  /** Resolves when the client has stopped reconnecting. */
  readonly stopped = new Gate();
  readonly #changes = new EventEmitter();

  record(type: string, data: string, id = ''): void {
    this.events.push({ type, data, id });
    this.#changes.emit('event');
  }

  /** Resolves when the client has dispatched an event with this data. */
  async until(data: string): Promise<void> {
    while (!this.events.some((event) => event.data === data)) await once(this.#changes, 'event');
  }
}

/** Placeholder data for events that the client itself creates, which have no data. */
export const CLIENT_MADE = '(client-made)';

/** The event types of the tests; an EventSource needs a listener for each. */
const TYPES = ['message', 'price', 'end', 'gap'];

/** A POST request, for clients that support it. */
export interface Post {
  readonly method: 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A common client with typical options, and its differences from the specification. */
export interface ClientKind {
  readonly name: string;
  /** @returns a function that closes the client */
  open(base: string, path: string, recorder: ClientRecorder, post?: Post): Promise<() => void>;
  /** The default reconnection time, in milliseconds. */
  readonly defaultRetryMs: number;
  readonly canPost?: boolean;
  /** Dispatches comments and frames without data as empty messages. */
  readonly dispatchesFramesWithoutData?: boolean;
  /** Ignores the id of a frame without data. */
  readonly ignoresIdsWithoutData?: boolean;
  /** Is a fetch client: its `Accept` does not name event streams, so that it gets no closing event. */
  readonly isFetchClient?: boolean;
  /** Does not reconnect after an end. */
  readonly stopsAtAnyEnd?: boolean;
  /** Dispatches its own event `end`, without data, when a connection ends. */
  readonly dispatchesOwnEnd?: boolean;
}

export const eventsource: ClientKind = {
  name: 'npm eventsource',
  defaultRetryMs: 3_000,
  ignoresIdsWithoutData: true,
  async open(base, path, recorder) {
    const source = new NpmEventSource(base + path);
    for (const type of TYPES) {
      source.addEventListener(type, ({ data, lastEventId }) => recorder.record(type, data, lastEventId));
    }
    source.onerror = () => {
      if (source.readyState === source.CLOSED) recorder.stopped.open();
    };
    return () => source.close();
  },
};

export const eventsourceClient: ClientKind = {
  name: 'eventsource-client',
  defaultRetryMs: 2_000,
  canPost: true,
  ignoresIdsWithoutData: true,
  async open(base, path, recorder, post) {
    const source = createEventSource({
      ...post,
      url: base + path,
      onMessage: ({ event = 'message', data, id }) => recorder.record(event, data, id),
      onDisconnect: () => setImmediate(() => source.readyState === 'closed' && recorder.stopped.open()),
    });
    return () => source.close();
  },
};

export const launchDarkly: ClientKind = {
  name: 'launchdarkly-eventsource',
  defaultRetryMs: 1_000,
  canPost: true,
  ignoresIdsWithoutData: true,
  dispatchesOwnEnd: true,
  async open(base, path, recorder, post) {
    const source = new LaunchDarkly(base + path, { ...post });
    for (const type of TYPES) {
      source.addEventListener(type, ({ data = CLIENT_MADE, lastEventId }) =>
        recorder.record(type, data, lastEventId),
      );
    }
    // It emits an 'error' with the cause, which would be thrown without a listener.
    source.on('error', () => undefined);
    source.on('closed', () => recorder.stopped.open());
    return () => source.close();
  },
};

/** The `EventSource` of Chromium. */
export function chromiumEventSource(tabs: Tabs): ClientKind {
  return {
    name: 'EventSource',
    defaultRetryMs: 3_000,
    async open(base, path, recorder) {
      const page = await openPage(tabs, base, recorder);
      await page.evaluate(
        ([url, types]) => {
          const source = new EventSource(url);
          for (const type of types) {
            source.addEventListener(type, ({ data, lastEventId }) => record(type, data, lastEventId));
          }
          source.onerror = () => source.readyState === source.CLOSED && stopped();
        },
        [path, TYPES] as const,
      );
      return () => void page.close();
    },
  };
}

/** How an app that uses fetch-event-source handles the end of a stream. */
export type AfterEnd = 'stop' | 'reconnect' | 'reconnect, unless 204';

export function fetchEventSource(tabs: Tabs, afterEnd: AfterEnd = 'stop'): ClientKind {
  return {
    name: '@microsoft/fetch-event-source',
    defaultRetryMs: 1_000,
    canPost: true,
    dispatchesFramesWithoutData: true,
    stopsAtAnyEnd: true,
    async open(base, path, recorder, post) {
      const page = await openPage(tabs, base, recorder);
      await page.evaluate(
        async ([url, after, init]) => {
          const { fetchEventSource } = await import(`${location.origin}/fetch-event-source/index.js`);
          const controller = new AbortController();
          const stopOn204 = async ({ status }: { status: number }) => {
            if (status === 204) controller.abort();
          };
          const running = fetchEventSource(url, {
            ...init,
            signal: controller.signal,
            onmessage: ({ event, data, id }: Record<'event' | 'data' | 'id', string>) =>
              record(event || 'message', data, id),
            onclose() {
              if (after !== 'stop') throw new Error('reconnect');
            },
            ...(after === 'reconnect, unless 204' && { onopen: stopOn204 }),
          });
          running.then(stopped, stopped);
        },
        [path, afterEnd, post] as const,
      );
      return () => void page.close();
    },
  };
}

/** Chromium's fetch with the most common parser. It does not reconnect. */
export function chromiumFetch(tabs: Tabs): ClientKind {
  return {
    name: 'fetch with eventsource-parser',
    defaultRetryMs: Number.POSITIVE_INFINITY,
    canPost: true,
    isFetchClient: true,
    stopsAtAnyEnd: true,
    async open(base, path, recorder, post) {
      const page = await openPage(tabs, base, recorder);
      await page.evaluate(
        async ([url, init]) => {
          const { createParser } = await import(`${location.origin}/eventsource-parser/index.js`);
          const parser = createParser({
            onEvent: ({ event = 'message', data = '', id = '' }) => record(event, data, id),
          });
          const read = async () => {
            const { body } = await fetch(url, init);
            const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
            for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) {
              parser.feed(piece.value);
            }
          };
          read().then(stopped, stopped);
        },
        [path, post] as const,
      );
      return () => void page.close();
    },
  };
}

/** Adds the routes that the pages load from their server. */
export function servePages(app: Express): void {
  app.get(
    '/page',
    (_req, res) => void res.type('html').send('<!doctype html><link rel="icon" href="data:,">'),
  );
  const folders = {
    'fetch-event-source': dirname(require.resolve('@microsoft/fetch-event-source')).replace(/cjs$/, 'esm'),
    'eventsource-parser': dirname(require.resolve('eventsource-parser')),
  };
  for (const [path, folder] of Object.entries(folders)) {
    app.use(`/${path}`, express.static(folder, { extensions: ['js'] }));
  }
}

async function openPage(tabs: Tabs, base: string, recorder: ClientRecorder): Promise<Page> {
  const page = await tabs.open(`${base}/page`);
  await page.exposeFunction('record', (type: string, data: string, id: string) =>
    recorder.record(type, data, id),
  );
  await page.exposeFunction('stopped', () => recorder.stopped.open());
  return page;
}

// Declarations of the functions and classes that exist in a page.
declare const location: { readonly origin: string };
declare function record(type: string, data: string, id: string): void;
declare function stopped(): void;
declare class EventSource {
  constructor(url: string);
  readonly readyState: number;
  readonly CLOSED: number;
  onerror: () => void;
  addEventListener(type: string, listener: (event: { data: string; lastEventId: string }) => void): void;
}
