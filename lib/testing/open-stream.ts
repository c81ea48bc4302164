import { describe, wrongType } from '../errors';
import { hostOf, type StreamTarget } from './host';
import { OpenedStream } from './opened-stream';
import { resolveStreamInit, type StreamInit } from './options';

/**
 * Opens an event stream in a test, over a real socket, and reads it as a browser would.
 *
 * An app is served on a free port of 127.0.0.1 until the stream is closed; so is a server that does not listen yet. Any
 * answer is a stream: of one that is not `200 text/event-stream`, as of an error, there are no events but `status`,
 * `headers` and `text`. Redirects are not followed.
 *
 * @param target an Express app, a server, or a URL
 * @param path the path on it, from `/`, with a query if there is one; left out, that of the URL
 * @returns resolves when the head has arrived, whatever its status
 * @throws `TypeError` or `RangeError` `ERR_SSE_INVALID_OPTION` (rejects) if `target`, `path` or `init` is none
 * @throws (rejects) if there is no head after `timeoutMs`, or no server
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
    `Expected path to begin with '/', got ${describe(path)}. The server is the target before it.`,
  );
}
