import { describe, wrongType } from '../errors';
import { hostOf, type StreamTarget } from './host';
import { OpenedStream } from './opened-stream';
import { resolveStreamInit, type StreamInit } from './options';

/**
 * Opens an event stream in a test, over a real socket, and reads it as a browser would.
 *
 * An app, or a server that does not listen yet, is started on a free port of 127.0.0.1 and stopped when the stream is
 * closed. Every response resolves: one that is not `200 text/event-stream`, such as an error, has no events, but has
 * `status`, `headers` and `text`. Redirects are not followed.
 *
 * @param target an Express app, a server, or a URL that begins with `http:` or `https:`
 * @param path the path, beginning with `/`, and the query; if omitted, those of the URL, or `/`
 * @param init the method, headers, body and last event ID of the request, the time-out of every wait, and TLS options
 * @returns resolves when the response head has been received, with any status
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` (rejects) if `target`, `path` or `init` is invalid
 * @throws (rejects) if no response head is received within `timeoutMs` (3,000)
 * @throws (rejects) if the request fails, for example because no server listens
 * @example
 * const stream = await openStream(app, '/clock');
 * expect(await stream.next()).toEqual({ type: 'message', data: 'tick', lastEventId: '' });
 * await stream.close(); // the route's signal has aborted
 */
export async function openStream(target: StreamTarget, path = '', init?: StreamInit): Promise<OpenedStream> {
  checkPath(path);
  const resolved = resolveStreamInit(init);
  const stream = new OpenedStream(await hostOf(target), path, resolved);
  try {
    return await stream.reconnect();
  } catch (error) {
    await stream.close();
    throw error;
  }
}

function checkPath(path: unknown): void {
  if (typeof path === 'string' && (path === '' || path.startsWith('/'))) return;
  throw wrongType(
    'ERR_SSE_INVALID_OPTION',
    `Expected path to begin with '/', got ${describe(path)}. Pass the server as the target.`,
  );
}
