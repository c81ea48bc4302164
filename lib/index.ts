export type { SseContext } from './connection/context';
export { SseError, type SseErrorCode } from './errors';
export { encode, type Serialize } from './event-stream/encode';
export { comment, type EventFields, event, ServerSentEvent } from './event-stream/event';
export type { CloseOptions, SseOptions } from './options';
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
