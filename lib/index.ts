/**
 * The main entry point: `sse()` streams the async generators that Express routes return, `event()` sets the fields of an
 * event, and a `Channel` broadcasts to many subscribers. `import { sse } from 'express-yield'`, or
 * `require('express-yield')`.
 *
 * @module express-yield
 */

export type { AbortCode } from './abort';
export {
  Channel,
  type Filter,
  type Mapper,
  type Subscribable,
} from './channel/channel';
export type { ChannelOptions, PublishOptions, RunOptions } from './channel/options';
export type { Publishable } from './channel/publishable';
export { createRuns, type RunFunction, type RunningRun, type Runs } from './channel/runs';
export type { RunsCloseOptions, RunsOptions, StartOptions } from './channel/runs-options';
export type { DataOf, RunContext, RunSource, Yielded } from './channel/source-run';
export type { ChannelEvent, GapEvent, Subscriber, Subscription } from './channel/subscription';
export type { Next } from './connection/http';
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
export type { Serialize } from './format/serialize';
export type { Format } from './format/wire-format';
export type { Gap, LogEntry } from './log/entry';
export type {
  Awaitable,
  EventLog,
  LogHead,
  LogPage,
  LogSubscriber,
  LogSubscription,
  LogWindow,
} from './log/event-log';
export type {
  LeaseGrant,
  LeaseObservation,
  LeaseObserver,
  LeasePurpose,
  LeaseRequest,
  LeaseState,
  LeaseTerms,
  LogLease,
} from './log/log-lease';
export { memoryLog } from './log/memory-log';
export type { MemoryLogOptions } from './log/options';
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
export type { OpenStream, StreamEnd, StreamRecord } from './stream/diagnostics';
export type { CloseOptions, SseOptions } from './stream/options';
