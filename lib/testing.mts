export type {
  DispatchedEvent,
  EventStreamOptions,
  LogCase,
  MakeLog,
  ResponseParser,
  StreamInit,
  StreamTarget,
} from './testing.js';
export { eventLogContract, eventStream, OpenedStream, openStream } from './testing.js';
