import { type ClientHttp2Session, connect } from 'node:http2';
import { EventCounter } from './count-events';
import { queryOf } from './read-stream';

export interface Http2Reading {
  readonly port: number;
  readonly path: string;
  /** How many events each stream requests and expects. */
  readonly events: number;
  readonly streams: number;
}

/**
 * Reads several streams in parallel over one HTTP/2 connection.
 *
 * @returns the number of events of each stream
 * @throws if an event is missing, duplicated or out of order, or a stream does not end as it should
 */
export async function readHttp2(reading: Http2Reading): Promise<number[]> {
  const session = connect(`http://127.0.0.1:${reading.port}`);
  try {
    return await Promise.all(Array.from({ length: reading.streams }, () => readOne(session, reading)));
  } finally {
    session.destroy();
  }
}

function readOne(session: ClientHttp2Session, { path, events }: Http2Reading): Promise<number> {
  const counter = new EventCounter();
  return new Promise((resolve, reject) => {
    session.on('error', reject);
    const stream = session.request({ ':path': `${path}?${queryOf(events)}`, accept: 'text/event-stream' });
    stream.setEncoding('latin1');
    stream.on('data', (text: string) => {
      try {
        counter.take(text);
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
    stream.on('error', reject);
    stream.on('close', () => {
      if (counter.ended && counter.events === events) return resolve(events);
      reject(new Error(`Expected ${events} events and the end, got ${counter.events}.`));
    });
  });
}
