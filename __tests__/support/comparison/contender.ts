import type { Server } from 'node:http';

/** What a route is to stream, given the signal that its package or framework has for a client that leaves. */
export type Source = (signal?: AbortSignal) => AsyncGenerator<string, void, undefined>;

/** One event with its fields. */
export interface Message {
  readonly data: string;
  readonly event: string;
  readonly id: string;
}

/** What a test gives to the app that it builds; each app takes what its topic is about. */
export interface Given {
  readonly source: Source;
  readonly message: Message;
  /** Of several lines. */
  readonly text: string;
}

/** How a test drives an app from outside its routes. */
export interface Controls {
  /** To all who are subscribed; `id` counts from 1. */
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
  /** As its documentation shows; none if it has nothing for the topic. */
  readonly plain?: Build;
  /** With a few more lines on an option, an event or a method that it, its framework or Node's response has. */
  readonly byHand?: Build;
}

/** What is compared by running it. */
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

/** A package: for each topic its ways; none where the topic does not exist for it. */
export type Contender = Readonly<Record<Topic, Ways | 'not applicable'>>;
