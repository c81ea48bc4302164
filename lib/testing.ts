/**
 * Reads endless event streams in tests, with any test runner. `import { openStream } from 'express-yield/testing'`.
 *
 * @module express-yield/testing
 */

export type { DispatchedEvent } from './format/parse';
export { eventLogContract, type LogCase, type MakeLog } from './testing/event-log-contract';
export type { StreamTarget } from './testing/host';
export { openStream } from './testing/open-stream';
export type { OpenedStream } from './testing/opened-stream';
export type { EventStreamOptions, StreamInit } from './testing/options';
export {
  eventStream,
  type ParsedResponse,
  type ResponseParser,
} from './testing/response-parser';
