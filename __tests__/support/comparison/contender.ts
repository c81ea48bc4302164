import type { Server } from 'node:http';

/** What a route streams, given the signal with which its package or framework reports a disconnect. */
export type Source = (signal?: AbortSignal) => AsyncGenerator<string, void, undefined>;

/** One event with its fields. */
export interface Message {
  readonly data: string;
  readonly event: string;
  readonly id: string;
}

/** A test's input for the app that it builds; each app uses the part for its topic. */
export interface Given {
  readonly source: Source;
  readonly message: Message;
  /** Of several lines. */
  readonly text: string;
}

/** How a test drives an app from outside its routes. */
export interface Controls {
  /** Sends to all subscribers; `id` counts from 1. */
  readonly publish: (data: string, id: number) => unknown;
  readonly subscribers: () => number;
  /** Ends every open stream. */
  readonly end: () => unknown;
}

/** An app that streams at `/` and answers `GET /ping`. */
export interface App extends Controls {
  readonly server: Server;
}

export type Build = (given: Given) => Promise<App>;

/** How a package is used. */
export interface Ways {
  /** As its documentation shows; absent if it has nothing for the topic. */
  readonly plain?: Build;
  /** With a few more lines that use an option, an event or a method of the package, its framework or Node's response. */
  readonly byHand?: Build;
}

/** The topics of the comparison that a test runs. */
export const TOPICS = [
  'takesGenerators',
  'endsWaiting',
  'endsUnread',
  'refuses',
  'waitsForClients',
  'stopsFinished',
  'forgesNothing',
  'sendsLines',
  'sendsJson',
  'flushes',
  'answersPosts',
  'sendsToOne',
  'broadcasts',
  'replays',
  'keepsAlive',
  'endsAll',
  'hidesErrors',
  'negotiates',
] as const;

export type Topic = (typeof TOPICS)[number];

/** A package: its ways for each topic that applies to it. */
export type Contender = Readonly<Record<Topic, Ways | 'not applicable'>>;
