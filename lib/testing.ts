/**
 * Reads endless streams in tests, with any runner. `import { openStream } from 'express-yield/testing'`.
 *
 * @module express-yield/testing
 */

export { eventLogContract, type LogCase, type MakeLog } from './channel/log-contract';
export type { DispatchedEvent } from './event-stream/parse';
export type { StreamInit } from './options';
export type { StreamTarget } from './testing/host';
export { openStream } from './testing/open-stream';
export type { OpenedStream } from './testing/opened-stream';
export {
  type EventStreamOptions,
  eventStream,
  type ParsedResponse,
  type ResponseParser,
} from './testing/response-parser';
