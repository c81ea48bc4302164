import { EventEmitter, once } from 'node:events';
import { dirname } from 'node:path';
import { EventSource as NpmEventSource } from 'eventsource';
import { createEventSource } from 'eventsource-client';
import express, { type Express } from 'express';
import { EventSource as LaunchDarkly } from 'launchdarkly-eventsource';
import type { Page } from 'playwright-core';
import type { Tabs } from './chromium';
import { Gate } from './gate';

/** An event as the client has given it to its user. */
export interface Heard {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

/** What a client tells its user, and when it gives up. */
export class Listener {
  readonly heard: Heard[] = [];
  /** Resolves when the client has stopped by itself, for good. */
  readonly stopped = new Gate();
  readonly #news = new EventEmitter();

  hear(type: string, data: string, id = ''): void {
    this.heard.push({ type, data, id });
    this.#news.emit('heard');
  }

  /** Resolves once it has heard such data. */
  async until(data: string): Promise<void> {
    while (!this.heard.some((heard) => heard.data === data)) await once(this.#news, 'heard');
  }
}

/** Stands for the data that an event of the client's own has not got. */
export const ITS_OWN = '(its own)';

/** The event types of the tests; an EventSource must be told each of them. */
const TYPES = ['message', 'price', 'end', 'gap'];

/** A request other than a GET, for clients that can. */
export interface Post {
  readonly method: 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A client that people use, as they use it, and where it differs from the specification. */
export interface ClientKind {
  readonly name: string;
  /** @returns how its user closes it */
  open(base: string, path: string, listener: Listener, post?: Post): Promise<() => void>;
  /** Its own reconnection time, in milliseconds, as long as the server sets none. */
  readonly ownRetryMs: number;
  readonly canPost?: boolean;
  /** Gives comments and frames without data to its user, as empty messages. */
  readonly hearsFramesWithoutData?: boolean;
  /** Does not remember the id of a frame without data. */
  readonly forgetsIdsWithoutData?: boolean;
  /** Does not come again after an end. */
  readonly stopsAtAnyEnd?: boolean;
  /** Tells of a connection that has ended by an event `end` of its own, without data. */
  readonly saysEndItself?: boolean;
}

export const eventsource: ClientKind = {
  name: 'npm eventsource',
  ownRetryMs: 3_000,
  forgetsIdsWithoutData: true,
  async open(base, path, listener) {
    const source = new NpmEventSource(base + path);
    for (const type of TYPES) {
      source.addEventListener(type, ({ data, lastEventId }) => listener.hear(type, data, lastEventId));
    }
    source.onerror = () => {
      if (source.readyState === source.CLOSED) listener.stopped.open();
    };
    return () => source.close();
  },
};

export const eventsourceClient: ClientKind = {
  name: 'eventsource-client',
  ownRetryMs: 2_000,
  canPost: true,
  forgetsIdsWithoutData: true,
  async open(base, path, listener, post) {
    const source = createEventSource({
      ...post,
      url: base + path,
      onMessage: ({ event = 'message', data, id }) => listener.hear(event, data, id),
      onDisconnect: () => setImmediate(() => source.readyState === 'closed' && listener.stopped.open()),
    });
    return () => source.close();
  },
};

export const launchDarkly: ClientKind = {
  name: 'launchdarkly-eventsource',
  ownRetryMs: 1_000,
  canPost: true,
  forgetsIdsWithoutData: true,
  saysEndItself: true,
  async open(base, path, listener, post) {
    const source = new LaunchDarkly(base + path, { ...post });
    for (const type of TYPES) {
      source.addEventListener(type, ({ data = ITS_OWN, lastEventId }) =>
        listener.hear(type, data, lastEventId),
      );
    }
    // It says why in an `error`, which would be thrown if nobody listened.
    source.on('error', () => undefined);
    source.on('closed', () => listener.stopped.open());
    return () => source.close();
  },
};

/** Chromium's own. */
export function chromiumEventSource(tabs: Tabs): ClientKind {
  return {
    name: 'EventSource',
    ownRetryMs: 3_000,
    async open(base, path, listener) {
      const page = await openPage(tabs, base, listener);
      await page.evaluate(
        ([url, types]) => {
          const source = new EventSource(url);
          for (const type of types) {
            source.addEventListener(type, ({ data, lastEventId }) => hear(type, data, lastEventId));
          }
          source.onerror = () => source.readyState === source.CLOSED && stopped();
        },
        [path, TYPES] as const,
      );
      return () => void page.close();
    },
  };
}

/** What a user of fetch-event-source may do when a stream has ended. */
export type AfterEnd = 'stay' | 'come again' | 'come again, unless 204';

export function fetchEventSource(tabs: Tabs, afterEnd: AfterEnd = 'stay'): ClientKind {
  return {
    name: '@microsoft/fetch-event-source',
    ownRetryMs: 1_000,
    canPost: true,
    hearsFramesWithoutData: true,
    stopsAtAnyEnd: true,
    async open(base, path, listener, post) {
      const page = await openPage(tabs, base, listener);
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
              hear(event || 'message', data, id),
            onclose() {
              if (after !== 'stay') throw new Error('again');
            },
            ...(after === 'come again, unless 204' && { onopen: stopOn204 }),
          });
          running.then(stopped, stopped);
        },
        [path, afterEnd, post] as const,
      );
      return () => void page.close();
    },
  };
}

/** Chromium's fetch with the parser that most use with it. It never comes again by itself. */
export function chromiumFetch(tabs: Tabs): ClientKind {
  return {
    name: 'fetch with eventsource-parser',
    ownRetryMs: Number.POSITIVE_INFINITY,
    canPost: true,
    stopsAtAnyEnd: true,
    async open(base, path, listener, post) {
      const page = await openPage(tabs, base, listener);
      await page.evaluate(
        async ([url, init]) => {
          const { createParser } = await import(`${location.origin}/eventsource-parser/index.js`);
          const parser = createParser({
            onEvent: ({ event = 'message', data = '', id = '' }) => hear(event, data, id),
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

/** What the pages need of their server. */
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

async function openPage(tabs: Tabs, base: string, listener: Listener): Promise<Page> {
  const page = await tabs.open(`${base}/page`);
  await page.exposeFunction('hear', (type: string, data: string, id: string) =>
    listener.hear(type, data, id),
  );
  await page.exposeFunction('stopped', () => listener.stopped.open());
  return page;
}

// What runs in a page.
declare const location: { readonly origin: string };
declare function hear(type: string, data: string, id: string): void;
declare function stopped(): void;
declare class EventSource {
  constructor(url: string);
  readonly readyState: number;
  readonly CLOSED: number;
  onerror: () => void;
  addEventListener(type: string, listener: (event: { data: string; lastEventId: string }) => void): void;
}
