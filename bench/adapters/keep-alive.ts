import type { Writable } from 'node:stream';

/** Keep-alives for a package without any: an interval for each stream, the usual way. */
export function keepAlive(stream: Writable, everyMs: number | false, comment = ': keep-alive\n\n'): void {
  if (everyMs === false) return;
  const timer = setInterval(() => stream.write(comment), everyMs);
  stream.on('close', () => clearInterval(timer));
}
