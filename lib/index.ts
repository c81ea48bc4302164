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
export type { DataOf, RunContext, RunSource, Yielded } from './channel/source-run';
export type { ChannelEvent, GapEvent, Subscriber, Subscription } from './channel/subscription';
export { SseError, type SseErrorCode, type SseErrorDetails } from './errors';
export {
  comment,
  type EventFields,
  type EventOf,
  type Events,
  event,
  ServerSentEvent,
} from './format/event';
export { encode } from './format/event-stream';
export type { EventRecord } from './format/record';
export type { Gap } from './log/entry';
export type {
  Awaitable,
  EventLog,
  Following,
  LogEntry,
  LogFollower,
  LogPage,
  LogTip,
} from './log/event-log';
export { memoryLog } from './log/memory-log';
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
export type { SseContext } from './stream/context';
export type { StreamEnd, StreamRecord } from './stream/diagnostics';
export type { Next } from './stream/stream';
