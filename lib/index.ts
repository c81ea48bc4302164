/**
 * The front door: `sse()` streams what Express routes return, `event()` gives a value its fields, and a `Channel`
 * publishes to many. `import { sse } from 'express-yield'`, or `require('express-yield')`.
 *
 * @module express-yield
 */

export {
  Channel,
  type ChannelOptions,
  type Filter,
  type Publishable,
  type RunOptions,
  type Subscribable,
} from './channel/channel';
export type { Gap } from './channel/entry';
export type {
  Awaitable,
  EventLog,
  Following,
  LogEntry,
  LogFollower,
  LogPage,
  LogTip,
} from './channel/event-log';
export { memoryLog } from './channel/memory-log';
export type { DataOf, RunContext, RunSource, Yielded } from './channel/run';
export type { ChannelEvent, GapEvent, Subscriber, Subscription } from './channel/subscription';
export type { SseContext } from './connection/context';
export type { StreamEnd, StreamRecord } from './diagnostics';
export { SseError, type SseErrorCode, type SseErrorDetails } from './errors';
export { encode } from './event-stream/encode';
export {
  comment,
  type EventFields,
  type EventOf,
  type Events,
  event,
  ServerSentEvent,
} from './event-stream/event';
export type { EventRecord } from './event-stream/record';
export type { CloseOptions, MemoryLogOptions, Serialize, SseOptions } from './options';
export {
  type AnyHandler,
  createSse,
  type Sse,
  type SseHandler,
  type SseMiddleware,
  type StreamingHandler,
  sse,
} from './sse';
export type { Next } from './stream';
