export type { SseContext } from './connection/context';
export { SseError, type SseErrorCode } from './errors';
export { encode } from './event-stream/encode';
export { comment, type EventFields, event, ServerSentEvent } from './event-stream/event';
export type { CloseOptions, Serialize, SseOptions } from './options';
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
