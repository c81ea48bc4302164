export type {
  DispatchedEvent,
  EventStreamOptions,
  LogCase,
  MakeLog,
  OpenedStream,
  ParsedResponse,
  ResponseParser,
  StreamInit,
  StreamTarget,
} from './testing.js';
export { eventLogContract, eventStream, openStream } from './testing.js';
