// The CommonJS build is the package: `import` and `require` in one process share streams, limits and `sse.close()`.
export type {
  AnyHandler,
  CloseOptions,
  EventFields,
  Next,
  Serialize,
  Sse,
  SseContext,
  SseErrorCode,
  SseHandler,
  SseMiddleware,
  SseOptions,
  StreamingHandler,
} from './index.js';
export { comment, createSse, encode, event, ServerSentEvent, SseError, sse } from './index.js';
